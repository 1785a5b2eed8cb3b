import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { BridgeError } from "../../bridge/errors.ts";
import { compareDecimalPositions, entryNumberOf, positionOf } from "../../bridge/streams/decimal-position.ts";
import { deviceHashes } from "../../bridge/streams/device-hash.ts";
import {
  fixedPartitions,
  type PartitionMap,
  type RangePartition,
  rangePartitions,
} from "../../bridge/streams/partition-map.ts";
import {
  endPosition,
  type FixedPartitionState,
  type FixedStreamLog,
  type Position,
  type StreamEntry,
  startPosition,
} from "../../bridge/streams/stream-log.ts";

/** Called around each append; may wait. Throwing rejects that append. */
export interface MemoryStreamFaults {
  /** If this throws, the append rejects, and the block is not stored. */
  beforeAppend?: ((partition: number, block: Uint8Array) => Promise<void> | void) | undefined;
  /** If this throws, the append rejects, but the block is stored, as if the answer was lost. */
  afterAppend?: ((partition: number, position: Position) => Promise<void> | void) | undefined;
  beforeRead?: ((partition: number, after: Position) => Promise<void> | void) | undefined;
}

interface Partition {
  entries: StreamEntry[];
  highest: number;
  trimmedUpTo: number;
}

export interface MemoryStreamOptions {
  readonly partitionCount?: number;
  readonly streamId?: string;
  readonly now?: () => number;
  /** Partitions take ranges of hashes, and can be split and merged. */
  readonly isDivisible?: boolean;
  /** The retention time that the handles report; entries stay anyway. */
  readonly retentionMs?: number | undefined;
}

function emptyPartition(): Partition {
  return { entries: [], highest: 0, trimmedUpTo: 0 };
}

function evenRanges(count: number): RangePartition[] {
  const bound = (partition: number) => Math.floor((deviceHashes * partition) / count);
  return Array.from({ length: count }, (_, partition) => {
    const [firstHash, lastHash] = [bound(partition), bound(partition + 1) - 1];
    return { partition, parents: [], isOpen: true, firstHash, lastHash };
  });
}

/** The reference StreamLog. Its entries outlive its handles, as a stream outlives its clients. */
export class MemoryStream {
  readonly streamId: string;
  readonly retentionMs?: number;
  readonly faults: MemoryStreamFaults = {};
  readonly #partitions: Partition[];
  readonly #now: () => number;
  readonly #waiting = new Set<() => void>();
  readonly #handles: MemoryStreamHandle[] = [];
  readonly #forgotten = new Set<number>();
  /** Partitions of a stream that can be split and merged. */
  readonly #ranges: RangePartition[] | null;
  partitions: PartitionMap;

  constructor(options: MemoryStreamOptions = {}) {
    const { partitionCount = 4 } = options;
    this.streamId = options.streamId ?? randomBytes(16).toString("hex");
    if (options.retentionMs !== undefined) this.retentionMs = options.retentionMs;
    this.#now = options.now ?? Date.now;
    this.#partitions = Array.from({ length: partitionCount }, emptyPartition);
    this.#ranges = options.isDivisible ? evenRanges(partitionCount) : null;
    this.partitions = this.#ranges ? rangePartitions(this.#ranges) : fixedPartitions(partitionCount);
  }

  open(): FixedStreamLog {
    const handle = new MemoryStreamHandle(this, this.#partitions.length);
    this.#handles.push(handle);
    return handle;
  }

  /**
   * If true, all handles learn of a split or merge at once; otherwise when they next use one of its
   * partitions.
   */
  announce(): void {
    for (const handle of this.#handles) handle.lookForPartitions();
  }

  /** Replaces an open partition by two new ones, each with half of its devices. */
  split(partition: number): void {
    const { firstHash, lastHash } = this.#close(partition);
    if (firstHash === lastHash) throw new RangeError("one hash can't be split");
    const middle = firstHash + Math.floor((lastHash - firstHash) / 2);
    this.#replace([partition], firstHash, middle);
    this.#replace([partition], middle + 1, lastHash);
  }

  /** Replaces two neighbouring open partitions by a new one. */
  merge(left: number, right: number): void {
    const [{ firstHash, lastHash: middle }, { firstHash: next, lastHash }] = [
      this.#close(left),
      this.#close(right),
    ];
    if (middle + 1 !== next) throw new RangeError("these are no neighbours");
    this.#replace([left, right], firstHash, lastHash);
  }

  /** Open partitions in the order of their devices' hashes. */
  openPartitions(): number[] {
    return (this.#ranges ?? [])
      .filter(({ isOpen }) => isOpen)
      .toSorted((left, right) => left.firstHash - right.firstHash)
      .map(({ partition }) => partition);
  }

  /** The partition in which a block for a closed one lands. */
  landingOf(partition: number): number {
    const { firstHash = -1 } = this.#ranges?.[partition] ?? {};
    const found = this.#ranges?.find(
      (range) => range.isOpen && range.firstHash <= firstHash && firstHash <= range.lastHash,
    );
    return found?.partition ?? partition;
  }

  /** Deletes a closed partition with its entries, as Kinesis does after its retention time. */
  forget(partition: number): void {
    if (!this.isClosed(partition)) throw new RangeError(`partition ${partition} is open`);
    this.#forgotten.add(partition);
    this.#list();
  }

  isForgotten(partition: number): boolean {
    return this.#forgotten.has(partition);
  }

  isClosed(partition: number): boolean {
    return this.#ranges?.[partition]?.isOpen === false;
  }

  #close(partition: number): RangePartition {
    const range = this.#ranges?.[partition];
    if (!this.#ranges || !range?.isOpen)
      throw new RangeError(`partition ${partition} can't be split or merged`);
    this.#ranges[partition] = { ...range, isOpen: false };
    return range;
  }

  #replace(parents: number[], firstHash: number, lastHash: number): void {
    const ranges = this.#ranges as RangePartition[];
    ranges.push({ partition: ranges.length, parents, isOpen: true, firstHash, lastHash });
    this.#partitions.push(emptyPartition());
    this.#list();
    for (const wake of this.#waiting) wake();
  }

  #list(): void {
    const listed = (this.#ranges ?? []).filter((range) => !this.#forgotten.has(range.partition));
    this.partitions = rangePartitions(listed);
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
    const position = positionOf(held.highest);
    held.entries.push({ position, appendTimeMs: this.#now(), block: Uint8Array.from(block) });
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

class MemoryStreamHandle implements FixedStreamLog {
  readonly streamId: string;
  readonly retentionMs?: number;
  readonly partitionCount: number;
  partitions: PartitionMap;
  readonly #stream: MemoryStream;
  #onPartitionsChange: (() => void)[] = [];
  #closed = false;
  #seen = 0;

  constructor(stream: MemoryStream, partitionCount: number) {
    this.#stream = stream;
    this.streamId = stream.streamId;
    if (stream.retentionMs !== undefined) this.retentionMs = stream.retentionMs;
    this.partitionCount = partitionCount;
    this.partitions = stream.partitions;
  }

  onPartitionsChange(listener: () => void): void {
    this.#onPartitionsChange.push(listener);
  }

  async refreshPartitions(): Promise<void> {
    this.#checkOpen();
    this.lookForPartitions();
  }

  async append(partition: number, block: Uint8Array): Promise<Position> {
    this.#checkOpen();
    await this.#stream.faults.beforeAppend?.(partition, block);
    if (this.#stream.isClosed(partition)) {
      this.#stream.store(this.#stream.landingOf(partition), block);
      this.lookForPartitions();
      throw new BridgeError("STREAM_PARTITION_CLOSED", `partition ${partition} takes no more`, {
        retryable: false,
      });
    }
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
    this.lookForPartitions();
    this.#seen = this.#stream.stored();
    if (after === endPosition) return [];
    if (this.#stream.isForgotten(partition)) throw gap(partition, after, endPosition);
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
    if (entries.length === 0 && this.#stream.isClosed(partition))
      return [{ position: endPosition, appendTimeMs: 0, block: new Uint8Array(), isEnd: true }];
    return entries;
  }

  lookForPartitions(): void {
    if (this.partitions === this.#stream.partitions) return;
    this.partitions = this.#stream.partitions;
    // The port does not promise that listeners are called before the append rejects.
    for (const listener of this.#onPartitionsChange) setImmediate(listener);
  }

  async waitForAppend(timeoutMs: number): Promise<void> {
    this.#checkOpen();
    this.lookForPartitions();
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

  async partitionState(partition: number): Promise<FixedPartitionState> {
    this.#checkOpen();
    if (this.#stream.isForgotten(partition)) throw gap(partition, startPosition, endPosition);
    const held = this.#stream.partition(partition);
    return {
      highest: positionOf(held.highest),
      trimmedUpTo: held.trimmedUpTo === 0 ? startPosition : positionOf(held.trimmedUpTo),
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
