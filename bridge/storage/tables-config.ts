import { type Static, Type } from "@sinclair/typebox";

const mib = 1024 ** 2;
const dayMs = 86_400_000;

/** Settings of the lake's writer; the fields are options of `createParquetBatchWriter` and `createTablePublisher`. */
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
      minimum: 0,
      unit: "ms",
      description: "How long entries of a table's log are kept once a checkpoint replaces them (time travel)",
    }),
  },
  { additionalProperties: false },
);

export type TablesConfig = Readonly<Static<typeof tablesConfigSchema>>;
