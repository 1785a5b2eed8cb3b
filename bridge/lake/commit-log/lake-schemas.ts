import { type Static, Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import {
  type AddedFile,
  type CommitEntry,
  type LakeFormat,
  lakeFormat,
  type PastPartitions,
  type TableAdds,
  type Upkeep,
} from "./commit-log.ts";
import { type LandedFile, landingFolder } from "./landed-file.ts";
import type { LandedLane } from "./lane-commits.ts";

const wholeNumber = Type.Integer({ minimum: 0 });
/** The number of a table, as a key of an object. */
const ordinalKey = Type.String({ pattern: "^(0|[1-9]\\d*)$" });
const formatSchema = Type.Union([
  Type.Literal(1),
  Type.Literal(3),
  Type.Literal(4),
  Type.Literal(lakeFormat),
]);
export const knownFormats: readonly number[] = [1, 3, 4, lakeFormat] satisfies readonly LakeFormat[];
export const lakeCheck = TypeCompiler.Compile(
  Type.Object({ format: formatSchema, lakeId: Type.String({ minLength: 1 }) }),
);
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
const landedRowsSchema = Type.Unsafe<readonly LandedRows[]>(
  Type.Array(Type.Tuple([wholeNumber, Type.Integer({ minimum: 1 })])),
);
const landingSchema = Type.Object({
  path: Type.String({ pattern: `^${landingFolder}/[^/]+\\.parquet$` }),
  bytes: wholeNumber,
  size: wholeNumber,
  minStreamMs: Type.Number(),
  maxStreamMs: Type.Number(),
  rows: Type.Object(
    {
      even: Type.Optional(landedRowsSchema),
      odd: Type.Optional(landedRowsSchema),
      late: Type.Optional(landedRowsSchema),
    },
    { additionalProperties: false },
  ),
});
export const entryCheck = TypeCompiler.Compile(
  Type.Object({
    format: formatSchema,
    number: Type.Integer({ minimum: 1 }),
    commitId: Type.String({ minLength: 1 }),
    committedAtMs: Type.Number(),
    moves: Type.Record(Type.String(), moveSchema),
    direct: Type.Optional(
      Type.Record(ordinalKey, Type.Array(addedFileSchema), { additionalProperties: false }),
    ),
    landing: Type.Optional(landingSchema),
    names: Type.Optional(
      Type.Record(
        ordinalKey,
        Type.Object({
          key: Type.String({ minLength: 1 }),
          name: Type.String({ minLength: 1 }),
          version: wholeNumber,
        }),
        { additionalProperties: false },
      ),
    ),
    filesSince: Type.Optional(wholeNumber),
    upkeep: Type.Optional(
      Type.Object({
        fence: Type.Optional(Type.Literal(true)),
        firstKept: Type.Optional(Type.Integer({ minimum: 1 })),
        settled: Type.Optional(
          Type.Record(ordinalKey, Type.Tuple([wholeNumber, wholeNumber, wholeNumber, wholeNumber]), {
            additionalProperties: false,
          }),
        ),
      }),
    ),
    tables: Type.Optional(
      Type.Record(
        Type.String(),
        Type.Object({
          name: Type.String({ minLength: 1 }),
          version: wholeNumber,
          adds: Type.Array(addedFileSchema),
        }),
      ),
    ),
  }),
);

/** An entry as it is in the log. */
export interface StoredEntry extends Omit<CommitEntry, "tables" | "landing" | "upkeep"> {
  /** By ordinal: table files of this commit. */
  readonly direct?: Readonly<Record<string, readonly AddedFile[]>>;
  readonly landing?: StoredLanding;
  /**
   * By ordinal: those that are new, and those whose version is higher than before. Ordinal 0 is always the
   * quarantine, and is never named.
   */
  readonly names?: Readonly<Record<string, NamedTable>>;
  readonly upkeep?: Omit<Upkeep, "settled"> & { readonly settled?: Readonly<Record<string, StoredBound>> };
  /** Up to format 4, by topic id, instead of `direct` and `names`. */
  readonly tables?: Readonly<Record<string, TableAdds>>;
}

/** The landing file of the entry. By lane: its tables; a lane without rows is absent. */
export interface StoredLanding extends LandedFile {
  readonly rows: Readonly<Partial<Record<LandedLane, readonly LandedRows[]>>>;
}

export type LandedRows = readonly [ordinal: number, rows: number];

export interface NamedTable {
  /** Topic id. */
  readonly key: string;
  readonly name: string;
  readonly version: number;
}

/** In the order of `lanes`. */
export type StoredBound = readonly [direct: number, even: number, odd: number, late: number];

const lanesSchema = Type.Object({
  direct: wholeNumber,
  even: wholeNumber,
  odd: wholeNumber,
  late: wholeNumber,
});
const pastSchema = Type.Object({
  ranges: Type.Unsafe<PastPartitions["ranges"]>(Type.Array(Type.Tuple([wholeNumber, wholeNumber]))),
  counters: countersSchema,
  rows: Type.Record(Type.String(), Type.Object({ streamTimeMs: Type.Number(), commit: wholeNumber })),
});
const snapshotSchema = Type.Object({
  format: formatSchema,
  number: Type.Integer({ minimum: 1 }),
  /** Version 0.1.0 wrote neither this nor `fence`. */
  commitId: Type.Optional(Type.Union([Type.String({ minLength: 1 }), Type.Null()])),
  fence: Type.Optional(wholeNumber),
  /** Entries below this number may be gone. An entry created there afterwards is void. */
  firstKept: Type.Integer({ minimum: 1 }),
  moves: Type.Record(Type.String(), moveSchema),
  /** Absent up to format 3. */
  past: Type.Optional(Type.Record(Type.String(), pastSchema)),
  tables: Type.Record(
    Type.String(),
    Type.Union([
      Type.Object({
        ordinal: Type.Union([wholeNumber, Type.Null()]),
        name: Type.String(),
        version: wholeNumber,
        last: lanesSchema,
        settled: lanesSchema,
      }),
      // Up to format 4.
      Type.Object({ name: Type.String(), version: wholeNumber, lastCommit: Type.Integer({ minimum: 1 }) }),
    ]),
  ),
});
export const snapshotCheck = TypeCompiler.Compile(snapshotSchema);

export type LakeSnapshot = Static<typeof snapshotSchema>;
