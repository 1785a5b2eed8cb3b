import { resolve } from "node:path";
import { Value } from "@sinclair/typebox/value";
import type { Registry } from "prom-client";
import { BridgeError } from "../../errors.ts";
import { compareDecimalPositions, entryNumberOf } from "../decimal-position.ts";
import { fixedPartitions, type PartitionMap } from "../partition-map.ts";
import type { FixedPartitionState, FixedStreamLog, Position, StreamEntry } from "../stream-log.ts";
import type { StreamRecord } from "../stream-record.ts";
import { embeddedStreamConfigSchema } from "./embedded-config.ts";
import { FileRoom } from "./file-room.ts";
import { type ReadDisk, SpaceBudget, type SpaceStatus, transactionOverheadBytes } from "./space-budget.ts";
import { StreamAppender } from "./stream-appender.ts";
import { damaged, hasStreamFile, openStreamDatabase, type StreamDatabase } from "./stream-file.ts";
import { readStreamRecord } from "./stream-folder.ts";
import { observeSpace } from "./stream-metrics.ts";
import { StreamReader } from "./stream-reader.ts";
import { decodePartition, ownerKey, stateKey } from "./stream-records.ts";

const defaults = Value.Create(embeddedStreamConfigSchema);

interface CommonOptions {
  readonly folder: string;
  /** If given, the stream must have this number. */
  readonly partitionCount?: number;
  /** Limit of untrimmed blocks on disk. Twice as much address space is reserved. */
  readonly maxBytes?: number;
}

export interface AppendOptions extends CommonOptions {
  readonly mode: "append";
  /** Space on its disk that the stream leaves free; at most a tenth of the disk. */
  readonly reserveBytes?: number;
  /** After this time, an append rejects with STREAM_TIMEOUT. Its block may still appear in the stream. */
  readonly appendTimeoutMs?: number;
  /** If a transaction takes this long, the database is stuck. */
  readonly stuckMs?: number;
  readonly now?: () => number;
  readonly readDisk?: ReadDisk;
  /** If given, gets the gauges of the stream's space. */
  readonly registry?: Registry;
  /** Called once, if the process must exit without another acknowledgement (STREAM_FLUSH_FAILED). */
  readonly onFatal: (error: BridgeError) => void;
}

export interface ReadOptions extends CommonOptions {
  readonly mode: "read";
}

/** The stream that needs no other software. `append` and `trim` work only if it was opened for appending. */
export interface EmbeddedStream extends FixedStreamLog {
  readonly record: StreamRecord;
  /** null if the stream is open for reading only. */
  space(): SpaceStatus | null;
}

/**
 * Opens the stream in a folder. Only one process can append: a later one takes over, and the next commit of
 * the former fails with STREAM_FLUSH_FAILED. Any number of processes may read.
 * @throws BridgeError STREAM_MISSING (retryable: the stream may be created later), STREAM_FULL,
 * STREAM_VERSION, STREAM_DAMAGED, STREAM_PARTITIONS
 */
export async function openEmbeddedStream(options: AppendOptions | ReadOptions): Promise<EmbeddedStream> {
  const folder = resolve(options.folder);
  const maxBytes = options.maxBytes ?? defaults.maxBytes;
  if (!hasStreamFile(folder))
    throw new BridgeError("STREAM_MISSING", `there is no stream in ${folder}`, { retryable: true });
  const readOnly = options.mode === "read";
  const database = openStreamDatabase(folder, { readOnly, mapBytes: 2 * maxBytes });
  let room: FileRoom | undefined;
  try {
    const record = readStreamRecord(database, folder);
    checkPartitionCount(record, options.partitionCount, folder);
    const reader = new StreamReader(database, { folder, partitionCount: record.partitionCount });
    if (options.mode === "read") return new LmdbStream({ database, record, reader });
    const { reserveBytes = defaults.reserveBytes, readDisk } = options;
    const budget = new SpaceBudget({ folder, maxBytes, reserveBytes, ...(readDisk ? { readDisk } : {}) });
    room = await FileRoom.open(folder);
    await checkRoomToStart(room, folder);
    const appender = takeOver(database, record, { budget, room }, options);
    await budget.start();
    if (options.registry) observeSpace(() => budget.status(appender.retainedBytes()), options.registry);
    return new LmdbStream({ database, record, reader, appender, budget });
  } catch (error) {
    await room?.close();
    await database.close();
    throw error;
  }
}

/** @throws BridgeError STREAM_FULL */
async function checkRoomToStart(room: FileRoom, folder: string): Promise<void> {
  const { roomBytes } = await room.ensure(transactionOverheadBytes);
  if (roomBytes >= transactionOverheadBytes) return;
  const text = `no space left for the stream in ${folder}: free disk space`;
  throw new BridgeError("STREAM_FULL", text, { retryable: true });
}

/**
 * Raises the generation, so that an earlier appender can't commit any more, and reads the state of the
 * partitions.
 */
function takeOver(
  database: StreamDatabase,
  record: StreamRecord,
  space: { readonly budget: SpaceBudget; readonly room: FileRoom },
  options: AppendOptions,
): StreamAppender {
  const { generation, partitions } = database.transactionSync(() => {
    const raised = (database.getEntry(ownerKey)?.version ?? 0) + 1;
    database.putSync(ownerKey, Buffer.alloc(1), raised);
    const states = Array.from({ length: record.partitionCount }, (_, partition) => {
      const bytes = database.getBinary(stateKey(partition));
      if (!bytes) throw damaged(options.folder, `partition ${partition} has no state`);
      return decodePartition(bytes);
    });
    return { generation: raised, partitions: states };
  });
  return new StreamAppender({
    folder: resolve(options.folder),
    database,
    generation,
    partitions,
    ...space,
    appendTimeoutMs: options.appendTimeoutMs ?? defaults.appendTimeoutMs,
    stuckMs: options.stuckMs ?? defaults.stuckMs,
    now: options.now ?? Date.now,
    onFatal: options.onFatal,
  });
}

function checkPartitionCount(record: StreamRecord, wanted: number | undefined, folder: string): void {
  if (wanted === undefined || wanted === record.partitionCount) return;
  const text = `the stream in ${folder} has ${record.partitionCount} partitions, the configuration says ${wanted}: their number is fixed when a stream is created`;
  throw new BridgeError("STREAM_PARTITIONS", text, { retryable: false });
}

class LmdbStream implements EmbeddedStream {
  readonly record: StreamRecord;
  readonly partitions: PartitionMap;
  readonly #database: StreamDatabase;
  readonly #reader: StreamReader;
  readonly #appender: StreamAppender | undefined;
  readonly #budget: SpaceBudget | undefined;
  #closed: Promise<void> | undefined;

  constructor(parts: {
    database: StreamDatabase;
    record: StreamRecord;
    reader: StreamReader;
    appender?: StreamAppender;
    budget?: SpaceBudget;
  }) {
    this.record = parts.record;
    this.partitions = fixedPartitions(parts.record.partitionCount);
    this.#database = parts.database;
    this.#reader = parts.reader;
    this.#appender = parts.appender;
    this.#budget = parts.budget;
  }

  get streamId(): string {
    return this.record.streamId;
  }

  get partitionCount(): number {
    return this.record.partitionCount;
  }

  /** Partitions never change. */
  onPartitionsChange(): void {}

  async refreshPartitions(): Promise<void> {}

  async append(partition: number, block: Uint8Array): Promise<Position> {
    return await this.#writable().append(partition, block);
  }

  async read(
    partition: number,
    after: Position,
    limits: { maxBytes: number; maxEntries: number },
  ): Promise<StreamEntry[]> {
    this.#checkOpen();
    return this.#reader.read(partition, after, limits);
  }

  async waitForAppend(timeoutMs: number): Promise<void> {
    this.#checkOpen();
    await this.#reader.waitForAppend(timeoutMs, () => this.#closed !== undefined);
    this.#checkOpen();
  }

  async trim(partition: number, upTo: Position): Promise<void> {
    await this.#writable().trim(partition, entryNumberOf(upTo) ?? 0);
  }

  async partitionState(partition: number): Promise<FixedPartitionState> {
    this.#checkOpen();
    return this.#reader.partitionState(partition);
  }

  comparePositions(left: Position, right: Position): number {
    return compareDecimalPositions(left, right);
  }

  space(): SpaceStatus | null {
    return this.#budget && this.#appender ? this.#budget.status(this.#appender.retainedBytes()) : null;
  }

  async close(): Promise<void> {
    this.#closed ??= this.#close();
    await this.#closed;
  }

  async #close(): Promise<void> {
    this.#budget?.stop();
    await this.#appender?.close();
    await this.#database.close();
  }

  #writable(): StreamAppender {
    this.#checkOpen();
    if (!this.#appender) throw new TypeError("the stream is open for reading only");
    return this.#appender;
  }

  #checkOpen(): void {
    if (this.#closed) throw new BridgeError("STREAM_CLOSED", "the stream was closed", { retryable: false });
  }
}
