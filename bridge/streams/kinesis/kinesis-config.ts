import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";

const mib = 1024 * 1024;

/**
 * Defaults are the quotas of Kinesis Data Streams per shard and second: writing 1,000 records and 1 MiB,
 * reading 2 MiB in 5 calls.
 */
export const kinesisConfigSchema = Type.Object(
  {
    create: Type.Boolean({
      default: false,
      description: "Create a missing stream, with stream.partitionCount shards",
    }),
    timeoutMs: Type.Integer({
      default: 5000,
      minimum: 100,
      unit: "ms",
      description:
        "Longest wait for an answer of Kinesis. A call without an answer fails, and its blocks are appended again",
    }),
    callsInFlightMax: Type.Integer({
      default: 8,
      minimum: 1,
      maximum: 64,
      description: "PutRecords calls in flight at the same time",
    }),
    gatherMs: Type.Integer({
      default: 50,
      minimum: 0,
      maximum: 1000,
      unit: "ms",
      description:
        "Shortest time between the starts of PutRecords calls; each call costs about a millisecond of CPU",
    }),
    shardRecordsPerSecond: Type.Integer({
      default: 1000,
      minimum: 1,
      unit: "records/s",
      description: "Most that this process writes to a shard",
    }),
    shardBytesPerSecond: Type.Integer({
      default: mib,
      minimum: mib,
      unit: "bytes/s",
      description: "Most that this process writes to a shard",
    }),
    pollMs: Type.Integer({
      default: 250,
      minimum: 10,
      unit: "ms",
      description: "Time between polls of a shard that was read to its end",
    }),
    catchUpMs: Type.Integer({
      default: 200,
      minimum: 1,
      unit: "ms",
      description: "Shortest time between two reads of a shard that holds more records",
    }),
    shardReadBytesPerSecond: Type.Integer({
      default: 2 * mib,
      minimum: mib,
      unit: "bytes/s",
      description: "Most that this process reads from a shard",
    }),
    readBufferBytes: Type.Integer({
      default: 8 * mib,
      minimum: mib,
      unit: "bytes",
      description:
        "Blocks of one shard that are buffered for the consumer. Above this limit, reading the shard pauses",
    }),
    shardRefreshMs: Type.Integer({
      default: 60_000,
      minimum: 100,
      unit: "ms",
      description: "Time between checks of the stream's shards and settings",
    }),
    retentionMinHours: Type.Integer({
      default: 24,
      minimum: 1,
      unit: "hours",
      description: "Retention of the stream below which the status warns",
    }),
    createTimeoutMs: Type.Integer({
      default: 120_000,
      minimum: 1000,
      unit: "ms",
      description: "Longest wait for a stream that is being created",
    }),
  },
  { additionalProperties: false },
);

export type KinesisConfig = Readonly<Static<typeof kinesisConfigSchema>>;

/** The given settings, completed with defaults. */
export function kinesisConfigOf(options: Partial<KinesisConfig>): KinesisConfig {
  const names = Object.keys(kinesisConfigSchema.properties);
  const given = Object.entries(options).filter(
    ([name, value]) => names.includes(name) && value !== undefined,
  );
  return { ...Value.Create(kinesisConfigSchema), ...Object.fromEntries(given) };
}
