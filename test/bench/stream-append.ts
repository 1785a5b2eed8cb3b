/**
 * Measures CPU per message on the stream's side: packing, appending durably through the producer, reading,
 * decoding. Prints one JSON object; µs are CPU time of this process, all threads, kernel included.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { pino } from "pino";
import { Registry } from "prom-client";
import { encodeBlock } from "../../bridge/block/block-builder.ts";
import { maxBlockBytes } from "../../bridge/block/block-format.ts";
import { decodeBlock } from "../../bridge/block/decode-block.ts";
import { createProducer } from "../../bridge/producer/producer.ts";
import { producerConfigSchema } from "../../bridge/producer/producer-config.ts";
import { parseRedisUrl } from "../../bridge/redis/redis-url.ts";
import { openEmbeddedStream } from "../../bridge/streams/embedded/embedded-stream.ts";
import { createEmbeddedStream } from "../../bridge/streams/embedded/stream-folder.ts";
import { createRedisStream } from "../../bridge/streams/redis/create-stream.ts";
import { openRedisStream } from "../../bridge/streams/redis/redis-stream.ts";
import { type StreamLog, startPosition } from "../../bridge/streams/stream-log.ts";
import { RedisServer } from "../support/redis-server.ts";
import {
  benchPaced,
  burst,
  devices,
  measure,
  messageAt,
  messagesPerBlock,
  payloadBytes,
  rounded,
  seal,
} from "../support/stream-bench.ts";

const partitionCount = 4;
const burstMessages = 1_000_000;

async function benchCodec(): Promise<Record<string, number>> {
  const perBlock = messagesPerBlock;
  const blocks = 2000;
  const batch = Array.from({ length: perBlock }, (_, index) => messageAt(index));
  let encoded = encodeBlock(seal, batch, maxBlockBytes);
  const rounds = (work: () => void) => () => {
    for (let block = 0; block < blocks; block++) work();
  };
  const encode = rounds(() => {
    encoded = encodeBlock(seal, batch, maxBlockBytes);
  });
  const decode = rounds(() => void decodeBlock(encoded));
  encode();
  decode();
  return {
    encodeUs: rounded((await measure(perBlock * blocks, encode)).cpuUs),
    decodeUs: rounded((await measure(perBlock * blocks, decode)).cpuUs),
    bytesPerMessage: rounded(encoded.length / perBlock),
  };
}

async function readEverything(stream: StreamLog): Promise<number> {
  let count = 0;
  for (const { partition } of stream.partitions.all) {
    for (let after = (await stream.partitionState(partition)).trimmedUpTo; ; ) {
      const entries = await stream.read(partition, after, { maxBytes: 1024 * 1024, maxEntries: 256 });
      for (const entry of entries) {
        count += decodeBlock(entry.block).messages.length;
        after = entry.position;
      }
      if (entries.length === 0) break;
    }
  }
  return count;
}

async function trimEverything(stream: StreamLog): Promise<void> {
  for (const { partition } of stream.partitions.all)
    await stream.trim(partition, (await stream.partitionState(partition)).highest ?? startPosition);
}

/** Appends prepared blocks, one in flight per partition: the cost of the stream alone. */
async function benchAppendAlone(stream: StreamLog): Promise<number> {
  const batch = Array.from({ length: messagesPerBlock }, (_, index) => messageAt(index));
  const block = encodeBlock(seal, batch, maxBlockBytes);
  const blocks = 2000;
  let cpuUs = 0;
  // The last round is measured, when everything is warmed up.
  for (let round = 0; round < 3; round++) {
    const cost = await measure(blocks * messagesPerBlock, async () => {
      for (let index = 0; index < blocks; index += partitionCount)
        await Promise.all(
          Array.from({ length: partitionCount }, (_, partition) => stream.append(partition, block)),
        );
    });
    cpuUs = cost.cpuUs;
    await trimEverything(stream);
  }
  return rounded(cpuUs);
}

interface BenchStream {
  readonly stream: StreamLog;
  /** CPU that a server took so far, in µs; 0 if there is no server. */
  readonly serverCpuUs: () => Promise<number>;
  readonly remove: () => Promise<void>;
}

async function embeddedStream(): Promise<BenchStream> {
  const root = mkdtempSync(join(tmpdir(), "tidegate-bench-"));
  const folder = join(root, "stream");
  await createEmbeddedStream({ folder, partitionCount });
  const stream = await openEmbeddedStream({
    folder,
    mode: "append",
    reserveBytes: 0,
    onFatal: (error) => {
      throw error;
    },
  });
  return { stream, serverCpuUs: async () => 0, remove: async () => rmSync(root, { recursive: true }) };
}

async function redisStream(): Promise<BenchStream> {
  const server = await RedisServer.start({ maxmemory: "2gb" });
  const admin = server.client();
  const target = parseRedisUrl(server.url);
  const options = { target, timeoutMs: 5000, logger: pino({ level: "silent" }) };
  await createRedisStream({ ...options, partitionCount });
  const stream = await openRedisStream({ ...options, mode: "append" });
  return {
    stream,
    serverCpuUs: async () => {
      const info = await admin.info("cpu");
      const seconds = [...info.matchAll(/used_cpu_(?:sys|user):(\S+)/g)].map(([, text]) => Number(text));
      return seconds.reduce((sum, each) => sum + each, 0) * 1e6;
    },
    remove: async () => {
      admin.disconnect();
      await server.destroy();
    },
  };
}

async function benchStream(create: () => Promise<BenchStream>): Promise<Record<string, number>> {
  const { stream, serverCpuUs, remove } = await create();
  const config = Value.Create(producerConfigSchema);
  const logger = pino({ level: "silent" });
  const producer = createProducer({ stream, config, logger, registry: new Registry() });
  await burst(producer, burstMessages / 10);
  await trimEverything(stream);
  const appendAloneUs = await benchAppendAlone(stream);
  const serverBefore = await serverCpuUs();
  const bursting = await measure(burstMessages, () => burst(producer, burstMessages));
  const serverAppended = await serverCpuUs();
  const reading = await measure(burstMessages, async () => void (await readEverything(stream)));
  const serverRead = await serverCpuUs();
  await trimEverything(stream);
  const paced = await benchPaced(producer);
  await producer.close();
  await stream.close();
  await remove();
  return {
    appendAloneUs,
    burstAppendUs: rounded(bursting.cpuUs),
    burstServerUs: rounded((serverAppended - serverBefore) / burstMessages),
    burstMessagesPerSecond: Math.round((burstMessages / bursting.elapsedMs) * 1000),
    readDecodeUs: rounded(reading.cpuUs),
    readServerUs: rounded((serverRead - serverAppended) / burstMessages),
    ...paced,
  };
}

const codec = await benchCodec();
const embedded = await benchStream(embeddedStream);
const redis = await benchStream(redisStream);
process.stdout.write(`${JSON.stringify({ payloadBytes, devices, codec, embedded, redis })}\n`);
