import { setTimeout as delay } from "node:timers/promises";
import type { GetRecordsOutput } from "@aws-sdk/client-kinesis";
import { fullJitterDelayMs } from "../../../devices/protocol/backoff.ts";
import { BridgeError } from "../../errors.ts";
import { endPosition, type Position, type StreamEntry, startPosition } from "../stream-log.ts";
import type { KinesisConfig } from "./kinesis-config.ts";
import type { KinesisConnection } from "./kinesis-connection.ts";
import { exceptionOf, isPassing } from "./kinesis-error.ts";
import { bytesOf, ReadAhead } from "./read-ahead.ts";
import { compareSequenceNumbers, isSequenceNumber } from "./sequence-number.ts";
import type { Shard } from "./shard.ts";
import { forgotten, gap, incomplete, isAboutPosition } from "./shard-faults.ts";

/** Reading ahead ends if no read asked for the shard for this long. */
const unaskedMaxMs = 10_000;
/** Reads reject if calls fail for longer than this. */
const failingMaxMs = 30_000;
/** Longest wait of a read for the first blocks after the start. */
const firstReadMaxMs = 2000;
/** Pause between attempts after a failed call. */
const retry = { baseMs: 200, maxMs: 5000 } as const;

export interface ShardReaderOptions {
  readonly connection: Pick<KinesisConnection, "shardIterator" | "getRecords">;
  readonly shard: Shard;
  /** Reading begins after this position. */
  readonly after: Position;
  readonly config: KinesisConfig;
  readonly monotonicMs: () => number;
  readonly random: () => number;
  /**
   * The state of the shard, by calls to Kinesis that begin after this one. Asked if the records end, or if
   * the shard is not found.
   */
  readonly lookUp: () => Promise<"open" | "closed" | "forgotten">;
  /** Called if there are new entries, the end, or a failure. */
  readonly onNews: () => void;
  /** Called for each failed call. `isNews` = the first of a series of failures that are retried. */
  readonly onFailed: (error: BridgeError, isNews: boolean) => void;
  readonly onRead: (bytes: number, records: number) => void;
  /** Called when reading ends because no read asked for the shard. */
  readonly onUnasked: () => void;
}

/** Reads one shard ahead, from a position on, into a bounded buffer. */
export class ShardReader {
  readonly #options: ShardReaderOptions;
  readonly #stop = new AbortController();
  readonly #ahead: ReadAhead;
  #iterator: string | undefined;
  #isEnded = false;
  #isEndHandedOut = false;
  #failure: BridgeError | null = null;
  #failingSinceMs: number | null = null;
  #attempts = 0;
  #behind: { readonly ms: number; readonly atMs: number; readonly askedAtMs: number } | null = null;
  #askedAtMs: number;
  #wake: (() => void) | undefined;
  /** Resolves once the answer for the first position is known, or after `firstReadMaxMs`. */
  readonly #first: Promise<void>;
  #knowsFirst = (): void => {};

  constructor(options: ShardReaderOptions) {
    this.#options = options;
    this.#ahead = new ReadAhead(options.after);
    this.#askedAtMs = options.monotonicMs();
    this.#first = new Promise((resolve) => {
      this.#knowsFirst = resolve;
    });
    const timer = setTimeout(this.#knowsFirst, firstReadMaxMs);
    void this.#first.then(() => clearTimeout(timer));
    void this.#run();
  }

  /** True if a read can continue after this position. */
  covers(after: Position): boolean {
    return this.#ahead.covers(after);
  }

  /** True if reading has ended with a failure. */
  get hasFailed(): boolean {
    return this.#failure !== null;
  }

  /**
   * The entries after a position that the reader covers. If reading failed, throws the failure after the
   * entries that were read before.
   */
  async read(after: Position, limits: { maxBytes: number; maxEntries: number }): Promise<StreamEntry[]> {
    this.asked();
    if (this.#ahead.forgetUpTo(after)) this.#wake?.();
    await this.#first;
    const taken = this.#ahead.take(after, limits);
    if (taken.length > 0) return taken;
    if (this.#isEnded) {
      this.#isEndHandedOut = true;
      return [endOf()];
    }
    if (this.#failure) throw this.#failure;
    return [];
  }

  /** True if a read would return new entries, the end or a failure. */
  get hasNews(): boolean {
    const isEndUnread = this.#isEnded && !this.#isEndHandedOut;
    return isEndUnread || this.#failure !== null || this.#ahead.hasUnread;
  }

  asked(): void {
    this.#askedAtMs = this.#options.monotonicMs();
  }

  /**
   * Upper bound of how much older the last returned record is than the newest one, ms, and the age of this
   * knowledge; null if unknown.
   */
  behind(): { readonly ms: number; readonly agoMs: number } | null {
    if (!this.#behind) return null;
    const { ms, atMs, askedAtMs } = this.#behind;
    const agoMs = this.#options.monotonicMs() - askedAtMs;
    if (this.#isEnded && !this.#ahead.hasUnread) return { ms: 0, agoMs };
    // After a long time without an answer, newer records may have arrived.
    const silentMs = this.#options.monotonicMs() - atMs;
    return { ms: ms + this.#ahead.unreadMs + (silentMs > failingMaxMs ? silentMs : 0), agoMs };
  }

  stop(): void {
    this.#stop.abort();
    this.#knowsFirst();
    this.#wake?.();
  }

  async #run(): Promise<void> {
    const { config } = this.#options;
    while (!this.#isOver()) {
      if (this.#ahead.bytes >= config.readBufferBytes) {
        await this.#room();
        continue;
      }
      const startedAtMs = this.#options.monotonicMs();
      const pauseMs = await this.#readOnce();
      const spentMs = this.#options.monotonicMs() - startedAtMs;
      if (!this.#isOver()) await this.#pause(pauseMs - spentMs);
    }
  }

  #isOver(): boolean {
    const { monotonicMs, onUnasked } = this.#options;
    if (this.#stop.signal.aborted || this.#isEnded || this.#failure) return true;
    if (monotonicMs() - this.#askedAtMs < unaskedMaxMs) return false;
    onUnasked();
    return true;
  }

  /** Reads once. Resolves with the shortest time from the start of this read to the next one, ms. */
  async #readOnce(): Promise<number> {
    const { connection, shard, config, monotonicMs } = this.#options;
    try {
      this.#iterator ??= await connection.shardIterator(shard.shardId, this.#ahead.last);
      const askedAtMs = monotonicMs();
      const answer = await connection.getRecords(this.#iterator);
      if (this.#stop.signal.aborted) return 0;
      const bytes = this.#append(answer, askedAtMs);
      if (!answer.NextShardIterator) await this.#reachedEnd();
      this.#iterator = answer.NextShardIterator;
      this.#attempts = 0;
      this.#failingSinceMs = null;
      const isBehind = this.#behind?.ms !== 0;
      if (bytes > 0 || !isBehind || this.#isEnded) this.#knowsFirst();
      if (bytes > 0 || this.#isEnded) this.#options.onNews();
      return Math.max(
        isBehind || bytes > 0 ? config.catchUpMs : config.pollMs,
        (bytes / config.shardReadBytesPerSecond) * 1000,
      );
    } catch (error) {
      return this.#stop.signal.aborted ? 0 : await this.#failed(error);
    }
  }

  #append({ Records = [], MillisBehindLatest }: GetRecordsOutput, askedAtMs: number): number {
    const last = this.#ahead.last;
    const fresh = Records.flatMap(({ SequenceNumber, Data, ApproximateArrivalTimestamp }): StreamEntry[] => {
      if (!isSequenceNumber(SequenceNumber) || !Data) throw incomplete();
      if (compareSequenceNumbers(SequenceNumber, last) <= 0) return [];
      return [
        { position: SequenceNumber, appendTimeMs: ApproximateArrivalTimestamp?.getTime() ?? 0, block: Data },
      ];
    });
    const bytes = bytesOf(fresh);
    this.#ahead.add(fresh);
    this.#behind = { ms: MillisBehindLatest ?? 1, atMs: this.#options.monotonicMs(), askedAtMs };
    if (fresh.length > 0) this.#options.onRead(bytes, fresh.length);
    return bytes;
  }

  /** An answer without a next iterator means that the shard ends here. The list of shards must agree. */
  async #reachedEnd(): Promise<void> {
    const state = await this.#options.lookUp();
    if (state === "open") throw incomplete();
    this.#isEnded = true;
  }

  async #failed(error: unknown): Promise<number> {
    const { monotonicMs, random, onFailed, onNews } = this.#options;
    this.#iterator = undefined;
    if (exceptionOf(error) === "ExpiredIteratorException") return 0;
    const failure = await this.#explain(error);
    const isFirst = this.#failingSinceMs === null;
    this.#failingSinceMs ??= monotonicMs();
    const isThrown = !isPassing(failure) || monotonicMs() - this.#failingSinceMs > failingMaxMs;
    onFailed(failure, isFirst && !isThrown);
    if (isThrown) {
      this.#failure = failure;
      onNews();
    }
    this.#knowsFirst();
    return fullJitterDelayMs(this.#attempts++, retry, random);
  }

  /**
   * The reason for a failed call. Other errors than gaps are retryable, because the stream was usable when
   * it was opened.
   */
  async #explain(error: unknown): Promise<BridgeError> {
    if (!(error instanceof BridgeError)) throw error;
    const { shard } = this.#options;
    const after = this.#ahead.last;
    if (error.code === "STREAM_MISSING" && (await this.#isForgotten()))
      return forgotten(shard.partition, after);
    if (after !== startPosition && isAboutPosition(error))
      return gap(shard, after, `Kinesis does not know this position: ${error.message}`);
    if (error.retryable || error.code === "STREAM_GAP") return error;
    const { cause, details, message, code } = error;
    return new BridgeError(code, message, { retryable: true, cause, details: { ...details } });
  }

  async #isForgotten(): Promise<boolean> {
    return (await this.#options.lookUp().catch(() => "open")) === "forgotten";
  }

  async #room(): Promise<void> {
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    const waited = new AbortController();
    await Promise.race([woken, delay(unaskedMaxMs, undefined, { signal: waited.signal }).catch(() => {})]);
    waited.abort();
    this.#wake = undefined;
  }

  async #pause(ms: number): Promise<void> {
    if (ms > 0) await delay(ms, undefined, { signal: this.#stop.signal }).catch(() => {});
  }
}

function endOf(): StreamEntry {
  return { position: endPosition, appendTimeMs: 0, block: new Uint8Array(0), isEnd: true };
}
