import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import { BridgeError } from "../../errors.ts";
import { openStreamDatabase, type StreamDatabase, syncFolder } from "./stream-file.ts";
import {
  decodeStreamRecord,
  emptyPartition,
  encodePartition,
  encodeStreamRecord,
  ownerKey,
  STREAM_FORMAT,
  type StreamRecord,
  stateKey,
  streamKey,
} from "./stream-records.ts";

/** Enough to create or to look into a stream; whoever appends maps more. */
const smallMapBytes = 16 * 1024 * 1024;

/**
 * Creates the stream of a folder that does not exist yet or is empty, whole or not at all: it is made beside it and renamed.
 * @param options.partitionCount Fixed for the stream's life.
 */
export async function createEmbeddedStream(options: {
  folder: string;
  partitionCount: number;
  now?: () => number;
}): Promise<StreamRecord> {
  return await createStream({ ...options, startedAnew: false, replaces: null });
}

/**
 * The operator's way on after a loss: moves the folder aside (its name gets the old stream id) and creates a new stream, marked so
 * that `checkStreamAgainstLake` lets it pass although the lake knows others. Nothing may have the stream open.
 * Blocks of the old stream that were not filed stay in the folder that was moved; no consumer reads them any more.
 */
export async function startNewStream(options: {
  folder: string;
  partitionCount: number;
  now?: () => number;
}): Promise<{ streamId: string; movedTo: string | null }> {
  const folder = resolve(options.folder);
  const replaces = existsSync(folder) ? await streamIdIn(folder) : null;
  const movedTo = existsSync(folder) ? freeName(`${folder}.${replaces ?? "unreadable"}`) : null;
  if (movedTo) renameSync(folder, movedTo);
  const { streamId } = await createStream({ ...options, startedAnew: true, replaces });
  return { streamId, movedTo };
}

/** Renames the folder of a stream that has been carried elsewhere whole, so that nobody appends to it. Nothing may have it open. */
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
  now?: () => number;
}): Promise<StreamRecord> {
  const folder = resolve(options.folder);
  if (existsSync(folder) && readdirSync(folder).length > 0) {
    const text = `${folder} is not empty: a stream is created in a folder of its own`;
    throw new BridgeError("STREAM_EXISTS", text, { retryable: false });
  }
  const record: StreamRecord = {
    format: STREAM_FORMAT,
    streamId: randomBytes(16).toString("hex"),
    partitionCount: options.partitionCount,
    createdAtMs: (options.now ?? Date.now)(),
    startedAnew: options.startedAnew,
    replaces: options.replaces,
  };
  const draft = `${folder}.creating`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  await writeFirstRecords(draft, record);
  syncFolder(draft);
  renameSync(draft, folder);
  syncFolder(folder);
  return record;
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

/** The id of the stream in a folder; null where nothing readable stands there. */
async function streamIdIn(folder: string): Promise<string | null> {
  let database: StreamDatabase | undefined;
  try {
    database = openStreamDatabase(folder, { readOnly: true, mapBytes: smallMapBytes });
    return readStreamRecord(database, folder).streamId;
  } catch {
    return null;
  } finally {
    await database?.close();
  }
}

function freeName(wanted: string): string {
  let name = wanted;
  for (let attempt = 2; existsSync(name); attempt++) name = `${wanted}.${attempt}`;
  return name;
}
