import type { PutRecordsResultEntry } from "@aws-sdk/client-kinesis";
import { fullJitterDelayMs } from "../../../devices/protocol/backoff.ts";
import { BridgeError } from "../../errors.ts";
import { type Position, startPosition } from "../stream-log.ts";
import type { KinesisConfig } from "./kinesis-config.ts";
import type { KinesisConnection } from "./kinesis-connection.ts";
import { kinesisError } from "./kinesis-error.ts";
import { putOutcome } from "./put-outcome.ts";
import { shardNumberOf } from "./shard.ts";
import { ShardRates, type ShardRatesOptions } from "./shard-rates.ts";

/**
 * Limits of PutRecords, for each stream: records and bytes of a call, and bytes of a record, partition keys
 * included.
 */
const callRecordsMax = 500;
const callBytesMax = 5 * 1024 * 1024;
const recordBytesMax = 1024 * 1024;
/** Kinesis counts a record's partition key as bytes. To be safe, the hash key is counted as well. */
const keyBytes = 64;
/** Pause after a call that failed as a whole; doubles with each failure. */
const pauseAfterFailure = { baseMs: 50, maxMs: 2000 } as const;

export interface AppenderOptions {
  readonly connection: Pick<KinesisConnection, "target" | "putRecords">;
  readonly shards: ShardRatesOptions["shards"] & {
    hold(): BridgeError | null;
    refresh(): Promise<void>;
  };
  readonly config: KinesisConfig;
  readonly monotonicMs: () => number;
  readonly random: () => number;
  readonly onAppended: (bytes: number, blocks: number) => void;
  readonly onCall: (elapsedMs: number) => void;
  readonly onFailed: (error: BridgeError) => void;
}

interface WaitingAppend {
  readonly block: Uint8Array;
  readonly resolve: (position: Position) => void;
  readonly reject: (error: BridgeError) => void;
}

interface Lane {
  readonly partition: number;
  readonly waiting: WaitingAppend[];
  /** True while a block of the partition is in flight. The next one waits, so that none overtakes it. */
  isBusy: boolean;
  /** Since when the first waiting block could have been sent. */
  readySinceMs: number;
  /** The newest confirmed record. */
  newest: Position;
}

interface Taken {
  readonly lane: Lane;
  readonly append: WaitingAppend;
}

/**
 * Appends blocks to their shards. Each partition has one block in flight; blocks of several partitions share
 * a call. If a block fails, all later ones of its partition fail too, so that none overtakes it when it is
 * sent again. The appender itself never sends a block twice.
 */
export class KinesisAppender {
  readonly #options: AppenderOptions;
  readonly #lanes = new Map<number, Lane>();
  readonly #rates: ShardRates;
  #callsInFlight = 0;
  #failures = 0;
  #notBeforeMs = 0;
  #gathering: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  #firstLane = 0;
  #closed: BridgeError | null = null;

  constructor(options: AppenderOptions) {
    this.#options = options;
    this.#rates = new ShardRates(options);
  }

  append(partition: number, block: Uint8Array): Promise<Position> {
    const { shards, monotonicMs } = this.#options;
    shards.shard(partition);
    const refusal = this.#closed ?? shards.hold() ?? tooLarge(block);
    if (refusal) {
      this.#options.onFailed(refusal);
      return Promise.reject(refusal);
    }
    return new Promise((resolve, reject) => {
      const lane = this.#laneOf(partition);
      if (lane.waiting.length === 0) lane.readySinceMs = monotonicMs();
      lane.waiting.push({ block, resolve, reject });
      // Blocks that close in the same turn of the event loop share a call.
      this.#gathering ??= setImmediate(() => {
        this.#gathering = undefined;
        this.#send();
      });
    });
  }

  close(reason: BridgeError): void {
    this.#closed = reason;
    clearImmediate(this.#gathering);
    clearTimeout(this.#timer);
    for (const { waiting } of this.#lanes.values()) fail(waiting.splice(0), reason);
  }

  #laneOf(partition: number): Lane {
    const known = this.#lanes.get(partition);
    if (known) return known;
    const lane: Lane = { partition, waiting: [], isBusy: false, readySinceMs: 0, newest: startPosition };
    this.#lanes.set(partition, lane);
    return lane;
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#expire();
    let waitMs = this.#notBeforeMs - this.#options.monotonicMs();
    while (waitMs <= 0 && this.#callsInFlight < this.#options.config.callsInFlightMax) {
      const { taken, nextInMs } = this.#takeCall();
      waitMs = nextInMs;
      if (taken.length === 0) break;
      void this.#put(taken);
      waitMs = this.#notBeforeMs - this.#options.monotonicMs();
    }
    const isAtLimit = this.#callsInFlight >= this.#options.config.callsInFlightMax;
    if (!isAtLimit && Number.isFinite(waitMs) && this.#isAnyReady())
      this.#timer = setTimeout(() => this.#send(), Math.max(1, waitMs));
  }

  #isAnyReady(): boolean {
    return [...this.#lanes.values()].some(({ isBusy, waiting }) => !isBusy && waiting.length > 0);
  }

  /**
   * Takes the blocks of a call: at most one of each partition, starting with another partition each time.
   * `nextInMs` = time until more blocks may be taken.
   */
  #takeCall(): { taken: Taken[]; nextInMs: number } {
    const lanes = [...this.#lanes.values()];
    const first = this.#firstLane++ % lanes.length || 0;
    const taken: Taken[] = [];
    let bytes = 0;
    let nextInMs = Number.POSITIVE_INFINITY;
    for (const lane of [...lanes.slice(first), ...lanes.slice(0, first)]) {
      const [append] = lane.waiting;
      if (lane.isBusy || !append) continue;
      const size = sizeOf(append);
      if (taken.length === callRecordsMax || bytes + size > callBytesMax) return { taken, nextInMs: 0 };
      const waitMs = this.#rates.waitMs(lane.partition, size);
      if (waitMs > 0) {
        nextInMs = Math.min(nextInMs, waitMs);
        continue;
      }
      this.#rates.take(lane.partition, size);
      bytes += size;
      lane.isBusy = true;
      lane.waiting.shift();
      taken.push({ lane, append });
    }
    return { taken, nextInMs };
  }

  /**
   * Fails blocks that waited for their shard longer than for an answer. The producer then decides about a
   * retry.
   */
  #expire(): void {
    const { config, monotonicMs } = this.#options;
    const oldestMs = monotonicMs() - config.timeoutMs;
    for (const { waiting, isBusy, partition, readySinceMs } of this.#lanes.values()) {
      if (isBusy || waiting.length === 0 || readySinceMs > oldestMs) continue;
      const text = `partition ${partition} takes no more blocks now: this gateway writes ${config.shardBytesPerSecond} bytes and ${config.shardRecordsPerSecond} records a second to its shard, or Kinesis refused calls. If this lasts, divide the stream into more shards (UpdateShardCount)`;
      this.#failAll(waiting.splice(0), new BridgeError("KINESIS_THROTTLED", text, { retryable: true }));
    }
  }

  async #put(taken: readonly Taken[]): Promise<void> {
    const { connection, shards, config, monotonicMs, onCall } = this.#options;
    const startedAtMs = monotonicMs();
    this.#waitFor(config.gatherMs);
    this.#callsInFlight += 1;
    try {
      const records = taken.map(({ lane: { partition }, append }) => ({
        Data: append.block,
        PartitionKey: String(partition),
        ExplicitHashKey: String(shards.shard(partition).firstHashKey),
      }));
      const results = await connection.putRecords(records);
      this.#failures = 0;
      this.#settleCall(taken, results);
    } catch (error) {
      const failure = kinesisError(error, "PutRecords", connection.target);
      const pauseMs = fullJitterDelayMs(this.#failures++, pauseAfterFailure, this.#options.random);
      this.#waitFor(pauseMs);
      for (const each of taken) this.#fail(each, failure);
    } finally {
      this.#callsInFlight -= 1;
      onCall(monotonicMs() - startedAtMs);
      this.#send();
    }
  }

  /** Delays the next call by at least that long. */
  #waitFor(ms: number): void {
    this.#notBeforeMs = Math.max(this.#notBeforeMs, this.#options.monotonicMs() + ms);
  }

  #settleCall(taken: readonly Taken[], results: readonly PutRecordsResultEntry[]): void {
    let bytes = 0;
    let blocks = 0;
    for (const [index, each] of taken.entries()) {
      const { partition, newest } = each.lane;
      const shard = this.#options.shards.shard(partition);
      const outcome = putOutcome(shard, newest, results[index] ?? {});
      if (typeof outcome !== "string" && outcome.code === "KINESIS_THROTTLED") this.#rates.drain(partition);
      if (outcome === "elsewhere") void this.#explainElsewhere(each, results[index]?.ShardId);
      else if (typeof outcome !== "string") this.#fail(each, outcome);
      else {
        each.lane.newest = outcome;
        each.lane.isBusy = false;
        each.lane.readySinceMs = this.#options.monotonicMs();
        bytes += each.append.block.length;
        blocks += 1;
        each.append.resolve(outcome);
      }
    }
    this.#options.onAppended(bytes, blocks);
  }

  /**
   * Fails a block that landed in another shard. If its own shard is closed, the refreshed list of shards
   * says so.
   */
  async #explainElsewhere(taken: Taken, landedIn: string | undefined): Promise<void> {
    const { shards } = this.#options;
    const { partition } = taken.lane;
    try {
      shardNumberOf(landedIn);
      await shards.refresh();
      this.#fail(taken, shards.hold() ?? this.#elsewhere(partition, landedIn));
    } catch (error) {
      this.#fail(taken, kinesisError(error, "ListShards", this.#options.connection.target));
    }
    this.#send();
  }

  #elsewhere(partition: number, landedIn: string | undefined): BridgeError {
    const { shardId, isOpen } = this.#options.shards.shard(partition);
    if (isOpen)
      return new BridgeError(
        "KINESIS_UNAVAILABLE",
        `a block for ${shardId} landed in ${landedIn}, though the stream says that ${shardId} is open`,
        { retryable: true, details: { partition } },
      );
    return new BridgeError(
      "STREAM_PARTITION_CLOSED",
      `${shardId} is closed, because the stream was resharded (the block landed in ${landedIn})`,
      { retryable: false, details: { partition } },
    );
  }

  #fail({ lane, append }: Taken, failure: BridgeError): void {
    lane.isBusy = false;
    this.#failAll([append, ...lane.waiting.splice(0)], failure);
  }

  #failAll(appends: readonly WaitingAppend[], failure: BridgeError): void {
    this.#options.onFailed(failure);
    fail(appends, failure);
  }
}

function sizeOf({ block }: WaitingAppend): number {
  return block.length + keyBytes;
}

function tooLarge(block: Uint8Array): BridgeError | null {
  if (block.length + keyBytes <= recordBytesMax) return null;
  const text = `a block of ${block.length} bytes does not fit into a record of ${recordBytesMax}`;
  return new BridgeError("MESSAGE_TOO_LARGE", text, { retryable: false });
}

function fail(appends: readonly WaitingAppend[], error: BridgeError): void {
  for (const { reject } of appends) reject(error);
}
