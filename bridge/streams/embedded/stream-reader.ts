import { setTimeout as sleep } from "node:timers/promises";
import { getLastVersion } from "lmdb";
import { BridgeError } from "../../errors.ts";
import { entryNumberOf, positionOf } from "../decimal-position.ts";
import type { FixedPartitionState, Position, StreamEntry } from "../stream-log.ts";
import { damaged, type StreamDatabase } from "./stream-file.ts";
import {
  blockKey,
  blockPrefixBytes,
  decodePartition,
  entryNumberOfKey,
  type PartitionRecord,
  stateKey,
} from "./stream-records.ts";

const firstPollMs = 5;
const slowestPollMs = 20;
const pollGrowth = 1.3;

/**
 * Reads a stream, in the appender's process or another one. Each call takes one snapshot, copies the result
 * and releases the snapshot: a held snapshot keeps the appender from reusing trimmed pages.
 */
export class StreamReader {
  readonly #database: StreamDatabase;
  readonly #folder: string;
  /** Highest entry number by partition that a read or wait of this reader has seen. */
  readonly #seen: number[];

  constructor(database: StreamDatabase, options: { folder: string; partitionCount: number }) {
    this.#database = database;
    this.#folder = options.folder;
    this.#seen = Array.from({ length: options.partitionCount }, () => 0);
  }

  partitionState(partition: number): FixedPartitionState {
    const { highest, trimmedUpTo, appendedBytes, trimmedBytes } = this.#inSnapshot(() =>
      this.#record(partition),
    );
    return {
      highest: positionOf(highest),
      trimmedUpTo: positionOf(trimmedUpTo),
      retainedBytes: appendedBytes - trimmedBytes,
    };
  }

  read(partition: number, after: Position, limits: { maxBytes: number; maxEntries: number }): StreamEntry[] {
    return this.#inSnapshot(() => {
      const record = this.#record(partition);
      this.#seen[partition] = record.highest;
      const from = entryNumberOf(after);
      if (from === null)
        throw this.#gap(partition, after, record, "this is not a position of an embedded stream");
      if (from > record.highest) throw this.#gap(partition, after, record, "the stream never got that far");
      if (from < record.trimmedUpTo) throw this.#gap(partition, after, record, "they were trimmed");
      const entries = this.#entries(partition, from, record.highest, limits);
      if (entries.length === 0 && from < record.highest)
        throw this.#gap(partition, after, record, "they are missing");
      return entries;
    });
  }

  /**
   * Polls the stream's positions every few ms. This costs less than a file watcher, which wakes for each
   * written page (measured).
   */
  async waitForAppend(timeoutMs: number, isClosed: () => boolean): Promise<void> {
    const end = performance.now() + timeoutMs;
    let pauseMs = firstPollMs;
    while (!isClosed() && !this.#hasNew()) {
      const leftMs = end - performance.now();
      if (leftMs <= 0) return;
      await sleep(Math.min(pauseMs, leftMs));
      pauseMs = Math.min(pauseMs * pollGrowth, slowestPollMs);
    }
  }

  #hasNew(): boolean {
    return this.#inSnapshot(() => {
      let isNew = false;
      for (const [partition, seen] of this.#seen.entries()) {
        const { highest } = this.#record(partition);
        if (highest === seen) continue;
        this.#seen[partition] = highest;
        isNew = true;
      }
      return isNew;
    });
  }

  #record(partition: number): PartitionRecord {
    if (!(partition in this.#seen)) throw new RangeError(`the stream has no partition ${partition}`);
    const bytes = this.#database.getBinary(stateKey(partition));
    if (!bytes) throw damaged(this.#folder, `partition ${partition} has no state`);
    return decodePartition(bytes);
  }

  /** Ends early at a gap; the next read starts there and reports it. */
  #entries(
    partition: number,
    from: number,
    highest: number,
    limits: { maxBytes: number; maxEntries: number },
  ): StreamEntry[] {
    const entries: StreamEntry[] = [];
    let bytes = 0;
    for (let entry = from + 1; entry <= highest && entries.length < limits.maxEntries; entry++) {
      const value = this.#database.getBinary(blockKey(partition, entry));
      if (!value) break;
      const appendTimeMs = getLastVersion();
      bytes += value.length - blockPrefixBytes;
      if (entries.length > 0 && bytes > limits.maxBytes) break;
      entries.push({ position: positionOf(entry), appendTimeMs, block: value.subarray(blockPrefixBytes) });
    }
    return entries;
  }

  #gap(partition: number, after: Position, record: PartitionRecord, why: string): BridgeError {
    const resumeAfter = this.#resumeAfter(partition, entryNumberOf(after), record);
    const text = `partition ${partition} of ${this.#folder} cannot be read after "${after}" (it holds ${record.trimmedUpTo + 1} to ${record.highest}): ${why}. Acknowledged messages may be missing`;
    return new BridgeError("STREAM_GAP", text, {
      retryable: false,
      details: { partition, after, ...(resumeAfter === undefined ? {} : { resumeAfter }) },
    });
  }

  #resumeAfter(partition: number, from: number | null, record: PartitionRecord): Position | undefined {
    if (from === null || from >= record.highest) return undefined;
    const start = blockKey(partition, Math.max(from, record.trimmedUpTo) + 1);
    const end = blockKey(partition, record.highest + 1);
    for (const key of this.#database.getKeys({ start, end, limit: 1 }))
      return positionOf(entryNumberOfKey(key) - 1);
    return positionOf(record.highest);
  }

  #inSnapshot<Result>(read: () => Result): Result {
    this.#database.resetReadTxn();
    try {
      return read();
    } finally {
      this.#database.resetReadTxn();
    }
  }
}
