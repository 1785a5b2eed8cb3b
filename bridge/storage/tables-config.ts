import { type Static, Type } from "@sinclair/typebox";

const mib = 1024 ** 2;
const dayMs = 86_400_000;

const minuteMs = 60_000;

/** Settings of the lake's writer; the fields are options of `createParquetBatchWriter`, `openCommitLog` and `createTablePublisher`. */
export const tablesConfigSchema = Type.Object(
  {
    memoryLimitBytes: Type.Integer({
      default: 384 * mib,
      minimum: 64 * mib,
      unit: "bytes",
      description: "Memory for writing Parquet; at least three times consumer.maxBatchBytes",
    }),
    compressionLevel: Type.Integer({
      default: 1,
      minimum: 1,
      maximum: 22,
      unit: "zstd level",
      description: "Higher levels make files a little smaller and cost much more CPU",
    }),
    logRetentionMs: Type.Integer({
      default: 30 * dayMs,
      minimum: minuteMs,
      unit: "ms",
      description: "How long entries of a table's log are kept once a checkpoint replaces them (time travel)",
    }),
    checkpointEntries: Type.Integer({
      default: 100,
      minimum: 10,
      maximum: 10_000,
      unit: "entries",
      description: "Entries of a table's log between two checkpoints",
    }),
    commitRetentionMs: Type.Integer({
      default: 7 * dayMs,
      minimum: minuteMs,
      unit: "ms",
      description:
        "How long entries of the lake's commit log are kept; the longest dedupe window of a topic if that is longer",
    }),
    snapshotEntries: Type.Integer({
      default: 100,
      minimum: 10,
      maximum: 10_000,
      unit: "entries",
      description:
        "Entries of the lake's commit log between two snapshots; as many are kept however old they are",
    }),
    parkedCommitsMax: Type.Integer({
      default: 500_000,
      minimum: 100,
      unit: "entries",
      description:
        "Entries that the commit log may hold for a table that can't be published (a month of commits each 5 s); beyond that nothing is filed",
    }),
    vacuumIntervalMs: Type.Integer({
      default: dayMs,
      minimum: minuteMs / 6,
      maximum: 7 * dayMs,
      unit: "ms",
      description: "How often files that no commit took are looked for; the first time after an hour at most",
    }),
    vacuumAgeMs: Type.Integer({
      default: dayMs,
      minimum: 0,
      unit: "ms",
      description:
        "How old a file that no commit took must be, by the lake's clock, before it is deleted. Less than a batch needs costs its repetition, never its messages",
    }),
  },
  { additionalProperties: false },
);

export type TablesConfig = Readonly<Static<typeof tablesConfigSchema>>;
