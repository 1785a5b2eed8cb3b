import { setImmediate as nextTurn } from "node:timers/promises";
import { BridgeError } from "../../errors.ts";
import { positionOf } from "../decimal-position.ts";
import type { Position } from "../stream-log.ts";
import { commitFailure, flushFailed } from "./commit-failure.ts";
import type { FileRoom } from "./file-room.ts";
import { type SpaceBudget, transactionOverheadBytes, usableShareOfFile } from "./space-budget.ts";
import { isOutOfSpace } from "./space-probe.ts";
import type { StreamDatabase } from "./stream-file.ts";
import {
  blockKey,
  blockPrefixBytes,
  encodeBlockValue,
  encodePartition,
  ownerKey,
  type PartitionRecord,
  stateKey,
  storedBytes,
} from "./stream-records.ts";

/** Keeps a transaction far below lmdb's limit of dirty pages (512 MB). */
const transactionBytesMax = 32 * 1024 * 1024;
const trimmedPerTransactionMax = 512;
const stuckChecks = 10;
interface WaitingAppend {
  readonly partition: number;
  readonly block: Uint8Array;
  readonly settle: (outcome: Position | BridgeError) => void;
  isSettled: boolean;
}

interface WaitingTrim {
  readonly partition: number;
  readonly upTo: number;
  readonly settle: (failure?: BridgeError) => void;
}

export interface AppenderOptions {
  readonly folder: string;
  readonly database: StreamDatabase;
  readonly generation: number;
  readonly partitions: PartitionRecord[];
  readonly budget: SpaceBudget;
  readonly room: Pick<FileRoom, "ensure" | "close">;
  readonly appendTimeoutMs: number;
  readonly stuckMs: number;
  readonly now: () => number;
  /** Called once, if the process must exit without another acknowledgement. */
  readonly onFatal: (error: BridgeError) => void;
}

/**
 * The only writer of a stream. One transaction at a time takes all waiting blocks. It assigns their
 * positions when it starts; they are valid once it is durable.
 */
export class StreamAppender {
  readonly #options: AppenderOptions;
  readonly #partitions: PartitionRecord[];
  #waiting: WaitingAppend[] = [];
  #waitingTrims: WaitingTrim[] = [];
  #unsettledBytes = 0;
  #work: Promise<void> | undefined;
  #fatal: BridgeError | undefined;

  constructor(options: AppenderOptions) {
    this.#options = options;
    this.#partitions = options.partitions;
  }

  partition(index: number): PartitionRecord {
    const record = this.#partitions[index];
    if (!record) throw new RangeError(`the stream has no partition ${index}`);
    return record;
  }

  retainedBytes(): number {
    return this.#partitions.reduce((sum, each) => sum + each.appendedBytes - each.trimmedBytes, 0);
  }

  append(partition: number, block: Uint8Array): Promise<Position> {
    this.partition(partition);
    if (this.#fatal) return Promise.reject(this.#fatal);
    const bytes = storedBytes(block.length);
    const refusal = this.#options.budget.refusal(this.retainedBytes() + this.#unsettledBytes, bytes);
    if (refusal) return Promise.reject(full(refusal));
    this.#unsettledBytes += bytes;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#timeOut(waiting), this.#options.appendTimeoutMs);
      const waiting: WaitingAppend = {
        partition,
        block,
        isSettled: false,
        settle: (outcome) => {
          if (waiting.isSettled) return;
          waiting.isSettled = true;
          this.#unsettledBytes -= bytes;
          clearTimeout(timer);
          if (typeof outcome === "string") resolve(outcome);
          else reject(outcome);
        },
      };
      this.#waiting.push(waiting);
      this.#start();
    });
  }

  /** Removes the entries up to and including this number. */
  trim(partition: number, upTo: number): Promise<void> {
    const bound = Math.min(upTo, this.partition(partition).highest);
    if (this.#fatal) return Promise.reject(this.#fatal);
    if (bound <= this.partition(partition).trimmedUpTo) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const settle = (failure?: BridgeError): void => (failure ? reject(failure) : resolve());
      this.#waitingTrims.push({ partition, upTo: bound, settle });
      this.#start();
    });
  }

  /** Waits for the transactions that were begun. */
  async close(): Promise<void> {
    await this.#work;
    await this.#options.room.close();
  }

  #start(): void {
    this.#work ??= this.#run();
  }

  async #run(): Promise<void> {
    do {
      // Blocks that are appended in the same turn of the event loop share a transaction.
      await nextTurn();
      const group = this.#takeGroup();
      if (group.length > 0) await this.#commitAppends(group);
      const [trim] = this.#waitingTrims;
      if (trim && !this.#fatal) await this.#commitTrim(trim);
    } while (!this.#fatal && (this.#waiting.length > 0 || this.#waitingTrims.length > 0));
    this.#work = undefined;
  }

  #takeGroup(): WaitingAppend[] {
    let bytes = 0;
    let count = 0;
    for (const each of this.#waiting) {
      bytes += each.block.length;
      if (count > 0 && bytes > transactionBytesMax) break;
      count += 1;
    }
    return this.#waiting.splice(0, count).filter((each) => !each.isSettled);
  }

  async #commitAppends(group: WaitingAppend[]): Promise<void> {
    const changed = new Map<number, PartitionRecord>();
    const positions: Position[] = [];
    const bytesBefore = this.retainedBytes();
    const blockBytes = group.reduce((sum, each) => sum + each.block.length, 0);
    const noRoom = await this.#roomFailure(group);
    const failure =
      noRoom ??
      (await this.#commit(blockBytes, (database) => {
        for (const { partition, block } of group) {
          const before = changed.get(partition) ?? this.partition(partition);
          const record = afterAppend(before, block.length, this.#options.now());
          changed.set(partition, record);
          const value = encodeBlockValue(block, record.appendedBytes);
          void database.put(blockKey(partition, record.highest), value, record.lastAppendTimeMs);
          positions.push(positionOf(record.highest));
        }
        for (const [partition, record] of changed)
          void database.put(stateKey(partition), encodePartition(record), 0);
      }));
    if (failure) {
      for (const each of group) each.settle(failure);
      return;
    }
    this.#keep(changed);
    this.#options.budget.appended(this.retainedBytes() - bytesBefore);
    for (const [index, each] of group.entries()) each.settle(positions[index] ?? "");
  }

  /** Why a group does not fit on the disk; null if it does. Leaves room for a trim afterwards. */
  async #roomFailure(group: readonly WaitingAppend[]): Promise<BridgeError | null> {
    const { room, budget } = this.#options;
    const bytes = group.reduce((sum, { block }) => sum + storedBytes(block.length), 0);
    try {
      const { roomBytes, writtenBytes } = await room.ensure(bytes + 2 * transactionOverheadBytes);
      if (roomBytes >= bytes + 2 * transactionOverheadBytes) return null;
      const fitsInside = this.retainedBytes() + bytes <= writtenBytes * usableShareOfFile;
      if (fitsInside && roomBytes >= transactionOverheadBytes) return null;
      await budget.poll();
      return full(`its file can't grow by ${bytes} bytes`);
    } catch (error) {
      const failure = flushFailed(`the stream's file could not be extended: ${error}`, error);
      this.#die(failure);
      return failure;
    }
  }

  async #commitTrim({ partition, upTo }: WaitingTrim): Promise<void> {
    const { database, room } = this.#options;
    const before = this.partition(partition);
    const trimmedUpTo = Math.min(upTo, before.trimmedUpTo + trimmedPerTransactionMax);
    const last = database.getBinary(blockKey(partition, trimmedUpTo));
    database.resetReadTxn();
    // Killed readers hold pages until a process checks for them.
    database.readerCheck();
    const trimmedBytes = last && last.length >= blockPrefixBytes ? last.readDoubleLE(0) : before.trimmedBytes;
    const record = { ...before, trimmedUpTo, trimmedBytes };
    // Trims even if the disk is full, because trimming makes room.
    await room.ensure(transactionOverheadBytes).catch(() => {});
    const failure = await this.#commit(0, () => {
      for (let entry = before.trimmedUpTo + 1; entry <= trimmedUpTo; entry++)
        void database.remove(blockKey(partition, entry));
      void database.put(stateKey(partition), encodePartition(record), 0);
    });
    if (!failure) this.#keep(new Map([[partition, record]]));
    this.#settleTrims(failure);
  }

  /** A failure settles all waiting trims; the consumer trims again after its next commit. */
  #settleTrims(failure: BridgeError | null): void {
    const isDone = (each: WaitingTrim): boolean => this.partition(each.partition).trimmedUpTo >= each.upTo;
    const trims = this.#waitingTrims;
    this.#waitingTrims = failure ? [] : trims.filter((each) => !isDone(each));
    for (const each of trims) {
      if (isDone(each)) each.settle();
      else if (failure) each.settle(failure);
    }
  }

  /**
   * Runs one transaction, whose promise also stands for the writes in it. Resolves with why it failed, or
   * null. A fatal failure is also reported.
   */
  async #commit(bytes: number, write: (database: StreamDatabase) => void): Promise<BridgeError | null> {
    const { database, generation, folder } = this.#options;
    const watch = this.#watchForStuckCommit();
    let failure: BridgeError;
    try {
      const isOwner = await database.ifVersion(ownerKey, generation, () => write(database));
      await database.flushed;
      if (isOwner) return null;
      failure = flushFailed("another process appends to this stream now");
    } catch (error) {
      failure = await commitFailure(error, () => isOutOfSpace(folder, bytes + transactionOverheadBytes));
    } finally {
      clearInterval(watch);
    }
    if (failure.code === "STREAM_FULL") await this.#options.budget.poll();
    else this.#die(failure);
    return failure;
  }

  /**
   * Needed because lmdb-js never settles a commit whose transaction could not begin. Counts checks, not
   * time, so that a paused process does not look like a stuck commit.
   */
  #watchForStuckCommit(): NodeJS.Timeout {
    const { stuckMs } = this.#options;
    let checks = 0;
    return setInterval(() => {
      checks += 1;
      if (checks === stuckChecks)
        this.#die(flushFailed(`a commit has not ended for about ${Math.round(stuckMs / 1000)} s`));
    }, stuckMs / stuckChecks).unref();
  }

  #timeOut(waiting: WaitingAppend): void {
    const text = `the stream did not confirm a block within ${this.#options.appendTimeoutMs} ms`;
    waiting.settle(new BridgeError("STREAM_TIMEOUT", text, { retryable: true }));
    this.#waiting = this.#waiting.filter((each) => each !== waiting);
  }

  #die(error: BridgeError): void {
    if (this.#fatal) return;
    this.#fatal = error;
    for (const each of this.#waiting.splice(0)) each.settle(error);
    this.#settleTrims(error);
    this.#options.onFatal(error);
  }

  #keep(changed: ReadonlyMap<number, PartitionRecord>): void {
    for (const [partition, record] of changed) this.#partitions[partition] = record;
  }
}

function afterAppend(before: PartitionRecord, blockBytes: number, nowMs: number): PartitionRecord {
  return {
    ...before,
    highest: before.highest + 1,
    appendedBytes: before.appendedBytes + storedBytes(blockBytes),
    lastAppendTimeMs: nowMs,
  };
}

function full(why: string): BridgeError {
  return new BridgeError("STREAM_FULL", `the stream is full: ${why}`, { retryable: true });
}
