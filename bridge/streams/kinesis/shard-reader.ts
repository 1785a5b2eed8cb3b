import { setTimeout as delay } from "node:timers/promises";
import type { GetRecordsOutput } from "@aws-sdk/client-kinesis";
import { fullJitterDelayMs } from "../../../devices/protocol/backoff.ts";
import { BridgeError } from "../../errors.ts";
import { END_POSITION, type Position, START_POSITION, type StreamEntry } from "../stream-log.ts";
import type { KinesisConfig } from "./kinesis-config.ts";
import type { KinesisConnection } from "./kinesis-connection.ts";
import { exceptionOf, isPassing } from "./kinesis-error.ts";
import { compareSequenceNumbers, isSequenceNumber } from "./sequence-number.ts";
import { type Shard, shardIdOf } from "./shard.ts";

/** A shard that nobody has asked about for this long is not read ahead any more. */
const unaskedMaxMs = 10_000;
/** What fails for longer than this is told to whoever reads. */
const failingMaxMs = 30_000;
/** How long a reader of a position that was not read ahead waits for the first blocks. */
const firstReadMaxMs = 2000;
/** Between two tries of a call that failed. */
const retry = { baseMs: 200, maxMs: 5000 } as const;

export interface ShardReaderOptions {
  readonly connection: Pick<KinesisConnection, "shardIterator" | "getRecords">;
  readonly shard: Shard;
  /** Where it begins. */
  readonly after: Position;
  readonly config: KinesisConfig;
  readonly monotonicMs: () => number;
  readonly random: () => number;
  /** What Kinesis says of the shard once its records end or it knows it no more; told by calls that begin after this one. */
  readonly lookUp: () => Promise<"open" | "closed" | "forgotten">;
  /** There is more to read, or a reason why not. */
  readonly onNews: () => void;
  /** A call failed. `isNews`: it is tried again, and the one before it had not failed. */
  readonly onFailed: (error: BridgeError, isNews: boolean) => void;
  readonly onRead: (bytes: number, records: number) => void;
  /** Nobody has asked about it for long. */
  readonly onUnasked: () => void;
}

/** Reads one shard ahead, from a position on, into a bounded buffer. */
export class ShardReader {
  readonly #options: ShardReaderOptions;
  readonly #stop = new AbortController();
  /** What follows `#from`, in order. What was handed out stays until something behind it is asked for. */
  #entries: StreamEntry[] = [];
  #from: Position;
  #bufferedBytes = 0;
  /** The last one that was handed out. */
  #handedOut: Position;
  #iterator: string | undefined;
  #isEnded = false;
  #isEndHandedOut = false;
  #failure: BridgeError | null = null;
  #failingSinceMs: number | null = null;
  #attempts = 0;
  #behind: { readonly ms: number; readonly atMs: number; readonly askedAtMs: number } | null = null;
  #askedAtMs: number;
  #wake: (() => void) | undefined;
  /** Resolves once something is known of what follows the first position. */
  readonly #first: Promise<void>;
  #knowsFirst = (): void => {};

  constructor(options: ShardReaderOptions) {
    this.#options = options;
    this.#from = options.after;
    this.#handedOut = options.after;
    this.#askedAtMs = options.monotonicMs();
    this.#first = new Promise((resolve) => {
      this.#knowsFirst = resolve;
    });
    const timer = setTimeout(this.#knowsFirst, firstReadMaxMs);
    void this.#first.then(() => clearTimeout(timer));
    void this.#run();
  }

  /** Whether it can go on after this position: it begins there, or has read it. */
  covers(after: Position): boolean {
    return after === this.#from || this.#entries.some(({ position }) => position === after);
  }

  /** True where it can't go on. */
  get hasFailed(): boolean {
    return this.#failure !== null;
  }

  /** What follows a position that it covers. Throws what is wrong once nothing that was read before is left. */
  async read(after: Position, limits: { maxBytes: number; maxEntries: number }): Promise<StreamEntry[]> {
    this.asked();
    this.#forgetUpTo(after);
    await this.#first;
    const taken = this.#take(after, limits);
    if (taken.length > 0) return taken;
    if (this.#isEnded) {
      this.#isEndHandedOut = true;
      return [endOf()];
    }
    if (this.#failure) throw this.#failure;
    return [];
  }

  /** True where a read would answer something that none has answered before. */
  get hasNews(): boolean {
    const isEndUnread = this.#isEnded && !this.#isEndHandedOut;
    return isEndUnread || this.#failure !== null || this.#isAnyUnread();
  }

  asked(): void {
    this.#askedAtMs = this.#options.monotonicMs();
  }

  /** By how much what was handed out last is older than the newest record, at most; null where nothing is known yet. */
  behind(): { readonly ms: number; readonly agoMs: number } | null {
    if (!this.#behind) return null;
    const { ms, atMs, askedAtMs } = this.#behind;
    const agoMs = this.#options.monotonicMs() - askedAtMs;
    if (this.#isEnded && !this.#isAnyUnread()) return { ms: 0, agoMs };
    const unread = this.#entries.find(({ position }) => this.#isUnread(position));
    const newest = this.#entries.at(-1);
    const bufferedMs = unread && newest ? Math.max(1, newest.appendTimeMs - unread.appendTimeMs) : 0;
    // Without news for long, more may have come since.
    const silentMs = this.#options.monotonicMs() - atMs;
    return { ms: ms + bufferedMs + (silentMs > failingMaxMs ? silentMs : 0), agoMs };
  }

  stop(): void {
    this.#stop.abort();
    this.#knowsFirst();
    this.#wake?.();
  }

  #isAnyUnread(): boolean {
    return this.#isUnread(this.#last());
  }

  #isUnread(position: Position): boolean {
    return compareSequenceNumbers(position, this.#handedOut) > 0;
  }

  #take(after: Position, { maxBytes, maxEntries }: { maxBytes: number; maxEntries: number }): StreamEntry[] {
    const taken: StreamEntry[] = [];
    let bytes = 0;
    for (const entry of this.#entries) {
      if (compareSequenceNumbers(entry.position, after) <= 0) continue;
      bytes += entry.block.length;
      if (taken.length > 0 && (bytes > maxBytes || taken.length >= maxEntries)) break;
      taken.push(entry);
    }
    const last = taken.at(-1)?.position ?? after;
    if (this.#isUnread(last)) this.#handedOut = last;
    return taken;
  }

  #forgetUpTo(after: Position): void {
    const kept = this.#entries.findIndex(({ position }) => compareSequenceNumbers(position, after) > 0);
    const forgotten = this.#entries.splice(0, kept === -1 ? this.#entries.length : kept);
    if (forgotten.length === 0) return;
    this.#from = after;
    this.#bufferedBytes -= bytesOf(forgotten);
    this.#wake?.();
  }

  async #run(): Promise<void> {
    const { config } = this.#options;
    while (!this.#isOver()) {
      if (this.#bufferedBytes >= config.readBufferBytes) {
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

  /** Answers after how long the shard may be read again, counted from now. */
  async #readOnce(): Promise<number> {
    const { connection, shard, config, monotonicMs } = this.#options;
    try {
      this.#iterator ??= await connection.shardIterator(shard.shardId, this.#last());
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
    const last = this.#last();
    const fresh = Records.flatMap(({ SequenceNumber, Data, ApproximateArrivalTimestamp }): StreamEntry[] => {
      if (!isSequenceNumber(SequenceNumber) || !Data) throw incomplete();
      if (compareSequenceNumbers(SequenceNumber, last) <= 0) return [];
      return [
        { position: SequenceNumber, appendTimeMs: ApproximateArrivalTimestamp?.getTime() ?? 0, block: Data },
      ];
    });
    const bytes = bytesOf(fresh);
    this.#entries.push(...fresh);
    this.#bufferedBytes += bytes;
    this.#behind = { ms: MillisBehindLatest ?? 1, atMs: this.#options.monotonicMs(), askedAtMs };
    if (fresh.length > 0) this.#options.onRead(bytes, fresh.length);
    return bytes;
  }

  /** An answer without a next iterator says that the shard's records end here; the list of shards must say so too. */
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

  /** Never a reason to end the process: what is wrong now was right when the stream was opened. */
  async #explain(error: unknown): Promise<BridgeError> {
    if (!(error instanceof BridgeError)) throw error;
    const { shard } = this.#options;
    const after = this.#last();
    if (error.code === "STREAM_MISSING" && (await this.#isForgotten()))
      return forgotten(shard.partition, after);
    if (after !== START_POSITION && isAboutPosition(error))
      return gap(shard, after, `Kinesis knows no such position: ${error.message}`);
    if (error.retryable || error.code === "STREAM_GAP") return error;
    const { cause, details, message, code } = error;
    return new BridgeError(code, message, { retryable: true, cause, details: { ...details } });
  }

  async #isForgotten(): Promise<boolean> {
    return (await this.#options.lookUp().catch(() => "open")) === "forgotten";
  }

  #last(): Position {
    return this.#entries.at(-1)?.position ?? this.#from;
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

function bytesOf(entries: readonly StreamEntry[]): number {
  return entries.reduce((sum, { block }) => sum + block.length, 0);
}

function endOf(): StreamEntry {
  return { position: END_POSITION, appendTimeMs: 0, block: new Uint8Array(0), isEnd: true };
}

/** Kinesis calls such a position an invalid argument; kinesis-local says that it can't find the record. */
function isAboutPosition(error: BridgeError): boolean {
  const isAsked = error.details["api"] === "GetShardIterator";
  return isAsked && (exceptionOf(error) === "InvalidArgumentException" || error.code === "STREAM_MISSING");
}

function incomplete(): BridgeError {
  const text = "kinesis:GetRecords: the answer makes no sense: something else than Kinesis answers";
  return new BridgeError("KINESIS_UNAVAILABLE", text, { retryable: true });
}

/** A shard is kept as long as its youngest record. */
export function forgotten(partition: number, after: Position): BridgeError {
  const shard = { partition, shardId: shardIdOf(partition) };
  return gap(shard, after, "Kinesis has forgotten the shard, and what was not read of it", END_POSITION);
}

export function gap(
  { partition, shardId }: Pick<Shard, "partition" | "shardId">,
  after: Position,
  why: string,
  resumeAfter?: Position,
): BridgeError {
  const text = `${shardId} cannot be read after "${after}": ${why}. Acknowledged messages may be missing`;
  return new BridgeError("STREAM_GAP", text, {
    retryable: false,
    details: { partition, after, ...(resumeAfter === undefined ? {} : { resumeAfter }) },
  });
}
