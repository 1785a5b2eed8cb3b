/**
 * Measures the stream on kinesalite: this process's cost of appending, and the requests of a typical fleet to
 * its shards. Prints one JSON object; µs are CPU time of this process, all threads, kernel included. The
 * elapsed time is mostly that of kinesalite.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Value } from "@sinclair/typebox/value";
import { pino } from "pino";
import { Registry } from "prom-client";
import { encodeBlock } from "../../bridge/block/block-builder.ts";
import { maxBlockBytes } from "../../bridge/block/block-format.ts";
import { decodeBlock } from "../../bridge/block/decode-block.ts";
import { createProducer } from "../../bridge/producer/producer.ts";
import { producerConfigSchema } from "../../bridge/producer/producer-config.ts";
import type { KinesisStream } from "../../bridge/streams/kinesis/kinesis-stream.ts";
import { startPosition } from "../../bridge/streams/stream-log.ts";
import { KinesisUnderTest } from "../support/kinesis-stream.ts";
import {
  benchPaced,
  devices,
  measure,
  messageAt,
  messagesPerBlock,
  pacedSeconds,
  payloadBytes,
  rounded,
  seal,
} from "../support/stream-bench.ts";

const shardCount = 6;
const callsPerRound = 100;

/**
 * Appends prepared blocks, one in flight per shard. Measures the last round, when everything is warmed up.
 */
async function benchAppendAlone(stream: KinesisStream): Promise<number> {
  const batch = Array.from({ length: messagesPerBlock }, (_, index) => messageAt(index));
  const block = encodeBlock(seal, batch, maxBlockBytes);
  const shards = [...Array(shardCount).keys()];
  let cpuUs = 0;
  for (let round = 0; round < 3; round++) {
    const cost = await measure(callsPerRound * shardCount * messagesPerBlock, async () => {
      for (let call = 0; call < callsPerRound; call++)
        await Promise.all(shards.map((shard) => stream.append(shard, block)));
    });
    cpuUs = cost.cpuUs;
  }
  return rounded(cpuUs);
}

/** Reads and decodes all records of one shard. */
async function benchRead(stream: KinesisStream): Promise<number> {
  let messages = 0;
  const cost = await measure(1, async () => {
    for (let after = startPosition; ; ) {
      const entries = await stream.read(0, after, { maxBytes: 1024 * 1024, maxEntries: 256 });
      for (const { block, position } of entries) {
        messages += decodeBlock(block).messages.length;
        after = position;
      }
      const { behindMs } = await stream.partitionState(0);
      if (entries.length === 0 && behindMs === 0) return;
      if (entries.length === 0) await stream.waitForAppend(1000, [0]);
    }
  });
  return rounded(cost.cpuUs / messages);
}

/** The producer's and the bench's own share of that cost: a stream that costs nothing. */
async function benchProducerAlone(stream: KinesisStream): Promise<number> {
  const { streamId, partitions } = stream;
  const append = async () => await sleep(50, "1");
  const nothing = { streamId, partitions, append, onPartitionsChange: () => {} };
  const producer = createProducer({
    stream: nothing,
    config: Value.Create(producerConfigSchema),
    logger: pino({ level: "silent" }),
    registry: new Registry(),
  });
  const { pacedAppendUs = 0 } = await benchPaced(producer);
  await producer.close();
  return pacedAppendUs;
}

async function benchFleet(stream: KinesisStream, registry: Registry): Promise<Record<string, number>> {
  const config = Value.Create(producerConfigSchema);
  const producer = createProducer({
    stream,
    config,
    logger: pino({ level: "silent" }),
    registry: new Registry(),
  });
  const counted = async (name: string) => {
    const metric = await registry.getSingleMetric(`tidegate_stream_kinesis_${name}_total`)?.get();
    return metric?.values[0]?.value ?? 0;
  };
  const names = ["appended_blocks", "appended_bytes", "append_calls"];
  const before = await Promise.all(names.map(counted));
  const paced = await benchPaced(producer);
  const after = await Promise.all(names.map(counted));
  const seconds = pacedSeconds + 3;
  const [records = 0, bytes = 0, calls = 0] = after.map(
    (count, index) => (count - (before[index] ?? 0)) / seconds,
  );
  await producer.close();
  return {
    ...paced,
    recordsPerShardAndSecond: rounded(records / shardCount),
    bytesPerShardAndSecond: Math.round(bytes / shardCount),
    callsPerSecond: rounded(calls),
  };
}

const kinesis = await KinesisUnderTest.start("kinesalite");
const streams = [await kinesis.stream(shardCount), await kinesis.stream(shardCount)] as const;
const registry = new Registry();
const direct = { target: { ...streams[0].target, endpoint: kinesis.server.url } };
const fleetTarget = { ...streams[1].target, endpoint: kinesis.server.url };
const alone = await streams[0].open(direct);
const appendAloneUs = await benchAppendAlone(alone);
const readDecodeUs = await benchRead(alone);
// This reader would read ahead for a while.
await alone.close();
// With the quotas of real shards.
const fleet = await streams[1].open({
  target: fleetTarget,
  registry,
  gatherMs: 50,
  shardRecordsPerSecond: 1000,
  shardBytesPerSecond: 1024 * 1024,
});
const textbook = await benchFleet(fleet, registry);
const producerAloneUs = await benchProducerAlone(fleet);
await fleet.close();
await kinesis.destroy();
process.stdout.write(
  `${JSON.stringify({ payloadBytes, devices, shardCount, appendAloneUs, readDecodeUs, producerAloneUs, textbook })}\n`,
);
