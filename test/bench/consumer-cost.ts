/**
 * Measures CPU per message in the consumer: first decoding and deduplicating alone, then everything up to
 * committed Parquet files. Messages are json and envelope, with payloads of 100 bytes. Then measures a
 * restart that seeds the window from those files. MESSAGES=n sets the number of messages (default 1 million).
 * Prints one JSON object; µs are CPU time of this process, all threads, kernel included.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { pino } from "pino";
import { Registry } from "prom-client";
import { encodeBlock } from "../../bridge/block/block-builder.ts";
import { type BlockMessage, maxBlockBytes } from "../../bridge/block/block-format.ts";
import type { BatchWriter } from "../../bridge/lake/batch-writer.ts";
import { openCommitLog } from "../../bridge/lake/commit-log/lake-commit-log.ts";
import { createConsumer } from "../../bridge/lake/consumer/consumer.ts";
import { consumerConfigSchema } from "../../bridge/lake/consumer/consumer-config.ts";
import { createTablePublisher } from "../../bridge/lake/delta/table-publisher.ts";
import { createParquetBatchWriter } from "../../bridge/lake/parquet/batch-writer.ts";
import { createSeedSource } from "../../bridge/lake/seeding/lake-seed-source.ts";
import { openLocalStore } from "../../bridge/lake/stores/local/local-store.ts";
import { openTopicCatalog, writeTopicVersion } from "../../bridge/lake/topic-versions.ts";
import { createMemoryWindow } from "../../bridge/lake/window/memory/memory-window.ts";
import type { TopicVersion } from "../../bridge/topics/topic-catalog.ts";
import { encodeEnvelope } from "../../devices/protocol/telemetry-envelope.ts";
import { blockTime } from "../support/block-time.ts";
import { MemoryStream } from "../support/memory-stream.ts";

const messages = Number(process.env["MESSAGES"] ?? 1_000_000);
const perBlock = 450;
const devices = 10_000;
const partitionCount = 4;
const logger = pino({ level: "silent" });

type Format = "json" | "envelope";

function topicOf(format: Format): TopicVersion {
  const paths = { idPath: "id", timePath: "ts", schema: null, columns: [] };
  return {
    topicId: `bench-${format}`,
    version: 1,
    name: format,
    format,
    ...paths,
    dedupeWindowMs: 3_600_000,
  };
}

function payloadOf(format: Format, number: number): Uint8Array {
  const ts = Date.now();
  const temperature = 20 + (number % 1000) / 100;
  if (format === "json")
    return Buffer.from(
      JSON.stringify({ id: `a81f03c2-${number}`, ts, temperature, humidity: 41.5, volts: 3.71, ok: true }),
    );
  const messageId = Buffer.alloc(16);
  messageId.writeUInt32LE(number, 8);
  const payload = Buffer.alloc(72, number & 255);
  return encodeEnvelope({ messageId, eventTimeMs: ts, contentType: "", payload });
}

/** Wall clock of the first block. */
const filledAtMs = 1_700_000_000_000;

function fill(stream: MemoryStream, format: Format): void {
  const { topicId } = topicOf(format);
  const sequences = Array.from({ length: partitionCount }, () => 0);
  for (let start = 0, block = 0; start < messages; start += perBlock, block++) {
    const partition = block % partitionCount;
    const sequence = (sequences[partition] ?? 0) + 1;
    const batch = Array.from({ length: Math.min(perBlock, messages - start) }, (_, index): BlockMessage => {
      const number = start + index;
      const deviceId = `device-${(number * 7919) % devices}`;
      const payload = payloadOf(format, number);
      return {
        topicId,
        topicVersion: 1,
        topicName: `fleet/${deviceId}/telemetry`,
        deviceId,
        qos: 1,
        payload,
      };
    });
    const seal = {
      streamId: stream.streamId,
      producerId: "00000000000000aa",
      partition,
      sequence,
      lastAcknowledgedSequence: sequence - 1,
      acknowledgedMessages: (sequence - 1) * perBlock,
      time: blockTime(filledAtMs + block, { acknowledgedAtMs: blockTime(filledAtMs + block).stampMs }),
    };
    sequences[partition] = sequence;
    stream.store(partition, encodeBlock(seal, batch, maxBlockBytes));
  }
}

/** Counts rows and drops them, so that only the consumer's own work is measured. */
function countingWriter(): BatchWriter {
  let rows = 0;
  const count = () => {
    rows += 1;
  };
  const empty = async () => {
    rows = 0;
  };
  return {
    add: count,
    quarantine: count,
    get rows() {
      return rows;
    },
    get bytes() {
      return rows * 150;
    },
    write: async () => {
      await empty();
      return { tables: {} };
    },
    discard: empty,
    probe: empty,
  };
}

async function drain(folder: string, stream: MemoryStream, writesFiles: boolean) {
  const store = await openLocalStore(folder);
  for (const format of ["json", "envelope"] as const) await writeTopicVersion(store, { ...topicOf(format) });
  const commitLog = await openCommitLog(store, { create: true });
  const topics = await openTopicCatalog(store);
  const handle = stream.open();
  const window = createMemoryWindow({ maxBytes: 1024 ** 3, partitionCount });
  const consumer = createConsumer({
    stream: handle,
    window,
    commitLog,
    publisher: createTablePublisher({ store, commitLog, topics, logger, registry: new Registry() }),
    batch: writesFiles ? createParquetBatchWriter({ store, directBytes: 0 }) : countingWriter(),
    seeds: createSeedSource({ store, commitLog }),
    topics,
    trim: (partition, upTo) => handle.trim(partition, upTo),
    config: Value.Create(consumerConfigSchema),
    logger,
    registry: new Registry(),
    now: Date.now,
    elapsedMs: () => performance.now(),
    random: Math.random,
  });
  const before = process.cpuUsage();
  const startedAt = performance.now();
  const run = consumer.run();
  await consumer.stop({ drain: true });
  await run;
  const { user, system } = process.cpuUsage(before);
  const { ids } = await window.status();
  return { cpuMs: (user + system) / 1000, elapsedMs: performance.now() - startedAt, ids };
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

async function withFolder<Result>(body: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-bench-"));
  try {
    return await body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function perMessage({ cpuMs, elapsedMs }: { cpuMs: number; elapsedMs: number }) {
  return { cpuUs: rounded((cpuMs * 1000) / messages), elapsedUs: rounded((elapsedMs * 1000) / messages) };
}

async function bench(format: Format): Promise<object> {
  const stream = new MemoryStream({ partitionCount });
  fill(stream, format);
  const decodeAndDedupe = await withFolder((folder) => drain(folder, stream, false));
  return withFolder(async (folder) => {
    const files = new MemoryStream({ partitionCount });
    fill(files, format);
    const all = await drain(folder, files, true);
    const seeding = await drain(folder, files, true);
    return {
      decodeAndDedupe: perMessage(decodeAndDedupe),
      intoFiles: perMessage(all),
      seeding: { ids: seeding.ids, ...perMessage(seeding) },
    };
  });
}

process.stdout.write(
  `${JSON.stringify({ messages, json: await bench("json"), envelope: await bench("envelope") })}\n`,
);
