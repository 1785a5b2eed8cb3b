import { Type } from "@sinclair/typebox";
import { retentionLimits } from "../topics/retention.ts";

const mib = 1024 ** 2;
const dayMs = 86_400_000;

const minuteMs = 60_000;

/**
 * Settings of the lake's writer. The fields are options of `createParquetBatchWriter`, `openCommitLog` and
 * `createTablePublisher`.
 */
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
        "How long entries of the lake's commit log are kept; at least the longest dedupe window of a topic",
    }),
    snapshotEntries: Type.Integer({
      default: 100,
      minimum: 10,
      maximum: 10_000,
      unit: "entries",
      description:
        "Entries of the lake's commit log between two snapshots; at least as many entries are kept, however old",
    }),
    parkedCommitsMax: Type.Integer({
      default: 500_000,
      minimum: 100,
      unit: "entries",
      description:
        "Entries that the commit log may hold for a table that can't be published (a month of commits each 5 s); above it, filing stops",
    }),
    vacuumIntervalMs: Type.Integer({
      default: dayMs,
      minimum: minuteMs / 6,
      maximum: 7 * dayMs,
      unit: "ms",
      description:
        "How often vacuum of the tables runs; the first time after at most one hour. Landing files have their turn each 10 min, or as often if this is shorter",
    }),
    vacuumAgeMs: Type.Integer({
      default: dayMs,
      minimum: 0,
      unit: "ms",
      description:
        "Minimum age, by the lake's clock, of a file that vacuum deletes. If a batch takes longer, it is repeated; no message is lost",
    }),
    retentionIntervalMs: Type.Integer({
      default: 60 * minuteMs,
      minimum: minuteMs / 6,
      maximum: 7 * dayMs,
      unit: "ms",
      description:
        "How often rows that are older than the retention of their topic are looked for, and removed",
    }),
    quarantineRetentionMs: Type.Optional(
      Type.Integer({
        minimum: retentionLimits.minMs,
        maximum: retentionLimits.maxMs,
        unit: "ms",
        description:
          "How long rows stay in `_quarantine` after the end of their event hour, and after their ingest; unset: for ever. Topics have a retention of their own",
      }),
    ),
  },
  { additionalProperties: false },
);
