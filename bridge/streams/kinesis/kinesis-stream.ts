import type { Logger } from "pino";
import { Registry } from "prom-client";
import { BridgeError } from "../../errors.ts";
import type { PartitionMap } from "../partition-map.ts";
import type { PartitionState, Position, StreamEntry, StreamLog } from "../stream-log.ts";
import { KinesisAppender } from "./kinesis-appender.ts";
import { type KinesisConfig, kinesisConfigOf } from "./kinesis-config.ts";
import { KinesisConnection } from "./kinesis-connection.ts";
import { KinesisReader } from "./kinesis-reader.ts";
import { createKinesisStreamMetrics, type KinesisStreamMetrics } from "./kinesis-stream-metrics.ts";
import type { KinesisStreamStatus } from "./kinesis-stream-status.ts";
import type { KinesisTarget } from "./kinesis-url.ts";
import { compareSequenceNumbers } from "./sequence-number.ts";
import { StreamWatch } from "./stream-watch.ts";

export interface KinesisStreamOptions extends Partial<KinesisConfig> {
  readonly target: KinesisTarget;
  readonly mode: "append" | "read";
  readonly logger: Logger;
  /** If given, gets metrics of appends, reads and the stream's state. */
  readonly registry?: Registry;
  readonly random?: () => number;
  readonly monotonicMs?: () => number;
  /** Called if the stream is gone or was replaced (STREAM_GAP). Appends reject from then on. */
  readonly onLost?: (error: BridgeError) => void;
}

/** A stream in Amazon Kinesis Data Streams. Any number of processes append and read. */
export interface KinesisStream extends StreamLog {
  status(): KinesisStreamStatus;
}

/**
 * Opens the stream; waits if it is being created.
 * @throws BridgeError STREAM_MISSING, KINESIS_UNSUPPORTED, KINESIS_DENIED, KINESIS_THROTTLED,
 * KINESIS_UNAVAILABLE, STREAM_TIMEOUT
 */
export async function openKinesisStream(options: KinesisStreamOptions): Promise<KinesisStream> {
  const config = kinesisConfigOf(options);
  const connection = await KinesisConnection.open(options.target, config);
  const { logger, random = Math.random, onLost = () => {} } = options;
  const watch = new StreamWatch({ connection, config, logger, random, onLost });
  try {
    await watch.start();
    return new ShardedStream({ options, config, connection, watch });
  } catch (error) {
    connection.close();
    throw error;
  }
}

class ShardedStream implements KinesisStream {
  readonly streamId: string;
  readonly #options: KinesisStreamOptions;
  readonly #connection: KinesisConnection;
  readonly #watch: StreamWatch;
  readonly #appender: KinesisAppender;
  readonly #reader: KinesisReader;
  #closed: BridgeError | undefined;

  constructor(parts: {
    options: KinesisStreamOptions;
    config: KinesisConfig;
    connection: KinesisConnection;
    watch: StreamWatch;
  }) {
    const { options, config, connection, watch } = parts;
    const { random = Math.random, monotonicMs = () => performance.now() } = options;
    this.#options = options;
    this.#connection = connection;
    this.#watch = watch;
    this.streamId = watch.description.streamId;
    const metrics = createKinesisStreamMetrics(options.registry ?? new Registry(), () => this.status());
    const shared = { connection, shards: watch, config, monotonicMs, random };
    this.#appender = new KinesisAppender({
      ...shared,
      onAppended: metrics.appended,
      onCall: metrics.called,
      onFailed: (error) => metrics.failed(error.code),
    });
    this.#reader = new KinesisReader({ ...shared, ...this.#readingListeners(metrics) });
    watch.onPartitionsChange(() => this.#reader.interrupt());
  }

  get retentionMs(): number {
    return this.#watch.description.retentionMs;
  }

  get partitions(): PartitionMap {
    return this.#watch.partitions;
  }

  onPartitionsChange(listener: () => void): void {
    this.#watch.onPartitionsChange(listener);
  }

  async refreshPartitions(): Promise<void> {
    this.#checkOpen();
    await this.#watch.refresh();
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
    return await this.#reader.read(partition, after, limits);
  }

  async waitForAppend(timeoutMs: number, partitions?: readonly number[]): Promise<void> {
    this.#checkOpen();
    const all = () => this.partitions.all.map(({ partition }) => partition);
    await this.#reader.wait(timeoutMs, partitions ?? all());
  }

  /** Does nothing: Kinesis deletes records after the stream's retention time. */
  async trim(): Promise<void> {
    this.#checkOpen();
  }

  async partitionState(partition: number): Promise<PartitionState> {
    this.#checkOpen();
    return this.#reader.state(partition);
  }

  comparePositions(left: Position, right: Position): number {
    return compareSequenceNumbers(left, right);
  }

  status(): KinesisStreamStatus {
    const { region, streamName } = this.#options.target;
    const { mode, encryption, retentionMs } = this.#watch.description;
    const held = this.#watch.hold();
    return {
      region,
      streamName,
      mode,
      encryption,
      retentionMs,
      openShards: this.partitions.all.filter(({ isOpen }) => isOpen).length,
      behindMs: this.#reader.behindMs(),
      warnings: this.#watch.warnings(),
      held: held && { code: held.code, message: held.message },
    };
  }

  async close(): Promise<void> {
    this.#closed ??= new BridgeError("STREAM_CLOSED", "the stream was closed", { retryable: false });
    this.#watch.stop();
    this.#appender.close(this.#closed);
    this.#reader.close();
    this.#connection.close();
  }

  #readingListeners(metrics: KinesisStreamMetrics) {
    const { logger } = this.#options;
    return {
      onRead: metrics.read,
      onFailed: (error: BridgeError, partition: number, isNews: boolean) => {
        metrics.readFailed(error.code);
        const fields = { event: "stream.kinesis.read.failed", partition, code: error.code, err: error };
        if (isNews) logger.warn(fields, "a shard can't be read");
        else logger.debug(fields, "a shard still can't be read");
      },
    };
  }

  #checkOpen(): void {
    if (this.#closed) throw this.#closed;
  }
}
