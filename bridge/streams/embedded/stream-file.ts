import assert from "node:assert/strict";
import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";
import { dirname, join } from "node:path";
import { open, type RootDatabase } from "lmdb";
import { syncEntry } from "../../../devices/protocol/durable-folder.ts";
import { BridgeError } from "../../errors.ts";

export type StreamDatabase = RootDatabase<Buffer, Buffer>;

const fileName = "data.mdb";
/** Offsets in lmdb's meta pages (data version of lmdb 3.5). */
const meta = { magic: 24, pageBytes: 48, lastPage: 144, transaction: 152, end: 168 } as const;
const metaMagic = 0xbeefc0de;
/** MDB_INVALID, MDB_VERSION_MISMATCH, MDB_CORRUPTED. */
const formatErrors = new Set([-30793, -30794, -30796]);
const lengthChecksMax = 3;

export function streamFile(folder: string): string {
  return join(folder, fileName);
}

export function hasStreamFile(folder: string): boolean {
  return existsSync(streamFile(folder));
}

/**
 * Opens the database of a stream folder.
 *
 * - overlappingSync off: before its promise resolves, a commit writes data, fdatasync, and root pointer with
 *   O_DSYNC, in this order. A failed commit leaves no trace. With the option on, a commit is visible before
 *   it is durable. Both are equally fast here, because one transaction takes all waiting blocks.
 * - eventTurnBatching off: with the option on, lmdb-js leaves a rejection unhandled if a commit fails, and
 *   the process dies.
 *
 * @throws BridgeError STREAM_DAMAGED; other errors (no permission, no address space) are passed on.
 */
export function openStreamDatabase(
  folder: string,
  options: { readOnly: boolean; mapBytes: number },
): StreamDatabase {
  checkFileLength(folder);
  try {
    return open<Buffer, Buffer>({
      path: folder,
      noSubdir: false,
      readOnly: options.readOnly,
      mapSize: options.mapBytes,
      encoding: "binary",
      keyEncoding: "binary",
      useVersions: true,
      cache: false,
      compression: false,
      overlappingSync: false,
      eventTurnBatching: false,
    });
  } catch (error) {
    if (isFormatError(error)) throw damaged(folder, error.message);
    throw error;
  }
}

function isFormatError(error: unknown): error is Error {
  return error instanceof Error && "code" in error && formatErrors.has(Number(error.code));
}

/**
 * Finds a cut file before it is opened, because reading beyond the end of a mapped file kills the process
 * (SIGBUS).
 * @throws BridgeError STREAM_DAMAGED
 */
function checkFileLength(folder: string): void {
  if (!hasStreamFile(folder)) return;
  const descriptor = openSync(streamFile(folder), "r");
  try {
    let fault = lengthFault(descriptor);
    // The root pointer may be half written while it is read.
    for (let again = 0; fault !== null && again < lengthChecksMax; again++) fault = lengthFault(descriptor);
    if (fault !== null) throw damaged(folder, fault);
  } finally {
    closeSync(descriptor);
  }
}

/** Reads the length last, because an appender extends the file before it updates the root pointer. */
function lengthFault(descriptor: number): string | null {
  const written = writtenBytesIn(descriptor);
  if (written === null) return "its first pages are not lmdb's";
  const bytes = fstatSync(descriptor).size;
  return bytes < written ? `it has ${bytes} bytes where ${written} were written` : null;
}

/** Bytes of an open stream file up to lmdb's last page. */
export function writtenBytesOf(descriptor: number): number {
  const written = writtenBytesIn(descriptor);
  assert(written !== null, "lmdb has the file open");
  return written;
}

function writtenBytesIn(descriptor: number): number | null {
  const first = metaPage(descriptor, 0);
  const second = first && metaPage(descriptor, first.pageBytes);
  if (!first || !second) return null;
  const newest = second.transaction > first.transaction ? second : first;
  return (newest.lastPage + 1) * first.pageBytes;
}

function metaPage(
  descriptor: number,
  offset: number,
): { pageBytes: number; lastPage: number; transaction: bigint } | null {
  const page = Buffer.alloc(meta.end);
  if (readSync(descriptor, page, 0, page.length, offset) < page.length) return null;
  if (page.readUInt32LE(meta.magic) !== metaMagic) return null;
  return {
    pageBytes: page.readUInt32LE(meta.pageBytes),
    lastPage: Number(page.readBigUInt64LE(meta.lastPage)),
    transaction: page.readBigUInt64LE(meta.transaction),
  };
}

/** Flushes a new folder and its content, so that they survive a power cut. */
export function syncFolder(folder: string): void {
  for (const path of [streamFile(folder), folder, dirname(folder)]) syncEntry(path);
}

export function damaged(folder: string, why: string): BridgeError {
  return new BridgeError(
    "STREAM_DAMAGED",
    `${streamFile(folder)} is damaged: ${why}. Restore it, or give up unfiled messages with \`tidegate stream new\``,
    { retryable: false },
  );
}
