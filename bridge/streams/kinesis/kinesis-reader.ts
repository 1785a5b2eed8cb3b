import { setTimeout as delay } from "node:timers/promises";
import type { BridgeError } from "../../errors.ts";
import {
  endPosition,
  type PartitionState,
  type Position,
  type StreamEntry,
  startPosition,
} from "../stream-log.ts";
import type { KinesisConfig } from "./kinesis-config.ts";
import type { KinesisConnection } from "./kinesis-connection.ts";
import { compareSequenceNumbers, isSequenceNumber } from "./sequence-number.ts";
import type { Shard } from "./shard.ts";
import { forgotten, gap } from "./shard-faults.ts";
import { ShardReader } from "./shard-reader.ts";

export interface ReaderOptions {
  readonly connection: KinesisConnection;
  readonly shards: {
    /** Also returns a shard that Kinesis deleted, if this process knew it. */
    shard(partition: number): Shard;
    isKnown(partition: number): boolean;
    isListed(partition: number): boolean;
    hold(): BridgeError | null;
    refresh(): Promise<void>;
  };
  readonly config: KinesisConfig;
  readonly monotonicMs: () => number;
  readonly random: () => number;
  readonly onFailed: (error: BridgeError, partition: number, isNews: boolean) => void;
  readonly onRead: (bytes: number, records: number) => void;
}

/** Reads ahead all shards that the consumer asks for. */
export class KinesisReader {
  readonly #options: ReaderOptions;
  readonly #readers = new Map<number, ShardReader>();
  readonly #waiting = new Set<() => void>();
  readonly #interrupts = new Set<() => void>();

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  async read(
    partition: number,
    after: Position,
    limits: { maxBytes: number; maxEntries: number },
  ): Promise<StreamEntry[]> {
    if (after === endPosition) {
      this.#drop(partition);
      return [];
    }
    if (!this.#options.shards.isKnown(partition)) await this.#lookFor(partition, after);
    const reader = this.#readerAt(partition, after);
    const entries = await reader.read(after, limits).catch((error: unknown) => {
      // The next read asks Kinesis again.
      if (this.#readers.get(partition) === reader) this.#drop(partition);
      throw error;
    });
    return entries;
  }

  /** Resolves when one of the partitions has unread entries, or after `timeoutMs`. */
  async wait(timeoutMs: number, partitions: readonly number[]): Promise<void> {
    const readers = partitions.flatMap((partition) => this.#readers.get(partition) ?? []);
    for (const reader of readers) reader.asked();
    if (readers.some((reader) => reader.hasNews)) return;
    const ended = new AbortController();
    let wake = (): void => {};
    const woken = new Promise<void>((resolve) => {
      wake = () => {
        if (readers.some((reader) => reader.hasNews)) resolve();
      };
    });
    const wakeAnyway = (): void => ended.abort();
    this.#waiting.add(wake);
    this.#interrupts.add(wakeAnyway);
    await Promise.race([woken, delay(timeoutMs, undefined, { signal: ended.signal }).catch(() => {})]);
    ended.abort();
    this.#waiting.delete(wake);
    this.#interrupts.delete(wakeAnyway);
  }

  /** Ends all waits, because the partitions changed. */
  interrupt(): void {
    for (const wake of this.#interrupts) wake();
  }

  state(partition: number): PartitionState {
    if (!this.#options.shards.isKnown(partition)) throw forgotten(partition, startPosition);
    const behind = this.#readers.get(partition)?.behind();
    const known = { highest: null, trimmedUpTo: startPosition, retainedBytes: null };
    return behind ? { ...known, behindMs: behind.ms, behindAgoMs: behind.agoMs } : known;
  }

  /** The lag of the partition that lags most, ms. */
  behindMs(): number {
    return Math.max(0, ...[...this.#readers.values()].map((reader) => reader.behind()?.ms ?? 0));
  }

  close(): void {
    for (const partition of [...this.#readers.keys()]) this.#drop(partition);
    this.interrupt();
  }

  #readerAt(partition: number, after: Position): ShardReader {
    const known = this.#readers.get(partition);
    if (known && !known.hasFailed && known.covers(after)) return known;
    const { shards } = this.#options;
    const shard = shards.shard(partition);
    const hold = shards.hold();
    if (hold?.code === "STREAM_GAP") throw hold;
    if (after !== startPosition && !isPositionIn(shard, after))
      throw gap(shard, after, "this is not a position of the shard");
    this.#drop(partition);
    const reader = this.#start(shard, after);
    this.#readers.set(partition, reader);
    return reader;
  }

  /**
   * The lake may know a shard that is new to this process, or one that Kinesis deleted before this process
   * started.
   */
  async #lookFor(partition: number, after: Position): Promise<void> {
    const { shards } = this.#options;
    await shards.refresh();
    if (!shards.isKnown(partition)) throw forgotten(partition, after);
  }

  #start(shard: Shard, after: Position): ShardReader {
    const { connection, config, monotonicMs, random, onFailed, onRead } = this.#options;
    const { partition } = shard;
    const reader: ShardReader = new ShardReader({
      connection,
      shard,
      after,
      config,
      monotonicMs,
      random,
      lookUp: () => this.#lookUp(partition),
      onNews: () => {
        for (const wake of this.#waiting) wake();
      },
      onFailed: (error, isNews) => onFailed(error, partition, isNews),
      onRead,
      onUnasked: () => {
        if (this.#readers.get(partition) === reader) this.#drop(partition);
      },
    });
    return reader;
  }

  async #lookUp(partition: number): Promise<"open" | "closed" | "forgotten"> {
    const { shards } = this.#options;
    await shards.refresh();
    const hold = shards.hold();
    if (hold?.code === "STREAM_GAP") throw hold;
    if (!shards.isListed(partition)) return "forgotten";
    return shards.shard(partition).isOpen ? "open" : "closed";
  }

  #drop(partition: number): void {
    this.#readers.get(partition)?.stop();
    this.#readers.delete(partition);
  }
}

function isPositionIn({ firstPosition }: Shard, position: Position): boolean {
  return isSequenceNumber(position) && compareSequenceNumbers(position, firstPosition) >= 0;
}
