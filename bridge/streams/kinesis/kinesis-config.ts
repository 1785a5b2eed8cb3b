import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";

const mib = 1024 * 1024;

/** Defaults are the quotas of Kinesis Data Streams: 1,000 records and 1 MiB written, 2 MiB and 5 calls read per shard and second. */
export const kinesisConfigSchema = Type.Object(
  {
    create: Type.Boolean({
      default: false,
      description: "Whether a stream that is missing is created, with stream.partitionCount shards",
    }),
    timeoutMs: Type.Integer({
      default: 5000,
      minimum: 100,
      unit: "ms",
      description:
        "A call that Kinesis has not answered after this long has failed; its blocks are appended again",
    }),
    callsInFlightMax: Type.Integer({
      default: 8,
      minimum: 1,
      maximum: 64,
      description: "PutRecords calls that wait for an answer at the same time",
    }),
    gatherMs: Type.Integer({
      default: 50,
      minimum: 0,
      maximum: 1000,
      unit: "ms",
      description:
        "PutRecords calls begin this far apart at least: each costs a millisecond of CPU, however little it carries",
    }),
    shardRecordsPerSecond: Type.Integer({
      default: 1000,
      minimum: 1,
      unit: "records/s",
      description: "What this process writes to a shard at most",
    }),
    shardBytesPerSecond: Type.Integer({
      default: mib,
      minimum: mib,
      unit: "bytes/s",
      description: "What this process writes to a shard at most",
    }),
    pollMs: Type.Integer({
      default: 250,
      minimum: 10,
      unit: "ms",
      description: "How often a shard of which everything was read is looked at",
    }),
    catchUpMs: Type.Integer({
      default: 200,
      minimum: 1,
      unit: "ms",
      description: "How long after a call a shard that holds more is read again, at least",
    }),
    shardReadBytesPerSecond: Type.Integer({
      default: 2 * mib,
      minimum: mib,
      unit: "bytes/s",
      description: "What this process reads of a shard at most",
    }),
    readBufferBytes: Type.Integer({
      default: 8 * mib,
      minimum: mib,
      unit: "bytes",
      description: "Blocks of one shard that are held for the consumer; above it the shard is not read on",
    }),
    shardRefreshMs: Type.Integer({
      default: 60_000,
      minimum: 100,
      unit: "ms",
      description: "How often the stream's shards and settings are looked at",
    }),
    retentionMinHours: Type.Integer({
      default: 24,
      minimum: 1,
      unit: "hours",
      description: "The status warns of a stream that keeps records for a shorter time",
    }),
    createTimeoutMs: Type.Integer({
      default: 120_000,
      minimum: 1000,
      unit: "ms",
      description: "How long a stream that is being created is waited for",
    }),
  },
  { additionalProperties: false },
);

export type KinesisConfig = Readonly<Static<typeof kinesisConfigSchema>>;

/** Defaults for what is not given. */
export function kinesisConfigOf(options: Partial<KinesisConfig>): KinesisConfig {
  const names = Object.keys(kinesisConfigSchema.properties);
  const given = Object.entries(options).filter(
    ([name, value]) => names.includes(name) && value !== undefined,
  );
  return { ...Value.Create(kinesisConfigSchema), ...Object.fromEntries(given) };
}
