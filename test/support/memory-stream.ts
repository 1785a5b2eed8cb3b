import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { BridgeError } from "../../bridge/errors.ts";
import { compareDecimalPositions, entryNumberOf, positionOf } from "../../bridge/streams/decimal-position.ts";
import {
  type PartitionState,
  type Position,
  START_POSITION,
  type StreamEntry,
  type StreamLog,
} from "../../bridge/streams/stream-log.ts";

/** Called around each append; may wait. Throwing rejects that append. */
export interface MemoryStreamFaults {
  /** Throw here: rejected and not stored. */
  beforeAppend?: ((partition: number, block: Uint8Array) => Promise<void> | void) | undefined;
  /** Throw here: stored and rejected all the same, as when the answer is lost. */
  afterAppend?: ((partition: number, position: Position) => Promise<void> | void) | undefined;
  beforeRead?: ((partition: number, after: Position) => Promise<void> | void) | undefined;
}

interface Partition {
  entries: StreamEntry[];
  highest: number;
  trimmedUpTo: number;
  lastAppendTimeMs: number;
}

/** The reference StreamLog: what stands in it outlives its handles, like a stream outlives its clients. */
export class MemoryStream {
  readonly streamId: string;
  readonly faults: MemoryStreamFaults = {};
  readonly #partitions: Partition[];
  readonly #now: () => number;
  readonly #waiting = new Set<() => void>();

  constructor(options: { partitionCount?: number; streamId?: string; now?: () => number } = {}) {
    this.streamId = options.streamId ?? randomBytes(16).toString("hex");
    this.#now = options.now ?? Date.now;
    this.#partitions = Array.from({ length: options.partitionCount ?? 4 }, () => ({
      entries: [],
      highest: 0,
      trimmedUpTo: 0,
      lastAppendTimeMs: 0,
    }));
  }

  open(): StreamLog {
    return new MemoryStreamHandle(this, this.#partitions.length);
  }

  /** Everything not trimmed, in order. */
  entries(partition: number): readonly StreamEntry[] {
    return this.partition(partition).entries;
  }

  /** Takes one entry out, as a damaged stream would. */
  loseEntry(partition: number, position: Position): void {
    const held = this.partition(partition);
    held.entries = held.entries.filter((entry) => entry.position !== position);
  }

  /** Forgets the newest entries and their positions, as a fail-over to a lagging replica would. */
  rollBack(partition: number, entries: number): void {
    const held = this.partition(partition);
    held.entries.splice(Math.max(0, held.entries.length - entries));
    held.highest = Math.max(held.trimmedUpTo, held.highest - entries);
  }

  partition(index: number): Partition {
    const held = this.#partitions[index];
    if (!held) throw new RangeError(`no partition ${index}`);
    return held;
  }

  store(index: number, block: Uint8Array): Position {
    const held = this.partition(index);
    held.highest += 1;
    held.lastAppendTimeMs = Math.max(held.lastAppendTimeMs, this.#now());
    const position = positionOf(held.highest);
    held.entries.push({ position, appendTimeMs: held.lastAppendTimeMs, block: Uint8Array.from(block) });
    for (const wake of this.#waiting) wake();
    return position;
  }

  /** Total number of entries ever stored. */
  stored(): number {
    return this.#partitions.reduce((sum, held) => sum + held.highest, 0);
  }

  async waitForMore(than: number, timeoutMs: number): Promise<void> {
    if (this.stored() !== than) return;
    const stop = new AbortController();
    let wake = (): void => {};
    const appended = new Promise<void>((resolve) => {
      wake = resolve;
    });
    this.#waiting.add(wake);
    await Promise.race([appended, sleep(timeoutMs, undefined, { signal: stop.signal }).catch(() => {})]);
    this.#waiting.delete(wake);
    stop.abort();
  }
}

class MemoryStreamHandle implements StreamLog {
  readonly streamId: string;
  readonly partitionCount: number;
  readonly #stream: MemoryStream;
  #closed = false;
  #seen = 0;

  constructor(stream: MemoryStream, partitionCount: number) {
    this.#stream = stream;
    this.streamId = stream.streamId;
    this.partitionCount = partitionCount;
  }

  async append(partition: number, block: Uint8Array): Promise<Position> {
    this.#checkOpen();
    await this.#stream.faults.beforeAppend?.(partition, block);
    const position = this.#stream.store(partition, block);
    await this.#stream.faults.afterAppend?.(partition, position);
    return position;
  }

  async read(
    partition: number,
    after: Position,
    limits: { maxBytes: number; maxEntries: number },
  ): Promise<StreamEntry[]> {
    this.#checkOpen();
    await this.#stream.faults.beforeRead?.(partition, after);
    this.#seen = this.#stream.stored();
    const held = this.#stream.partition(partition);
    const from = entryNumberOf(after);
    if (from === null || from < held.trimmedUpTo || from > held.highest)
      throw gap(partition, after, resumeAfter(held, from));
    const entries: StreamEntry[] = [];
    let bytes = 0;
    for (const entry of held.entries) {
      if (compareDecimalPositions(entry.position, after) <= 0) continue;
      bytes += entry.block.length;
      if (entries.length > 0 && (bytes > limits.maxBytes || entries.length >= limits.maxEntries)) break;
      if (entry.position !== positionOf(from + entries.length + 1)) break;
      entries.push(entry);
    }
    if (entries.length === 0 && from < held.highest) throw gap(partition, after, resumeAfter(held, from));
    return entries;
  }

  async waitForAppend(timeoutMs: number): Promise<void> {
    this.#checkOpen();
    await this.#stream.waitForMore(this.#seen, timeoutMs);
    this.#seen = this.#stream.stored();
  }

  async trim(partition: number, upTo: Position): Promise<void> {
    this.#checkOpen();
    const held = this.#stream.partition(partition);
    const bound = Math.min(entryNumberOf(upTo) ?? 0, held.highest);
    held.trimmedUpTo = Math.max(held.trimmedUpTo, bound);
    held.entries = held.entries.filter((entry) => (entryNumberOf(entry.position) ?? 0) > held.trimmedUpTo);
  }

  async partitionState(partition: number): Promise<PartitionState> {
    this.#checkOpen();
    const held = this.#stream.partition(partition);
    return {
      highest: positionOf(held.highest),
      trimmedUpTo: held.trimmedUpTo === 0 ? START_POSITION : positionOf(held.trimmedUpTo),
      retainedBytes: held.entries.reduce((sum, entry) => sum + entry.block.length, 0),
    };
  }

  comparePositions(left: Position, right: Position): number {
    return compareDecimalPositions(left, right);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #checkOpen(): void {
    if (this.#closed) throw new BridgeError("STREAM_CLOSED", "the stream was closed", { retryable: false });
  }
}

/** The last position before the next entry that is there. */
function resumeAfter(held: Partition, from: number | null): Position | undefined {
  if (from === null || from >= held.highest) return undefined;
  const next = held.entries.find((entry) => (entryNumberOf(entry.position) ?? 0) > from);
  return positionOf(next ? (entryNumberOf(next.position) ?? 0) - 1 : held.highest);
}

function gap(partition: number, after: Position, resume: Position | undefined): BridgeError {
  return new BridgeError("STREAM_GAP", `partition ${partition} has a hole after "${after}"`, {
    retryable: false,
    details: { partition, after, ...(resume === undefined ? {} : { resumeAfter: resume }) },
  });
}
