import { bytes } from "./mqtt-bytes.ts";

/** The kind of a payload, and whether no table of a topic can hold it. */
export interface HostileContent {
  readonly kind: string;
  readonly payload: Uint8Array;
  readonly isUnfilable: boolean;
}

/** A topic takes so many bytes unless its admin says otherwise. */
export const payloadBytesMax = 131_072;

type Random = () => number;

const upTo = (random: Random, max: number) => 1 + Math.floor(random() * max);

function content(kind: string, payload: Uint8Array | string, isUnfilable = false): HostileContent {
  return { kind, payload: Buffer.from(payload), isUnfilable };
}

/**
 * JSON that breaks parsers, ids, times, columns and checks of schemas. Each kind comes once, with a random
 * size.
 */
export function hostileJson(random: Random, nowMs: number): HostileContent[] {
  const head = `"id":"h","ts":${nowMs}`;
  const unfilable = (kind: string, payload: Uint8Array | string) => content(kind, payload, true);
  return [
    ...nested(head, random),
    ...wide(head, random),
    content("an id twice", `{"id":"first",${head}}`),
    content("a time twice", `{"ts":1,${head},"ts":${nowMs}}`),
    ...["1e400", "-1e400", "1e-400", "-0", "9".repeat(400), "1E+2"].map((number) =>
      content(`the number ${number.slice(0, 9)}`, `{${head},"v":${number},"n":${number}}`),
    ),
    content("half a surrogate pair", `{${head},"s":"\\ud800"}`),
    content("half a surrogate pair in a name", `{${head},"\\udc00":1}`),
    content("half a surrogate pair as id", `{"id":"\\ud83d","ts":${nowMs}}`),
    content("U+0000 in names and values", `{${head},"a\\u0000b":1,"s":"a\\u0000"}`),
    content("names of a prototype", `{"__proto__":{${head}},"constructor":1}`),
    unfilable("bytes that are no UTF-8", bytes(`{${head},"s":"`, 0xc3, 0x28, '"}')),
    unfilable("an overlong sequence", bytes(`{${head},"s":"`, 0xc0, 0x80, '"}')),
    unfilable("UTF-16", Buffer.from(`\ufeff{${head}}`, "utf16le")),
    content("a byte order mark", `\ufeff{${head}}`),
    unfilable("JSON cut short", `{${head}}`.slice(0, upTo(random, head.length))),
    unfilable("brackets that stay open", "[".repeat(upTo(random, payloadBytesMax))),
    unfilable("JSON with something behind it", `{${head}}{`),
    ...['""', "null", "{}", "[]", "1.5", "true", `"${"i".repeat(65 + upTo(random, 10_000))}"`].map((id) =>
      content(`the id ${id.slice(0, 9)}`, `{"id":${id},"ts":${nowMs}}`),
    ),
    ...hostileTimes.map((time) => content(`the time ${time.slice(0, 22)}`, `{"id":"h","ts":${time}}`)),
    unfilable("30 February", `{"id":"h","ts":"2026-02-30T12:00:00Z"}`),
    content("a pattern that backtracks", `{${head},"s":"${"a".repeat(upTo(random, 60_000))}!"}`),
    content("many items that must differ", `{${head},"list":[${numbered(upTo(random, 9_000))}]}`),
    content("nothing", ""),
    unfilable("bytes of chance", Buffer.from(Array.from({ length: 200 }, () => Math.floor(random() * 256)))),
    filled("as large as may be", payloadBytesMax, head),
    filled("a byte less than may be", payloadBytesMax - 1, head),
  ];
}

const hostileTimes = [
  '"2026-13-01T00:00:00Z"',
  '"2026-01-01T24:61:00Z"',
  '"0000-01-01T00:00:00Z"',
  '"9999-12-31T23:59:59.999Z"',
  '"10000-01-01T00:00:00Z"',
  '"soon"',
  "-1e18",
  "1e18",
  "null",
  "[]",
] as const;

function nested(head: string, random: Random): HostileContent[] {
  return [100, 130 + upTo(random, 1_000), 10_000].flatMap((depth) => [
    content(`${depth} objects in each other`, nest(head, depth, ['{"c":', "}"]), depth > 128),
    content(`${depth} lists in each other`, nest(head, depth, ["[", "]"]), depth > 128),
  ]);
}

function nest(head: string, depth: number, [open, close]: readonly [string, string]): string {
  return `{${head},"c":${open.repeat(depth)}1${close.repeat(depth)}}`;
}

function wide(head: string, random: Random): HostileContent[] {
  const names = Array.from({ length: upTo(random, 9_000) }, (_, index) => `"w${index}":${index}`);
  return [
    content("many names", `{${head},${names.join(",")}}`),
    content("a long name", `{${head},"${"n".repeat(upTo(random, 60_000))}":1}`),
    content("a long text", `{${head},"s":"${"a".repeat(upTo(random, 60_000))}"}`),
  ];
}

function numbered(count: number): string {
  return Array.from({ length: count }, (_, index) => `{"k":${index}}`).join(",");
}

function filled(kind: string, size: number, head: string): HostileContent {
  const frame = `{${head},"x":""}`;
  return content(kind, frame.replace('""', `"${"x".repeat(size - frame.length)}"`));
}
