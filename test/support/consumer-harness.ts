import { pino } from "pino";
import { Registry } from "prom-client";
import { encodeBlock } from "../../bridge/block/block-builder.ts";
import { type BlockMessage, type BlockSeal, MAX_BLOCK_BYTES } from "../../bridge/block/block-format.ts";
import { type Consumer, type ConsumerOptions, createConsumer } from "../../bridge/consumer/consumer.ts";
import type { ConsumerConfig } from "../../bridge/consumer/consumer-config.ts";
import type { TopicVersion } from "../../bridge/consumer/topic-catalog.ts";
import { type CommitEntry, type Move, partitionKey } from "../../bridge/storage/commit-log.ts";
import { createTablePublisher } from "../../bridge/storage/delta/table-publisher.ts";
import { LakeCommitLog } from "../../bridge/storage/lake-commit-log.ts";
import { createSeedSource } from "../../bridge/storage/lake-seed-source.ts";
import type { TablePublisher } from "../../bridge/storage/seed-source.ts";
import { type PartitionState, type Position, START_POSITION } from "../../bridge/streams/stream-log.ts";
import type { DedupWindow } from "../../bridge/window/dedup-window.ts";
import { createMemoryWindow } from "../../bridge/window/memory/memory-window.ts";
import { blockTime } from "./block-time.ts";
import { firstVersionOf } from "./first-version-block.ts";
import {
  dataFileName,
  type FiledRow,
  JsonBatchWriter,
  jsonCheckpoints,
  readJsonSeedRows,
  readRows,
} from "./json-lake.ts";
import { MemoryObjectStore, type StoreFault, type StoreOperation } from "./memory-object-store.ts";
import { MemoryStream } from "./memory-stream.ts";
import { topicVersion } from "./topic-version.ts";

export const startMs = 1_700_000_000_000;
const mib = 1024 * 1024;

export interface SentRow extends FiledRow {
  readonly table: string;
  readonly commit: number;
}

interface HarnessProducer {
  readonly sequence: number;
  readonly acknowledged: number;
  readonly messages: number;
  /** By the boot clock of the one machine that there is. */
  readonly acknowledgedAtMs: number;
}

const defaultBootId = "00000000000000b0";
const noProducer: HarnessProducer = { sequence: 0, acknowledged: 0, messages: 0, acknowledgedAtMs: 0 };

/** The consumer over memory: stream, lake and window outlive it, and time passes only where it waits. */
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
  /** What else the lake knows by then. */
  refreshTopics: () => Promise<void> = async () => {};
  window: DedupWindow;
  /** Where set, the stream says that it keeps entries no longer. */
  retentionMs: number | undefined;
  /** The stream tells no more than Kinesis does: nothing is left to read, whether what was read is filed or not. */
  tellsReadingOnly = false;
  /** What consumers are given in place of the lake's publisher. */
  withPublisher = (publisher: TablePublisher): TablePublisher => publisher;
  waits = 0;
  /** By how much the gateway's wall clock is off; the consumer's is right. */
  wallOffMs = 0;
  /** The same for the clock of the stream's server; undefined = it is the gateway's. */
  appendOffMs: number | undefined;
  /** The gateway is Tidegate 0.1.0: its blocks carry no boot clock. */
  isFirstVersion = false;
  readonly #producers = new Map<string, HarnessProducer>();

  /** `objects`: the lake of another harness, to be gone on with from another stream. */
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

  /** Appends a block as its producer would, acknowledged unless said otherwise. */
  append(
    messages: readonly Partial<BlockMessage>[],
    changes: Partial<BlockSeal> & {
      isAcknowledged?: boolean;
      landsIn?: number;
      bootId?: string;
      /** For how long its machine stood still so far. */
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
    const block = encodeBlock(seal, messages.map(message), MAX_BLOCK_BYTES);
    return this.stream.store(landsIn ?? partition, this.isFirstVersion ? firstVersionOf(block) : block);
  }

  /** Bytes of the last block, again. */
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
    const known = { highest: null, trimmedUpTo: START_POSITION, retainedBytes: null };
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
    return [...this.store.objects.entries()]
      .filter(([path]) => /^_commits\/\d+\.json$/.test(path))
      .toSorted()
      .map(([, { bytes }]) => JSON.parse(Buffer.from(bytes).toString()) as CommitEntry);
  }

  lastMove(partition = 0): Move | undefined {
    const key = partitionKey(this.stream.streamId, partition);
    return this.commits().findLast((entry) => entry.moves[key])?.moves[key];
  }

  /** What committed files hold, in the order of filing. */
  rows(): SentRow[] {
    return this.commits().flatMap(({ number, tables }) =>
      Object.entries(tables).flatMap(([table, { name, adds }]) =>
        adds.flatMap(({ path }) => {
          const object = this.store.objects.get(`${name}/${path}`);
          if (!object) throw new Error(`the committed file ${path} is missing`);
          return readRows(object.bytes).map((row) => ({ ...row, table, commit: number }));
        }),
      ),
    );
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
