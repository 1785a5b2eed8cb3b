import type { Logger } from "pino";
import { fullJitterDelayMs } from "../../../devices/protocol/backoff.ts";
import { BridgeError } from "../../errors.ts";
import { type PartitionMap, rangePartitions } from "../partition-map.ts";
import type { KinesisConfig } from "./kinesis-config.ts";
import type { KinesisConnection } from "./kinesis-connection.ts";
import { isPassing } from "./kinesis-error.ts";
import { newStreamCommand } from "./new-stream-command.ts";
import { type Shard, shardsOf } from "./shard.ts";
import { descriptionOf, faultOf, type StreamDescription, warningsOf } from "./stream-description.ts";

const retry = { baseMs: 100, maxMs: 2000 } as const;
/** Attempts to start if calls are throttled or fail in passing. */
const startAttempts = 6;

export interface StreamWatchOptions {
  readonly connection: Pick<KinesisConnection, "target" | "describe" | "listShards">;
  readonly config: KinesisConfig;
  readonly logger: Logger;
  readonly random: () => number;
  /** Called if the stream is gone or was replaced (STREAM_GAP). */
  readonly onLost: (error: BridgeError) => void;
}

/**
 * Keeps the stream's shards and settings up to date: refreshes them every `shardRefreshMs` and on request.
 */
export class StreamWatch {
  readonly #options: StreamWatchOptions;
  readonly #listeners: (() => void)[] = [];
  /** Deleted shards too; their numbers are never reused. */
  readonly #shards = new Map<number, Shard>();
  #listed: readonly Shard[] = [];
  #partitions: PartitionMap = rangePartitions([]);
  #description!: StreamDescription;
  #hold: BridgeError | null = null;
  #warned = "";
  /** Why the stream can't be described, if that does not pass by itself. */
  #lookFailure: string | null = null;
  /** A failure was logged, but not its end yet. */
  #isFailing = false;
  #looking: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: StreamWatchOptions) {
    this.#options = options;
  }

  /** Waits for a stream that is being created. Throws if the stream can't be used. */
  async start(): Promise<void> {
    const { config } = this.#options;
    const deadlineMs = performance.now() + config.createTimeoutMs;
    let failures = 0;
    for (let attempt = 0; ; attempt++) {
      try {
        await this.refresh();
        if (!this.#hold) break;
        throw this.#hold;
      } catch (error) {
        const isCreating = error instanceof BridgeError && error.code === "STREAM_MISSING" && error.retryable;
        if (!isCreating && !isPassing(error)) throw error;
        if (isCreating ? performance.now() > deadlineMs : ++failures >= startAttempts) throw error;
      }
      const delayMs = fullJitterDelayMs(attempt, retry, this.#options.random);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
    this.#timer = setInterval(() => void this.refresh().catch(() => {}), config.shardRefreshMs).unref();
  }

  get description(): StreamDescription {
    return this.#description;
  }

  get partitions(): PartitionMap {
    return this.#partitions;
  }

  onPartitionsChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Why appends and reads are held; null = they are not. */
  hold(): BridgeError | null {
    return this.#hold;
  }

  warnings(): string[] {
    const unseen =
      this.#lookFailure === null ? [] : [`changes of the stream are not detected: ${this.#lookFailure}`];
    return [...this.#settingsWarnings(), ...unseen];
  }

  #settingsWarnings(): string[] {
    const { config, connection } = this.#options;
    return warningsOf(this.#description, connection.target, config.retentionMinHours);
  }

  /**
   * The shard of a partition, even if Kinesis deleted it.
   * @throws RangeError if there never was one.
   */
  shard(partition: number): Shard {
    const shard = this.#shards.get(partition);
    if (!shard) throw new RangeError(`the stream has no partition ${partition}`);
    return shard;
  }

  isKnown(partition: number): boolean {
    return this.#shards.has(partition);
  }

  isListed(partition: number): boolean {
    return this.#listed.some((shard) => shard.partition === partition);
  }

  /** The open shard of a hash key. */
  openShard(hashKey: bigint): Shard {
    const found = this.#listed.find(
      ({ isOpen, firstHashKey, lastHashKey }) => isOpen && firstHashKey <= hashKey && hashKey <= lastHashKey,
    );
    if (!found) throw new RangeError(`no open shard takes the key ${hashKey}`);
    return found;
  }

  /** Refreshes shards and settings by calls that begin after this one; rejects if they fail. */
  refresh(): Promise<void> {
    if (!this.#looking) return this.#begin();
    // A refresh under way may be older than the change that made the caller ask.
    this.#next ??= this.#looking.catch(() => {}).then(() => this.#begin());
    return this.#next;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #begin(): Promise<void> {
    this.#next = undefined;
    this.#looking = this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(): Promise<void> {
    const { connection, logger } = this.#options;
    try {
      const description = descriptionOf(await connection.describe());
      this.#note(description);
      if (description.status !== "CREATING" && !this.#hold)
        this.#adopt(shardsOf(await connection.listShards()));
      this.#lookFailure = null;
      if (this.#isFailing)
        logger.info({ event: "stream.kinesis.refresh.recovered" }, "the stream is described again");
      this.#isFailing = false;
    } catch (error) {
      if (error instanceof BridgeError && error.code === "STREAM_MISSING" && this.#description)
        return this.#setHold(this.#gone("it was deleted", newStreamCommand.missing));
      if (this.#description && !(error instanceof BridgeError && error.code === "STREAM_CLOSED")) {
        if (error instanceof BridgeError && !isPassing(error)) this.#lookFailure = error.message;
        logger.warn({ event: "stream.kinesis.refresh.failed", err: error }, "the stream can't be described");
        this.#isFailing = true;
      }
      throw error;
    }
  }

  #note(description: StreamDescription): void {
    const { connection, logger } = this.#options;
    if (this.#description && description.streamId !== this.#description.streamId) {
      const why = "it was deleted, and another stream of its name was created";
      this.#setHold(this.#gone(why, newStreamCommand.there));
      return;
    }
    this.#description = description;
    this.#setHold(faultOf(description, connection.target));
    const warnings = this.#settingsWarnings();
    if (warnings.join() === this.#warned) return;
    this.#warned = warnings.join();
    for (const warning of warnings) logger.warn({ event: "stream.kinesis.fault" }, warning);
  }

  #gone(why: string, command: string): BridgeError {
    const { streamName, region } = this.#options.connection.target;
    const text = `the stream ${streamName} in ${region} is lost: ${why}. Acknowledged messages that were not filed are lost with it. Give them up with \`${command}\`, then start the gateways again`;
    return new BridgeError("STREAM_GAP", text, { retryable: false });
  }

  #setHold(hold: BridgeError | null): void {
    const { logger, onLost } = this.#options;
    const before = this.#hold;
    this.#hold = hold;
    if (hold?.message === before?.message) return;
    if (!hold) logger.info({ event: "stream.kinesis.usable" }, "the stream can be used again");
    else if (hold.code === "STREAM_GAP") onLost(hold);
    else logger.warn({ event: "stream.kinesis.held", code: hold.code }, hold.message);
  }

  #adopt(shards: readonly Shard[]): void {
    // Closed shards never open again, so an answer that says so is older than the last one.
    const isOld = shards.some(
      ({ partition, isOpen }) => isOpen && this.#shards.get(partition)?.isOpen === false,
    );
    if (isOld || sameShards(shards, this.#listed)) return;
    for (const shard of shards) this.#shards.set(shard.partition, shard);
    const isFirst = this.#listed.length === 0;
    this.#listed = shards;
    this.#partitions = rangePartitions(shards);
    if (isFirst) return;
    const open = shards.filter(({ isOpen }) => isOpen).map(({ partition }) => partition);
    this.#options.logger.info({ event: "stream.kinesis.shards", open }, "the stream's shards have changed");
    for (const listener of this.#listeners) listener();
  }
}

function sameShards(left: readonly Shard[], right: readonly Shard[]): boolean {
  return (
    left.length === right.length &&
    left.every(
      ({ partition, isOpen }, index) =>
        right[index]?.partition === partition && right[index].isOpen === isOpen,
    )
  );
}
