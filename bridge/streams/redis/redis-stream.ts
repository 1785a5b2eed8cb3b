import { Value } from "@sinclair/typebox/value";
import type { Logger } from "pino";
import { Registry } from "prom-client";
import { BridgeError } from "../../errors.ts";
import { type RedisConfig, redisConfigSchema } from "../../redis/redis-config.ts";
import { connectRedis, type RedisClient } from "../../redis/redis-connection.ts";
import { redisError } from "../../redis/redis-error.ts";
import { runScript } from "../../redis/redis-script.ts";
import type { RedisTarget } from "../../redis/redis-url.ts";
import { fixedPartitions, type PartitionMap } from "../partition-map.ts";
import type { FixedPartitionState, FixedStreamLog, Position, StreamEntry } from "../stream-log.ts";
import { markOfStream, type StreamMark } from "../stream-mark.ts";
import { AppendWaiter } from "./append-waiter.ts";
import { checkPartitionCount, readRecord } from "./create-stream.ts";
import type { MemoryPressure } from "./memory-pressure.ts";
import { holdsEntry } from "./partition-scripts.ts";
import { lossMend, RedisAppender } from "./redis-appender.ts";
import {
  compareRedisPositions,
  type EntryId,
  entryOfPosition,
  noEntry,
  positionOfEntry,
} from "./redis-position.ts";
import { RedisReader } from "./redis-reader.ts";
import { createRedisStreamMetrics } from "./redis-stream-metrics.ts";
import { type Loss, ServerWatch, type WatchStatus } from "./server-watch.ts";
import { metaKey, partitionKeys } from "./stream-keys.ts";
import type { RedisStreamRecord } from "./stream-record.ts";

export interface RedisStreamOptions extends Partial<RedisConfig> {
  readonly target: RedisTarget;
  /** `append` does not open on servers that may lose confirmed data. Both modes may trim. */
  readonly mode: "append" | "read";
  /** If given, the stream must have this number. */
  readonly partitionCount?: number;
  /**
   * Highest positions confirmed to earlier processes. With `append`, opening fails with STREAM_GAP if the
   * servers lack them.
   */
  readonly marks?: readonly StreamMark[];
  readonly logger: Logger;
  /** If given, gets metrics of appends and of the servers' state. */
  readonly registry?: Registry;
  readonly random?: () => number;
  /**
   * Called if the servers no longer hold confirmed blocks (STREAM_GAP). Appends reject until they do again.
   */
  readonly onLost?: (error: BridgeError) => void;
}

export interface RedisStreamStatus extends WatchStatus {
  readonly durability: RedisConfig["durability"];
  readonly replicas: number;
  /** Why appends are held; null = they are not. */
  readonly held: { readonly code: string; readonly message: string } | null;
}

/** The stream on a Redis server or Redis Cluster. Any number of processes append, read and trim. */
export interface RedisStream extends FixedStreamLog {
  readonly record: RedisStreamRecord;
  /** The newest entry by partition that was confirmed to this process or, by the marks, to earlier ones. */
  confirmed(): Position[];
  pressure(): MemoryPressure;
  status(): RedisStreamStatus;
}

/**
 * Opens the stream of this Redis and prefix.
 * @throws BridgeError STREAM_MISSING (retryable: the stream may be created later), STREAM_MOVED, STREAM_GAP,
 * STREAM_DAMAGED, STREAM_VERSION, STREAM_PARTITIONS, REDIS_*
 */
export async function openRedisStream(options: RedisStreamOptions): Promise<RedisStream> {
  const config: RedisConfig = { ...Value.Create(redisConfigSchema), ...configOf(options) };
  const { target, logger, random = Math.random } = options;
  const connect = (name: string) =>
    connectRedis(target, { name: `tidegate-stream-${name}`, timeoutMs: config.timeoutMs, logger, random });
  const client = await connect(options.mode);
  try {
    const record = await readRecord(client, target.prefix);
    if (!record?.isReady) {
      const text = `there is no stream at ${metaKey(target.prefix)}`;
      throw new BridgeError("STREAM_MISSING", text, { retryable: true });
    }
    if (record.movedTo !== null) throw moved(record.movedTo, target.prefix);
    checkPartitionCount(record, options.partitionCount, target.prefix);
    const stream = new ServerStream({ options, config, record, client, connect: () => connect("wait") });
    await stream.start();
    return stream;
  } catch (error) {
    client.disconnect();
    throw redisError(error, "opening the stream");
  }
}

function moved(movedTo: string, prefix: string): BridgeError {
  const text = `the stream at ${metaKey(prefix)} was moved to ${movedTo}: start the gateway with --stream ${movedTo}, or start another stream here with \`tidegate stream new\``;
  return new BridgeError("STREAM_MOVED", text, { retryable: false });
}

function configOf(options: RedisStreamOptions): Partial<RedisConfig> {
  const names = Object.keys(redisConfigSchema.properties);
  return Object.fromEntries(
    Object.entries(options).filter(([name, value]) => names.includes(name) && value !== undefined),
  );
}

class ServerStream implements RedisStream {
  readonly record: RedisStreamRecord;
  readonly #options: RedisStreamOptions;
  readonly #config: RedisConfig;
  readonly partitions: PartitionMap;
  readonly #client: RedisClient;
  readonly #keys: readonly [log: string, state: string][];
  readonly #watch: ServerWatch;
  readonly #appender: RedisAppender;
  readonly #reader: RedisReader;
  readonly #waiter: AppendWaiter;
  #closed: BridgeError | undefined;

  constructor(parts: {
    options: RedisStreamOptions;
    config: RedisConfig;
    record: RedisStreamRecord;
    client: RedisClient;
    connect: () => Promise<RedisClient>;
  }) {
    const { options, config, record, client } = parts;
    const { target, logger } = options;
    this.record = record;
    this.partitions = fixedPartitions(record.partitionCount);
    this.#options = options;
    this.#config = config;
    this.#client = client;
    this.#keys = Array.from({ length: record.partitionCount }, (_, partition) =>
      partitionKeys(target.prefix, record.streamId, partition),
    );
    const verify = (isThorough: boolean): Promise<Loss[]> => this.#verify(isThorough);
    const onLost = options.onLost ?? (() => {});
    this.#watch = new ServerWatch({ client, config, logger, verify, onLost });
    const metrics = createRedisStreamMetrics(options.registry ?? new Registry(), () => this.#watch.status());
    this.#appender = new RedisAppender({
      client,
      isCluster: target.isCluster,
      keys: this.#keys,
      replicas: config.replicas,
      newest: confirmedBefore(options.marks ?? [], record.streamId),
      timeoutMs: config.timeoutMs,
      settled: () => this.#watch.settled(),
      hold: (partition) => this.#watch.hold(partition),
      onAppended: (bytes, blocks, elapsedMs) => {
        this.#watch.appended(bytes);
        metrics.appended(bytes, blocks, elapsedMs);
      },
      onFailed: (error, partition) => {
        metrics.failed(error.code);
        if (error.code === "STREAM_GAP") this.#watch.noteLoss({ partition, error });
      },
    });
    this.#reader = new RedisReader(client, this.#keys);
    this.#waiter = new AppendWaiter({
      keys: this.#keys,
      client,
      connect: target.isCluster ? null : parts.connect,
      blockMs: config.timeoutMs / 2,
    });
  }

  get streamId(): string {
    return this.record.streamId;
  }

  get partitionCount(): number {
    return this.record.partitionCount;
  }

  /** Partitions never change. */
  onPartitionsChange(): void {}

  async refreshPartitions(): Promise<void> {}

  async start(): Promise<void> {
    await this.#watch.start(this.#options.mode === "append");
  }

  async append(partition: number, block: Uint8Array): Promise<Position> {
    this.#checkOpen();
    if (this.#options.mode === "read") throw new TypeError("the stream is open for reading only");
    return await this.#appender.append(partition, block);
  }

  async read(
    partition: number,
    after: Position,
    limits: { maxBytes: number; maxEntries: number },
  ): Promise<StreamEntry[]> {
    this.#checkOpen();
    const entries = await this.#reader.read(partition, after, limits);
    this.#waiter.seen(partition, entryOfPosition(entries.at(-1)?.position ?? after) ?? noEntry);
    return entries;
  }

  async waitForAppend(timeoutMs: number, partitions = [...this.#keys.keys()]): Promise<void> {
    this.#checkOpen();
    await this.#waiter.wait(timeoutMs, partitions);
  }

  async trim(partition: number, upTo: Position): Promise<void> {
    this.#checkOpen();
    await this.#reader.trim(partition, upTo);
  }

  async partitionState(partition: number): Promise<FixedPartitionState> {
    this.#checkOpen();
    return await this.#reader.partitionState(partition);
  }

  comparePositions(left: Position, right: Position): number {
    return compareRedisPositions(left, right);
  }

  confirmed(): Position[] {
    return this.#keys.map((_, partition) => positionOfEntry(this.#appender.newest(partition)));
  }

  pressure(): MemoryPressure {
    return this.#watch.pressure();
  }

  status(): RedisStreamStatus {
    const { durability, replicas } = this.#config;
    const held = this.#watch.lost() ?? this.#watch.hold(null);
    return {
      ...this.#watch.status(),
      durability,
      replicas,
      held: held && { code: held.code, message: held.message },
    };
  }

  async close(): Promise<void> {
    this.#closed ??= new BridgeError("STREAM_CLOSED", "the stream was closed", { retryable: false });
    this.#watch.close();
    this.#waiter.close();
    this.#appender.close(this.#closed);
    this.#client.disconnect();
  }

  async #verify(isThorough: boolean): Promise<Loss[]> {
    const { prefix } = this.#options.target;
    const record = await readRecord(this.#client, prefix);
    const key = metaKey(prefix);
    if (!record) return [loss(null, `the key ${key} is gone: the server was emptied or replaced`)];
    if (record.streamId !== this.streamId) return [replaced(key, record)];
    const losses: Loss[] = [];
    for (let partition = 0; isThorough && partition < this.partitionCount; partition++) {
      const { ms, number } = this.#appender.newest(partition);
      const held = await runScript(this.#client, holdsEntry, this.#keys[partition] ?? [], [ms, number]);
      if (Number(held) === 1) continue;
      losses.push(loss(partition, `partition ${partition} lacks blocks that the server had confirmed`));
    }
    return losses;
  }

  #checkOpen(): void {
    if (this.#closed) throw this.#closed;
  }
}

function confirmedBefore(marks: readonly StreamMark[], streamId: string): EntryId[] {
  const mark = markOfStream(marks, { streamId, comparePositions: compareRedisPositions });
  return (mark?.highest ?? []).map((position) => entryOfPosition(position) ?? noEntry);
}

function loss(partition: number | null, why: string): Loss {
  const text = `the stream has lost data: ${why}. ${lossMend}`;
  return { partition, error: new BridgeError("STREAM_GAP", text, { retryable: false }) };
}

/** An operator started another stream in its place. */
function replaced(key: string, { streamId }: RedisStreamRecord): Loss {
  const text = `${key} names the stream ${streamId} now: restart this gateway to use that one`;
  return { partition: null, error: new BridgeError("STREAM_GAP", text, { retryable: false }) };
}
