import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { makeFolderDurably } from "../../../devices/protocol/durable-folder.ts";
import { BridgeError } from "../../errors.ts";
import type { CommittedMoves } from "../committed-moves.ts";
import { compareDecimalPositions } from "../decimal-position.ts";
import { checkStreamMarks, type StreamMark } from "../stream-mark.ts";
import type { StreamRecord } from "../stream-record.ts";
import { type CountedStream, countUnread, nothingUnread, type UnreadRecords } from "../stream-replacement.ts";
import { openStreamDatabase, type StreamDatabase, syncFolder } from "./stream-file.ts";
import { StreamReader } from "./stream-reader.ts";
import {
  decodeStreamRecord,
  emptyPartition,
  encodePartition,
  encodeStreamRecord,
  ownerKey,
  stateKey,
  streamFormat,
  streamKey,
} from "./stream-records.ts";

/** Enough to create or inspect a stream; appending needs more. */
const smallMapBytes = 16 * 1024 * 1024;
const draftSuffix = ".creating";

/**
 * Creates a stream in a folder that does not exist or is empty. Atomic: the stream is made in a folder
 * beside it, which is then renamed.
 * @param options.partitionCount Fixed for the stream's life.
 * @param options.startedAnew True if the lake may hold positions of other streams, and no records are given
 * up.
 */
export async function createEmbeddedStream(options: {
  folder: string;
  partitionCount: number;
  startedAnew?: boolean;
  now?: () => number;
}): Promise<StreamRecord> {
  const { startedAnew = false } = options;
  const unread = startedAnew ? nothingUnread : null;
  return await createStream({ ...options, startedAnew, replaces: null, unread });
}

/**
 * Recovers after data loss in the stream: renames the folder, with the old stream id in the name, and
 * creates a new stream. The new stream is marked, so that `checkStreamAgainstLake` accepts it although the
 * lake knows others. No process may have the stream open. Unfiled blocks of the old stream stay in the
 * renamed folder, and no consumer reads them any more. They are counted first; the number is unknown if the
 * old stream is behind its `marks`.
 */
export async function startNewStream(options: {
  folder: string;
  partitionCount: number;
  lake: CommittedMoves;
  marks?: readonly StreamMark[];
  now?: () => number;
}): Promise<{ streamId: string; movedTo: string | null } & Old> {
  const folder = resolve(options.folder);
  const { replaces, unread } = await oldStreamIn(folder, options.lake, options.marks ?? []);
  const movedTo = existsSync(folder) ? freeName(`${folder}.${replaces ?? "unreadable"}`) : null;
  if (movedTo) renameSync(folder, movedTo);
  const { streamId } = await createStream({ ...options, startedAnew: true, replaces, unread });
  return { streamId, movedTo, replaces, unread };
}

/**
 * Renames the folder of a stream that was moved to another place, so that no process appends to it. No
 * process may have the stream open.
 */
export function retireStream(streamFolder: string): { movedTo: string } {
  const folder = resolve(streamFolder);
  const movedTo = freeName(`${folder}.migrated`);
  renameSync(folder, movedTo);
  syncFolder(movedTo);
  return { movedTo };
}

/** @throws BridgeError STREAM_DAMAGED, STREAM_VERSION */
export function readStreamRecord(database: StreamDatabase, folder: string): StreamRecord {
  const bytes = database.getBinary(streamKey);
  database.resetReadTxn();
  return decodeStreamRecord(bytes ?? Buffer.alloc(0), folder);
}

async function createStream(options: {
  folder: string;
  partitionCount: number;
  startedAnew: boolean;
  replaces: string | null;
  unread: UnreadRecords | null;
  now?: () => number;
}): Promise<StreamRecord> {
  const folder = resolve(options.folder);
  if (existsSync(folder) && readdirSync(folder).length > 0) {
    const text = `${folder} is not empty: a stream is created in a folder of its own`;
    throw new BridgeError("STREAM_EXISTS", text, { retryable: false });
  }
  const record: StreamRecord = {
    format: streamFormat,
    streamId: randomBytes(16).toString("hex"),
    partitionCount: options.partitionCount,
    createdAtMs: (options.now ?? Date.now)(),
    startedAnew: options.startedAnew,
    replaces: options.replaces,
    unread: options.unread,
  };
  removeDrafts(folder);
  // Each creator has its own name for the draft, so that a paused creator and another one never touch the
  // same draft.
  const draft = `${folder}${draftSuffix}-${randomBytes(4).toString("hex")}`;
  makeFolderDurably(draft);
  await writeFirstRecords(draft, record);
  syncFolder(draft);
  renameSync(draft, folder);
  syncFolder(folder);
  return record;
}

/** Removes the drafts of killed creators. */
function removeDrafts(folder: string): void {
  const above = dirname(folder);
  const start = `${basename(folder)}${draftSuffix}`;
  for (const name of existsSync(above) ? readdirSync(above) : [])
    if (name.startsWith(start)) rmSync(join(above, name), { recursive: true, force: true });
}

async function writeFirstRecords(folder: string, record: StreamRecord): Promise<void> {
  const database = openStreamDatabase(folder, { readOnly: false, mapBytes: smallMapBytes });
  try {
    database.transactionSync(() => {
      database.putSync(streamKey, encodeStreamRecord(record), 0);
      database.putSync(ownerKey, Buffer.alloc(1), 0);
      for (let partition = 0; partition < record.partitionCount; partition++)
        database.putSync(stateKey(partition), encodePartition(emptyPartition), 0);
    });
  } finally {
    await database.close();
  }
}

type Old = Pick<StreamRecord, "replaces" | "unread">;

/** The id of the stream in a folder, and its records that the lake lacks; nulls if they can't be read. */
async function oldStreamIn(folder: string, lake: CommittedMoves, marks: readonly StreamMark[]): Promise<Old> {
  if (!existsSync(folder)) return { replaces: null, unread: null };
  let database: StreamDatabase | undefined;
  let replaces: string | null = null;
  try {
    database = openStreamDatabase(folder, { readOnly: true, mapBytes: smallMapBytes });
    const { streamId, partitionCount } = readStreamRecord(database, folder);
    replaces = streamId;
    const reader = new StreamReader(database, { folder, partitionCount });
    const stream = {
      streamId,
      partitionCount,
      read: async (partition, after, limits) => reader.read(partition, after, limits),
      partitionState: async (partition) => reader.partitionState(partition),
      comparePositions: compareDecimalPositions,
    } satisfies CountedStream;
    await checkStreamMarks(marks, stream);
    return { replaces, unread: await countUnread(stream, lake) };
  } catch {
    return { replaces, unread: null };
  } finally {
    await database?.close();
  }
}

function freeName(wanted: string): string {
  let name = wanted;
  for (let attempt = 2; existsSync(name); attempt++) name = `${wanted}.${attempt}`;
  return name;
}
