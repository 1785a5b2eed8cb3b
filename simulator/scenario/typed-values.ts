import { chance, hash32 } from "./seeded-hash.ts";

/** A value as it stands in a JSON document, and as its column must hold it. */
interface TypedValue<Value> {
  readonly json: string;
  readonly filed: Value | null;
}

/**
 * The values of a typed message, by column: long, double, boolean, timestamp in µs since the epoch, string.
 */
export interface TypedValues {
  readonly whole: TypedValue<bigint>;
  readonly real: TypedValue<number>;
  readonly flag: TypedValue<boolean>;
  readonly moment: TypedValue<bigint>;
  readonly label: TypedValue<string>;
}

export const typedColumns = ["whole", "real", "flag", "moment", "label"] as const;
export type TypedColumnName = (typeof typedColumns)[number];

/** JSON Schema of such a message: each property is a column of its table. */
export const typedSchema = {
  type: "object",
  properties: {
    whole: { type: ["integer", "null"] },
    real: { type: ["number", "null"] },
    flag: { type: ["boolean", "null"] },
    moment: { type: ["string", "null"], format: "date-time" },
    label: { type: ["string", "null"] },
  },
} as const;

/** Random streams, in addition to those of the faults. */
const stream = { kind: 201, value: 202, fraction: 203, zone: 204 } as const;

const nothing = { json: "null", filed: null } as const;

/** The values of a device's message, by its seed alone. */
export function typedValuesOf(seed: number, device: number, sequence: number): TypedValues {
  const kind = hash32(seed ^ stream.kind, device, sequence);
  const value = hash32(seed ^ stream.value, device, sequence);
  return {
    whole: wholeOf(kind % 8, value, sequence),
    real: realOf((kind >>> 3) % 8, value),
    flag: flagOf((kind >>> 6) % 5),
    moment: (kind >>> 9) % 8 === 0 ? nothing : momentOf(seed, device, sequence),
    label: labelOf((kind >>> 12) % labels.length),
  };
}

/** µs after the whole ms of such a message's event time: 0 to 999. */
export function eventMicrosOf(seed: number, device: number, sequence: number): number {
  return hash32(seed ^ stream.fraction, device, sequence) % 1000;
}

/** The ends of 64 bits and the first number that a double lacks, among small and large ones. */
const wholes = ["0", "-1", "9223372036854775807", "-9223372036854775808", "9007199254740993"];

function wholeOf(kind: number, value: number, sequence: number): TypedValue<bigint> {
  if (kind === 7) return nothing;
  const random = BigInt.asIntN(64, (BigInt(value) << 32n) | BigInt(hash32(value, sequence, 0)));
  const json = wholes[kind] ?? (kind === 5 ? String(value) : String(random));
  return { json, filed: BigInt(json) };
}

/** Both zeros, the ends of a double, and more digits than it has. */
const reals = ["-0.0", "0.1", "1.7976931348623157e308", "5e-324", "123456789.12345678901"];

function realOf(kind: number, value: number): TypedValue<number> {
  if (kind === 7) return nothing;
  const json = reals[kind] ?? String((value / 2 ** 32) * (kind === 5 ? 2000 : -1e-9));
  // The sum makes 0 of -0, as tables have it.
  return { json, filed: Number(json) + 0 };
}

function flagOf(kind: number): TypedValue<boolean> {
  if (kind === 4) return nothing;
  return kind % 2 === 0 ? { json: "true", filed: true } : { json: "false", filed: false };
}

const labels: readonly string[] = [
  "",
  "ok",
  'a "quoted" \\ line\nbreak',
  "ünïcödé ☃",
  "😀",
  "null",
  " padded ",
];

function labelOf(kind: number): TypedValue<string> {
  const label = labels[kind] as string;
  // Escaped, so that all have a text in ASCII.
  const json = JSON.stringify(label).replaceAll(
    /[^ -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return { json, filed: label };
}

const dayMs = 86_400_000;
/** Also before 1970, within the range that every reader of the tables can show. */
const firstDay = -30_000;
const days = 80_000;
const fractions = ["", ".5", ".123", ".000001", ".123456", ".999999", ".123456789", ".0000009"];
/** RFC 3339 §5.6 allows lower-case letters. */
const zones = [
  { text: "Z", offsetMinutes: 0 },
  { text: "z", offsetMinutes: 0 },
  { text: "+05:30", offsetMinutes: 330 },
  { text: "-11:00", offsetMinutes: -660 },
] as const;

function momentOf(seed: number, device: number, sequence: number): TypedValue<bigint> {
  const draw = hash32(seed ^ stream.zone, device, sequence);
  const fraction = fractions[draw % fractions.length] as string;
  const { text, offsetMinutes } = zones[(draw >>> 3) % zones.length] as (typeof zones)[number];
  const day = firstDay + Math.floor(chance(seed ^ stream.zone, sequence, device) * days);
  const localMs = day * dayMs + ((draw >>> 5) % (dayMs / 1000)) * 1000;
  const local = new Date(localMs).toISOString().slice(0, "YYYY-MM-DDTHH:MM:SS".length);
  const written = (draw & 0x10) === 0 ? local : local.toLowerCase();
  // Digits after the sixth are cut.
  const micros = BigInt(fraction.slice(1, 7).padEnd(6, "0"));
  const filed = BigInt(localMs - offsetMinutes * 60_000) * 1000n + micros;
  return { json: `"${written}${fraction}${text}"`, filed };
}
