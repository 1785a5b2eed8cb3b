import { pino } from "pino";
import { Registry } from "prom-client";
import { encodeBlock } from "../../bridge/block/block-builder.ts";
import { type BlockMessage, type BlockSeal, maxBlockBytes } from "../../bridge/block/block-format.ts";
import type { CommitEntry, Move } from "../../bridge/lake/commit-log/commit-log.ts";
import { LakeCommitLog } from "../../bridge/lake/commit-log/lake-commit-log.ts";
import type { LakeSnapshot, StoredEntry } from "../../bridge/lake/commit-log/lake-schemas.ts";
import { type Consumer, createConsumer } from "../../bridge/lake/consumer/consumer.ts";
import type { ConsumerConfig } from "../../bridge/lake/consumer/consumer-config.ts";
import type { ConsumerOptions } from "../../bridge/lake/consumer/consumer-options.ts";
import { createTablePublisher } from "../../bridge/lake/delta/table-publisher.ts";
import { createSeedSource } from "../../bridge/lake/seeding/lake-seed-source.ts";
import type { TablePublisher } from "../../bridge/lake/table-publishing.ts";
import type { DedupWindow } from "../../bridge/lake/window/dedup-window.ts";
import { createMemoryWindow } from "../../bridge/lake/window/memory/memory-window.ts";
import { partitionKey } from "../../bridge/streams/partition-key.ts";
import { type PartitionState, type Position, startPosition } from "../../bridge/streams/stream-log.ts";
import type { TopicVersion } from "../../bridge/topics/topic-catalog.ts";
import { blockTime } from "./block-time.ts";
import { type CommittedRow, committedRows } from "./committed-rows.ts";
import { firstVersionOf } from "./first-version-block.ts";
import { dataFileName, JsonBatchWriter, jsonCheckpoints, readJsonSeedRows } from "./json-lake.ts";
import { MemoryObjectStore, type StoreFault, type StoreOperation } from "./memory-object-store.ts";
import { MemoryStream } from "./memory-stream.ts";
import { OrdinalRecord } from "./ordinal-record.ts";
import { topicVersion } from "./topic-version.ts";

export const startMs = 1_700_000_000_000;
const mib = 1024 * 1024;

interface HarnessProducer {
  readonly sequence: number;
  readonly acknowledged: number;
  readonly messages: number;
  /** By the boot clock of the only machine. */
  readonly acknowledgedAtMs: number;
}

const defaultBootId = "00000000000000b0";
const noProducer: HarnessProducer = { sequence: 0, acknowledged: 0, messages: 0, acknowledgedAtMs: 0 };

/**
 * The consumer in memory. Stream, lake and window outlive the consumer, and time passes only while it waits.
 */
export class ConsumerHarness {
  readonly clock = { nowMs: startMs };
  readonly stream: MemoryStream;
  readonly store: MemoryObjectStore;
  readonly topics = new Map<string, TopicVersion>();
  readonly registry = new Registry();
  readonly log: Record<string, unknown>[] = [];
  readonly #logger = pino(
    { level: "debug" },
    { write: (line: string) => this.log.push(JSON.parse(line) as Record<string, unknown>) },
  );
  /** Decides about each call of the store; see MemoryObjectStore. */
  storeFault: (operation: StoreOperation, path: string) => StoreFault | Promise<StoreFault> = () => null;
  /** Other positions that the lake knows by then. */
  refreshTopics: () => Promise<void> = async () => {};
  window: DedupWindow;
  /** If set, the retention time of the stream. */
  retentionMs: number | undefined;
  /** The stream reports only as much as Kinesis: that nothing is left to read, filed or not. */
  tellsReadingOnly = false;
  /** The publisher for consumers instead of the lake's. */
  withPublisher = (publisher: TablePublisher): TablePublisher => publisher;
  waits = 0;
  /** Error of the gateway's wall clock, ms; the consumer's is right. */
  wallOffMs = 0;
  /** Error of the clock of the stream's server, ms; undefined = the gateway's clock. */
  appendOffMs: number | undefined;
  /** The gateway is Tidegate 0.1.0: its blocks carry no boot clock. */
  isFirstVersion = false;
  readonly #producers = new Map<string, HarnessProducer>();

  /** `objects`: the lake of another harness, to continue from another stream. */
  constructor(
    options: {
      partitionCount?: number;
      streamId?: string;
      isDivisible?: boolean;
      objects?: MemoryObjectStore["objects"];
    } = {},
  ) {
    const {
      partitionCount = 1,
      streamId = "ab".repeat(16),
      isDivisible = false,
      objects = new Map(),
    } = options;
    this.stream = new MemoryStream({
      partitionCount,
      streamId,
      isDivisible,
      now: () => this.clock.nowMs + (this.appendOffMs ?? this.wallOffMs),
    });
    this.store = new MemoryObjectStore({
      fault: (operation, path) => this.storeFault(operation, path),
      now: () => this.clock.nowMs,
      objects,
    });
    this.window = createMemoryWindow({ maxBytes: 64 * mib, partitionCount });
    this.define(topicVersion());
  }

  define(topic: TopicVersion): void {
    this.topics.set(`${topic.topicId}/${topic.version}`, topic);
  }

  /** Appends a block as its producer would; the block counts as acknowledged unless an option denies it. */
  append(
    messages: readonly Partial<BlockMessage>[],
    changes: Partial<BlockSeal> & {
      isAcknowledged?: boolean;
      landsIn?: number;
      bootId?: string;
      /** Total time that its machine stood still, ms. */
      stoodStillMs?: number;
    } = {},
  ): Position {
    const { isAcknowledged = true, landsIn, bootId = defaultBootId, stoodStillMs = 0, ...sealed } = changes;
    const partition = sealed.partition ?? 0;
    const producerId = sealed.producerId ?? "0000000000000001";
    const key = `${producerId}/${partition}`;
    const producer = this.#producers.get(key) ?? noProducer;
    const wallMs = this.clock.nowMs + this.wallOffMs;
    const seal: BlockSeal = {
      streamId: this.stream.streamId,
      producerId,
      partition,
      sequence: producer.sequence + 1,
      lastAcknowledgedSequence: producer.acknowledged,
      acknowledgedMessages: producer.messages,
      time: {
        ...blockTime(this.clock.nowMs - stoodStillMs, { bootId }),
        wallMs: Math.max(0, wallMs),
        acknowledgedAtMs: producer.acknowledgedAtMs,
      },
      ...sealed,
    };
    const { sequence } = seal;
    this.#producers.set(key, {
      sequence,
      acknowledged: isAcknowledged ? sequence : producer.acknowledged,
      messages: producer.messages + (isAcknowledged ? messages.length : 0),
      acknowledgedAtMs: isAcknowledged ? seal.time.stampMs : producer.acknowledgedAtMs,
    });
    const block = encodeBlock(seal, messages.map(message), maxBlockBytes);
    return this.stream.store(landsIn ?? partition, this.isFirstVersion ? firstVersionOf(block) : block);
  }

  /** Appends the bytes of the last block again. */
  resendLast(partition = 0): Position {
    const last = this.stream.entries(partition).at(-1);
    if (!last) throw new RangeError("no block to send again");
    return this.stream.store(partition, last.block);
  }

  consumer(
    changes: Partial<Omit<ConsumerOptions, "config">> & { config?: Partial<ConsumerConfig> } = {},
  ): Consumer {
    const { clock, store, topics, registry } = this;
    const { config, ...ports } = changes;
    const now = () => clock.nowMs;
    const tick = async (delayMs: number) => {
      this.waits += 1;
      clock.nowMs += delayMs;
      await new Promise((resolve) => setImmediate(resolve));
    };
    const commitLog = new LakeCommitLog(store, "lake", { create: true, now, random: () => 0.5, sleep: tick });
    const handle = this.stream.open();
    const checkpoints = jsonCheckpoints(store);
    const catalog = {
      version: (topicId: string, version: number) => topics.get(`${topicId}/${version}`),
      definitions: () => [...topics.values()],
      get size() {
        return topics.size;
      },
      longestWindowMs: () => Math.max(...[...topics.values()].map((topic) => topic.dedupeWindowMs)),
      exactTopicIds: () =>
        new Set(
          [...topics.values()].filter(({ dedupe }) => dedupe === "exact").map(({ topicId }) => topicId),
        ),
      refresh: () => this.refreshTopics(),
    };
    const logger = this.#logger;
    return createConsumer({
      stream: Object.assign(handle, {
        waitForAppend: tick,
        ...(this.retentionMs !== undefined && { retentionMs: this.retentionMs }),
        ...(this.tellsReadingOnly && { partitionState: async () => this.#readingState() }),
      }),
      window: this.window,
      commitLog,
      publisher: this.withPublisher(
        createTablePublisher({
          store,
          commitLog,
          topics: catalog,
          logger,
          registry: new Registry(),
          now,
          elapsedMs: now,
          checkpoints,
        }),
      ),
      batch: new JsonBatchWriter(store, () => dataFileName(this.store.objects.size)),
      seeds: createSeedSource({ store, commitLog, checkpoints, readRows: readJsonSeedRows, logger }),
      topics: catalog,
      trim: (partition, upTo) => handle.trim(partition, upTo),
      config: {
        maxBatchBytes: mib,
        maxBatchAgeMs: 5000,
        readMaxBytes: mib,
        readMaxEntries: 256,
        retryMaxMs: 1000,
        ...config,
      },
      logger,
      registry,
      now,
      elapsedMs: now,
      random: () => 0.5,
      sleep: tick,
      ...ports,
    });
  }

  #readingState(): PartitionState {
    const known = { highest: null, trimmedUpTo: startPosition, retainedBytes: null };
    return { ...known, behindMs: 0, behindAgoMs: 0 };
  }

  /** Reads, files and commits everything that is in the stream. */
  async drain(changes: Parameters<ConsumerHarness["consumer"]>[0] = {}): Promise<Consumer> {
    this.registry.clear();
    const consumer = this.consumer(changes);
    const run = consumer.run();
    await consumer.stop({ drain: true });
    await run;
    return consumer;
  }

  commits(): CommitEntry[] {
    const ordinals = new OrdinalRecord(() => {});
    for (const { tables } of this.#parsed<LakeSnapshot>(/^_commits\/snapshots\//))
      for (const [key, table] of Object.entries(tables))
        if ("ordinal" in table) ordinals.named.set(String(table.ordinal), { ...table, key });
    return this.#parsed<StoredEntry>(/^_commits\/\d+\.json$/).map((entry) => ordinals.read(entry));
  }

  #parsed<Content>(pattern: RegExp): Content[] {
    return [...this.store.objects.entries()]
      .filter(([path]) => pattern.test(path))
      .toSorted()
      .map(([, { bytes }]) => JSON.parse(Buffer.from(bytes).toString()) as Content);
  }

  lastMove(partition = 0): Move | undefined {
    const key = partitionKey(this.stream.streamId, partition);
    return this.commits().findLast((entry) => entry.moves[key])?.moves[key];
  }

  /** The rows of committed files, in the order of filing. */
  rows(): CommittedRow[] {
    const bytesOf = (path: string): Uint8Array => {
      const object = this.store.objects.get(path);
      if (!object) throw new Error(`the committed file ${path} is missing`);
      return object.bytes;
    };
    return committedRows(bytesOf, this.commits());
  }

  /** Text ids of the rows of a table. */
  ids(table = "t1"): string[] {
    return this.rows()
      .filter((row) => row.table === table)
      .map((row) => Buffer.from(row.messageId ?? "", "hex").toString());
  }
}

/** A json message of device d1 with this id. */
export function json(id: unknown, more: Readonly<Record<string, unknown>> = {}): Partial<BlockMessage> {
  return { payload: Buffer.from(JSON.stringify({ id, ts: startMs, ...more })) };
}

function message(changes: Partial<BlockMessage>): BlockMessage {
  return {
    topicId: "t1",
    topicVersion: 1,
    topicName: "fleet/d1/telemetry",
    deviceId: "d1",
    qos: 1,
    payload: new Uint8Array(0),
    ...changes,
  };
}
