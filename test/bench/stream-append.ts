/**
 * CPU per message on the stream's side of the path: packing, appending durably through the producer, reading, decoding.
 * Prints one JSON object; µs are CPU time of this process, all threads, kernel included.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Value } from "@sinclair/typebox/value";
import { pino } from "pino";
import { Registry } from "prom-client";
import { encodeBlock } from "../../bridge/block/block-builder.ts";
import { type BlockMessage, MAX_BLOCK_BYTES } from "../../bridge/block/block-format.ts";
import { decodeBlock } from "../../bridge/block/decode-block.ts";
import { createProducer, type Producer } from "../../bridge/producer/producer.ts";
import { producerConfigSchema } from "../../bridge/producer/producer-config.ts";
import { openEmbeddedStream } from "../../bridge/streams/embedded/embedded-stream.ts";
import { createEmbeddedStream } from "../../bridge/streams/embedded/stream-folder.ts";
import type { StreamLog } from "../../bridge/streams/stream-log.ts";

const devices = 10_000;
const payloadBytes = 100;
const burstMessages = 1_000_000;
const pacedPerSecond = 16_700;
const pacedSeconds = 10;
const warmUpSeconds = 3;

const messages: readonly BlockMessage[] = Array.from({ length: devices }, (_, device) => ({
  topicId: "01b4c8d2-telemetry",
  topicVersion: 1,
  topicName: `fleet/device-${device}/telemetry`,
  deviceId: `device-${device}`,
  qos: 1,
  payload: Buffer.alloc(payloadBytes, device),
}));

function messageAt(index: number): BlockMessage {
  const message = messages[(index * 7919) % devices];
  if (!message) throw new RangeError(`no message ${index}`);
  return message;
}

/** CPU of the work in µs per message, and its time in ms. */
async function measure(
  count: number,
  work: () => Promise<void> | void,
): Promise<{ cpuUs: number; elapsedMs: number }> {
  const before = process.cpuUsage();
  const startedAt = performance.now();
  await work();
  const { user, system } = process.cpuUsage(before);
  return { cpuUs: (user + system) / count, elapsedMs: performance.now() - startedAt };
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

async function benchCodec(): Promise<Record<string, number>> {
  const seal = {
    streamId: "0".repeat(32),
    producerId: "0".repeat(16),
    partition: 0,
    sequence: 1,
    lastAcknowledgedSequence: 0,
    acknowledgedMessages: 0,
    baseTimeMs: 0,
  };
  const perBlock = 450;
  const blocks = 2000;
  const batch = Array.from({ length: perBlock }, (_, index) => messageAt(index));
  let encoded = encodeBlock(seal, batch, MAX_BLOCK_BYTES);
  const rounds = (work: () => void) => () => {
    for (let block = 0; block < blocks; block++) work();
  };
  const encode = rounds(() => {
    encoded = encodeBlock(seal, batch, MAX_BLOCK_BYTES);
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

/** Accepts as fast as the producer takes messages; resolves once all of them are durable. */
async function burst(producer: Producer, count: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    let accepted = 0;
    let settled = 0;
    const accept = (): void => {
      for (let turn = 0; turn < 1000 && accepted < count && !producer.isFull; turn++, accepted++) {
        producer.accept(messageAt(accepted), (error) => {
          if (error) reject(error);
          settled += 1;
          if (settled === count) resolve();
        });
      }
      if (accepted < count && !producer.isFull) setImmediate(accept);
    };
    producer.onDrain(() => setImmediate(accept));
    accept();
  });
}

/** Calls at the textbook rate, a millisecond's worth at a time. Answers how often it called. */
async function atPace(seconds: number, call: (index: number) => void): Promise<number> {
  const startedAt = performance.now();
  let count = 0;
  while (performance.now() - startedAt < seconds * 1000) {
    const due = ((performance.now() - startedAt) / 1000) * pacedPerSecond;
    while (count < due) call(count++);
    await sleep(1);
  }
  return count;
}

async function benchPaced(producer: Producer): Promise<Record<string, number>> {
  const latencies: number[] = [];
  const accept = (index: number): void => {
    const acceptedAt = performance.now();
    producer.accept(messageAt(index), () => latencies.push(performance.now() - acceptedAt));
  };
  await atPace(warmUpSeconds, accept);
  await producer.flush();
  latencies.length = 0;
  const blocksBefore = producer.status().totals.appendedBlocks;
  let count = 0;
  const cost = await measure(1, async () => {
    count = await atPace(pacedSeconds, accept);
    await producer.flush();
  });
  const generator = await measure(count, async () => void (await atPace(pacedSeconds, () => {})));
  const blocks = producer.status().totals.appendedBlocks - blocksBefore;
  latencies.sort((left, right) => left - right);
  return {
    pacedMessagesPerSecond: Math.round((count / cost.elapsedMs) * 1000),
    pacedAppendUs: rounded(cost.cpuUs / count - generator.cpuUs),
    pacedGeneratorUs: rounded(generator.cpuUs),
    pacedMessagesPerBlock: Math.round(count / blocks),
    pacedLatencyP50Ms: rounded(latencies[Math.floor(latencies.length * 0.5)] ?? 0),
    pacedLatencyP99Ms: rounded(latencies[Math.floor(latencies.length * 0.99)] ?? 0),
  };
}

async function readEverything(stream: StreamLog): Promise<number> {
  let count = 0;
  for (let partition = 0; partition < stream.partitionCount; partition++) {
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
  for (let partition = 0; partition < stream.partitionCount; partition++)
    await stream.trim(partition, (await stream.partitionState(partition)).highest);
}

async function benchStream(): Promise<Record<string, number>> {
  const root = mkdtempSync(join(tmpdir(), "tidegate-bench-"));
  const folder = join(root, "stream");
  await createEmbeddedStream({ folder, partitionCount: 4 });
  const stream = await openEmbeddedStream({
    folder,
    mode: "append",
    reserveBytes: 0,
    onFatal: (error) => {
      throw error;
    },
  });
  const config = Value.Create(producerConfigSchema);
  const logger = pino({ level: "silent" });
  const producer = createProducer({ stream, config, logger, registry: new Registry() });
  await burst(producer, burstMessages / 10);
  await trimEverything(stream);
  const bursting = await measure(burstMessages, () => burst(producer, burstMessages));
  const reading = await measure(burstMessages, async () => void (await readEverything(stream)));
  await trimEverything(stream);
  const paced = await benchPaced(producer);
  await producer.close();
  await stream.close();
  rmSync(root, { recursive: true });
  return {
    burstAppendUs: rounded(bursting.cpuUs),
    burstMessagesPerSecond: Math.round((burstMessages / bursting.elapsedMs) * 1000),
    readDecodeUs: rounded(reading.cpuUs),
    ...paced,
  };
}

const codec = await benchCodec();
const embedded = await benchStream();
process.stdout.write(`${JSON.stringify({ payloadBytes, devices, codec, embedded })}\n`);
