import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { type TypeCheck, TypeCompiler } from "@sinclair/typebox/compiler";
import { BridgeError } from "../errors.ts";
import { type CommitEntry, LAKE_FORMAT, type LakeFormat, type PastPartitions } from "./commit-log.ts";

export const COMMITS = "_commits";
export const LAKE_PATH = `${COMMITS}/lake.json`;
export const SNAPSHOTS_PREFIX = `${COMMITS}/snapshots/`;

function padded(number: number): string {
  return String(number).padStart(20, "0");
}

export function entryPath(number: number): string {
  return `${COMMITS}/${padded(number)}.json`;
}

export function snapshotPath(number: number): string {
  return `${SNAPSHOTS_PREFIX}${padded(number)}.json`;
}

/** The number in the name of an entry, snapshot or Delta log entry (`<folder>/<20 digits>.json`), or null for other names. */
export function numberOfPath(path: string): number | null {
  const digits = /(?:^|\/)(\d{20})\.json$/.exec(path)?.[1];
  return digits === undefined ? null : Number(digits);
}

const wholeNumber = Type.Integer({ minimum: 0 });
const formatSchema = Type.Union([Type.Literal(1), Type.Literal(3), Type.Literal(LAKE_FORMAT)]);
const knownFormats: readonly number[] = [1, 3, LAKE_FORMAT] satisfies readonly LakeFormat[];
const clockSchema = Type.Object({
  blocks: wholeNumber,
  aloneSince: wholeNumber,
  boot: Type.String(),
  rowTimeMs: Type.Number(),
  boots: Type.Record(
    Type.String(),
    Type.Object({
      offsetMs: Type.Union([Type.Number(), Type.Null()]),
      provenAtMs: Type.Number(),
      provenBlock: Type.Integer(),
      seenAtMs: Type.Number(),
    }),
  ),
  merged: Type.Optional(
    Type.Record(
      Type.String(),
      Type.Object({ offsetMs: Type.Union([Type.Number(), Type.Null()]), seenAtMs: Type.Number() }),
    ),
  ),
});
const countersSchema = Type.Object({
  read: wholeNumber,
  filed: wholeNumber,
  duplicates: wholeNumber,
  quarantined: wholeNumber,
  resent: wholeNumber,
  misrouted: wholeNumber,
  unaccounted: wholeNumber,
});
const moveSchema = Type.Object({
  from: Type.String(),
  to: Type.String(),
  streamTimeMs: Type.Number(),
  clock: Type.Optional(clockSchema),
  shifts: Type.Optional(Type.Record(Type.String(), Type.Number())),
  producers: Type.Record(
    Type.String(),
    Type.Object({
      lastSequence: Type.Number(),
      ackedMessages: wholeNumber,
      seenAtMs: Type.Number(),
      block: Type.Optional(wholeNumber),
    }),
  ),
  counters: countersSchema,
  parents: Type.Optional(Type.Unsafe<readonly number[]>(Type.Array(wholeNumber))),
  commit: Type.Optional(wholeNumber),
  previousCommit: Type.Optional(wholeNumber),
});
const addedFileSchema = Type.Object({
  path: Type.String({ minLength: 1 }),
  eventDate: Type.String({ pattern: "^\\d{4,6}-\\d{2}-\\d{2}$" }),
  eventHour: Type.Integer({ minimum: 0, maximum: 23 }),
  bytes: wholeNumber,
  rows: wholeNumber,
  modifiedAtMs: Type.Number(),
  minIngestMs: Type.Number(),
  maxIngestMs: Type.Number(),
  minStreamMs: Type.Optional(Type.Number()),
  maxStreamMs: Type.Optional(Type.Number()),
  stats: Type.String(),
});
const lakeCheck = TypeCompiler.Compile(
  Type.Object({ format: formatSchema, lakeId: Type.String({ minLength: 1 }) }),
);
const MOVED_FORMAT = 2;
const movedSchema = Type.Object({
  format: Type.Literal(MOVED_FORMAT),
  number: Type.Integer({ minimum: 1 }),
  commitId: Type.String({ minLength: 1 }),
  /** Where the lake is now. */
  movedTo: Type.String({ minLength: 1 }),
});
const movedCheck = TypeCompiler.Compile(movedSchema);
const entryCheck = TypeCompiler.Compile(
  Type.Object({
    format: formatSchema,
    number: Type.Integer({ minimum: 1 }),
    commitId: Type.String({ minLength: 1 }),
    committedAtMs: Type.Number(),
    moves: Type.Record(Type.String(), moveSchema),
    tables: Type.Record(
      Type.String(),
      Type.Object({
        name: Type.String({ minLength: 1 }),
        version: wholeNumber,
        adds: Type.Array(addedFileSchema),
        previousCommit: Type.Optional(wholeNumber),
      }),
    ),
    filesSince: Type.Optional(wholeNumber),
    upkeep: Type.Optional(
      Type.Object({
        fence: Type.Optional(Type.Literal(true)),
        firstKept: Type.Optional(Type.Integer({ minimum: 1 })),
      }),
    ),
  }),
);
const pastSchema = Type.Object({
  ranges: Type.Unsafe<PastPartitions["ranges"]>(Type.Array(Type.Tuple([wholeNumber, wholeNumber]))),
  counters: countersSchema,
  rows: Type.Record(Type.String(), Type.Object({ streamTimeMs: Type.Number(), commit: wholeNumber })),
});
const snapshotSchema = Type.Object({
  format: formatSchema,
  number: Type.Integer({ minimum: 1 }),
  /** Absent in snapshots of version 0.1.0, and so is `fence`. */
  commitId: Type.Optional(Type.Union([Type.String({ minLength: 1 }), Type.Null()])),
  fence: Type.Optional(wholeNumber),
  /** Entries below this one may be gone; an entry created there since is no part of the log. */
  firstKept: Type.Integer({ minimum: 1 }),
  moves: Type.Record(Type.String(), moveSchema),
  /** Absent up to format 3. */
  past: Type.Optional(Type.Record(Type.String(), pastSchema)),
  tables: Type.Record(
    Type.String(),
    Type.Object({ name: Type.String(), version: wholeNumber, lastCommit: Type.Integer({ minimum: 1 }) }),
  ),
});
const snapshotCheck = TypeCompiler.Compile(snapshotSchema);

export type LakeSnapshot = Static<typeof snapshotSchema>;

function damaged(path: string, fault: string): BridgeError {
  return new BridgeError(
    "LAKE_DAMAGED",
    `${path} in the lake is damaged: ${fault}. Restore this file from a copy`,
    {
      retryable: false,
      details: { path },
    },
  );
}

/** The JSON value in a file of the lake. Throws LAKE_DAMAGED, or LAKE_VERSION where its `format` is newer than ours. */
export function parseLakeJson<Schema extends TSchema>(
  path: string,
  bytes: Uint8Array,
  check: TypeCheck<Schema>,
): Static<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw damaged(path, cause instanceof Error ? cause.message : "not JSON");
  }
  refuseMoved(value);
  const format = typeof value === "object" && value !== null && "format" in value ? value.format : undefined;
  if (typeof format === "number" && !knownFormats.includes(format))
    throw new BridgeError(
      "LAKE_VERSION",
      `${path} has format ${format}, this Tidegate reads up to ${LAKE_FORMAT}: install a newer version`,
      { retryable: false, details: { path, format } },
    );
  if (check.Check(value)) return value;
  const fault = check.Errors(value).First();
  throw damaged(path, fault ? `${fault.path || "/"} ${fault.message}` : "unexpected content");
}

/** @throws BridgeError LAKE_MOVED where it is the entry that closes a log. */
function refuseMoved(value: unknown): void {
  if (!movedCheck.Check(value)) return;
  const { number, movedTo } = value;
  const text = `the lake was moved to ${movedTo}: go on with --lake ${movedTo}`;
  throw new BridgeError("LAKE_MOVED", text, { retryable: false, details: { number, movedTo } });
}

/** The last entry of a log that goes on elsewhere. Its format is one that versions which don't know of it refuse. */
export function encodeMovedEntry(entry: {
  readonly number: number;
  readonly commitId: string;
  readonly movedTo: string;
}): Uint8Array {
  return encodeJson({ format: MOVED_FORMAT, ...entry } satisfies Static<typeof movedSchema>);
}

export function parseLakeFile(bytes: Uint8Array): { lakeId: string } {
  return parseLakeJson(LAKE_PATH, bytes, lakeCheck);
}

export function parseEntry(number: number, bytes: Uint8Array): CommitEntry {
  const entry = parseLakeJson(entryPath(number), bytes, entryCheck);
  if (entry.number !== number) throw damaged(entryPath(number), `it says number ${entry.number}`);
  return entry;
}

export function parseSnapshot(number: number, bytes: Uint8Array): LakeSnapshot {
  const snapshot = parseLakeJson(snapshotPath(number), bytes, snapshotCheck);
  if (snapshot.number !== number) throw damaged(snapshotPath(number), `it says number ${snapshot.number}`);
  return snapshot;
}

export function missingEntry(number: number): BridgeError {
  return damaged(entryPath(number), "it is missing although later entries exist");
}

export function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
