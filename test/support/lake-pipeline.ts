import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { Registry } from "prom-client";
import { encodeBlock } from "../../bridge/block/block-builder.ts";
import { type BlockMessage, maxBlockBytes } from "../../bridge/block/block-format.ts";
import { openCommitLog } from "../../bridge/lake/commit-log/lake-commit-log.ts";
import { type Consumer, createConsumer } from "../../bridge/lake/consumer/consumer.ts";
import type { ConsumerConfig } from "../../bridge/lake/consumer/consumer-config.ts";
import type { ConsumerOptions } from "../../bridge/lake/consumer/consumer-options.ts";
import { createTablePublisher } from "../../bridge/lake/delta/table-publisher.ts";
import { createParquetBatchWriter } from "../../bridge/lake/parquet/batch-writer.ts";
import { runQuery } from "../../bridge/lake/query/run-query.ts";
import { createSeedSource } from "../../bridge/lake/seeding/lake-seed-source.ts";
import { openLocalStore } from "../../bridge/lake/stores/local/local-store.ts";
import { openTopicCatalog, writeTopicVersion } from "../../bridge/lake/topic-versions.ts";
import { createMemoryWindow } from "../../bridge/lake/window/memory/memory-window.ts";
import type { Position, StreamLog } from "../../bridge/streams/stream-log.ts";
import { blockTime } from "./block-time.ts";
import { topicVersion } from "./topic-version.ts";

const mib = 1024 * 1024;
const config: ConsumerConfig = {
  maxBatchBytes: 16 * mib,
  maxBatchAgeMs: 200,
  readMaxBytes: mib,
  readMaxEntries: 8,
  retryMaxMs: 500,
};
const silent = pino({ level: "silent" });

/** The consumer as it runs in production, on the stream and the lake of a folder. */
export async function openConsumer(
  folder: string,
  stream: StreamLog,
  ports: Partial<Omit<ConsumerOptions, "config">> & { config?: Partial<ConsumerConfig> } = {},
): Promise<Consumer> {
  const store = await openLocalStore(join(folder, "lake"));
  const commitLog = await openCommitLog(store, { create: false });
  const topics = await openTopicCatalog(store);
  const partitionCount = stream.partitions.all.length;
  return createConsumer({
    stream,
    window: createMemoryWindow({ maxBytes: 64 * mib, partitionCount }),
    commitLog,
    publisher: createTablePublisher({ store, commitLog, topics, logger: silent, registry: new Registry() }),
    batch: createParquetBatchWriter({ store, directBytes: 0 }),
    seeds: createSeedSource({ store, commitLog }),
    topics,
    trim: (partition, upTo) => stream.trim(partition, upTo),
    logger: silent,
    registry: new Registry(),
    now: Date.now,
    elapsedMs: () => performance.now(),
    random: Math.random,
    ...ports,
    config: { ...config, ...ports.config },
  });
}

/** A temporary folder with a lake that knows the test's topic. */
export async function newLakeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-pipeline-"));
  const store = await openLocalStore(join(folder, "lake"));
  await openCommitLog(store, { create: true });
  await writeTopicVersion(store, { ...topicVersion() });
  return folder;
}

/** A stream, a lake in a temporary folder, and blocks as a broker would append them. */
export class LakePipeline {
  readonly folder: string;
  readonly stream: StreamLog;
  readonly #producers: { sequence: number; messages: number; acknowledgedAtMs: number }[];

  protected constructor(folder: string, stream: StreamLog) {
    this.folder = folder;
    this.stream = stream;
    this.#producers = stream.partitions.all.map(() => ({ sequence: 0, messages: 0, acknowledgedAtMs: 0 }));
  }

  /**
   * Opens a pipeline on the caller's stream, with a folder for the stream's needs. Closing the pipeline
   * closes the stream.
   */
  static async on(openStream: (folder: string) => Promise<StreamLog>): Promise<LakePipeline> {
    const folder = await newLakeFolder();
    return new LakePipeline(folder, await openStream(folder));
  }

  /** Appends messages as one acknowledged block. */
  async append(partition: number, messages: readonly BlockMessage[]): Promise<Position> {
    const producer = this.#producers[partition];
    if (!producer) throw new RangeError(`no partition ${partition}`);
    const seal = {
      streamId: this.stream.streamId,
      producerId: "00000000000000aa",
      partition,
      sequence: producer.sequence + 1,
      lastAcknowledgedSequence: producer.sequence,
      acknowledgedMessages: producer.messages,
      time: blockTime(Date.now(), { acknowledgedAtMs: producer.acknowledgedAtMs }),
    };
    producer.sequence += 1;
    producer.messages += messages.length;
    const position = await this.stream.append(partition, encodeBlock(seal, messages, maxBlockBytes));
    producer.acknowledgedAtMs = blockTime(Date.now() + 1).stampMs;
    return position;
  }

  /** Runs a consumer until everything is filed. */
  async drain(): Promise<Consumer> {
    const consumer = await openConsumer(this.folder, this.stream);
    const run = consumer.run();
    await consumer.stop({ drain: true });
    await run;
    return consumer;
  }

  async query(sql: string): Promise<readonly (readonly unknown[])[]> {
    const store = await openLocalStore(join(this.folder, "lake"));
    return (await runQuery(sql, { store })).rows;
  }

  async close(): Promise<void> {
    await this.stream.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** A json message with this id, of one of ten devices of the partition. */
export function numbered(
  partition: number,
  number: number,
  more: Readonly<Record<string, unknown>> = {},
): BlockMessage {
  const deviceId = `device-${partition}-${number % 10}`;
  const payload = Buffer.from(JSON.stringify({ id: `m${number}`, ts: Date.UTC(2026, 10, 22), ...more }));
  return {
    topicId: "t1",
    topicVersion: 1,
    topicName: `fleet/${deviceId}/telemetry`,
    deviceId,
    qos: 1,
    payload,
  };
}
