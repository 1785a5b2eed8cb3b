import { randomUUID } from "node:crypto";
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { BridgeError } from "../../errors.ts";
import { openCommitLog } from "../commit-log/lake-commit-log.ts";
import {
  encodeJson,
  encodeMovedEntry,
  entryPath,
  lakePath,
  parseLakeFile,
  parseLakeJson,
} from "../commit-log/lake-format.ts";
import { BoundedWork } from "../stores/bounded-work.ts";
import { commitsFolder } from "../stores/lake-folders.ts";
import type { ObjectStore, StoredObject } from "../stores/object-store.ts";

/**
 * Marks the new place as an unfinished copy of a lake. The path is below `_commits/`, because a store with
 * objects there but without the lake file is refused.
 */
const markPath = `${commitsFolder}/moving.json`;
const markCheck = TypeCompiler.Compile(Type.Object({ lakeId: Type.String(), format: Type.Literal(1) }));
/** Objects by which S3 stores test the server; no part of a lake. */
const probePrefix = "_probe/";
/** The only objects that are replaced in place. */
const replaced = /\/_delta_log\/_last_checkpoint$/;
const parallelMax = 8;
/** Objects up to this size are copied in memory, larger ones by a file. */
const inMemoryMaxBytes = 1024 * 1024;

export interface MoveProgress {
  readonly objects: number;
  readonly bytes: number;
  readonly totalObjects: number;
  readonly totalBytes: number;
}

export interface MovedLake {
  readonly lakeId: string;
  readonly objects: number;
  readonly bytes: number;
}

export interface MoveLakeOptions {
  readonly from: ObjectStore;
  readonly to: ObjectStore;
  /** The new place as users write it, without secrets. */
  readonly movedTo: string;
  readonly onProgress?: (progress: MoveProgress) => void;
}

/**
 * Copies a lake to another store and closes the old one. The old log gets a last entry that names the new
 * place, so that no process commits there any more. Copies everything before that entry, and compares all
 * objects after it. The lake file, which makes the copy a lake, is written last. May be repeated after a
 * failure, and then continues.
 *
 * Rejects with LAKE_MISSING, LAKE_MOVED (already moved, here or elsewhere) and the stores' errors.
 * LAKE_EXISTS: the new place holds something else. LAKE_IN_USE: a gateway commits meanwhile.
 */
export async function moveLake({ from, to, movedTo, onProgress }: MoveLakeOptions): Promise<MovedLake> {
  const lakeFile = await from.get(lakePath);
  const log = await openCommitLog(from, { create: false });
  const { lakeId } = log;
  const end = await endOf(log, movedTo);
  await claim(to, lakeId, movedTo);
  await copyMissing(from, to, end.number, onProgress);
  if (!end.isClosed) await close(from, end.number, movedTo);
  // Copies objects that were written during the first copy.
  await copyMissing(from, to, end.number);
  const objects = await compare(from, to, end.number);
  if (lakeFile) await to.putIfAbsent(lakePath, lakeFile);
  await to.delete(markPath);
  return { lakeId, objects: objects.length, bytes: sumOf(objects) };
}

/** Number of the entry that closes the log, and whether that entry exists already. */
async function endOf(
  log: Awaited<ReturnType<typeof openCommitLog>>,
  movedTo: string,
): Promise<{ number: number; isClosed: boolean }> {
  try {
    return { number: (await log.load()).number + 1, isClosed: false };
  } catch (error) {
    const isOurs = error instanceof BridgeError && error.code === "LAKE_MOVED";
    if (!isOurs || error.details["movedTo"] !== movedTo) throw error;
    return { number: Number(error.details["number"]), isClosed: true };
  }
}

async function claim(to: ObjectStore, lakeId: string, movedTo: string): Promise<void> {
  const there = await to.get(lakePath);
  if (there) {
    const isWhole = parseLakeFile(there).lakeId === lakeId;
    const text = isWhole
      ? `this lake is in ${to.url} already: start the gateway with --lake ${movedTo}`
      : `there is another lake in ${to.url}: choose an empty folder or prefix`;
    throw new BridgeError(isWhole ? "LAKE_MOVED" : "LAKE_EXISTS", text, { retryable: false });
  }
  const mark = await to.get(markPath);
  if (mark && parseLakeJson(markPath, mark, markCheck).lakeId === lakeId) return;
  for await (const { path } of to.list(""))
    if (!path.startsWith(probePrefix))
      throw new BridgeError(
        "LAKE_EXISTS",
        `${to.url} is not empty (${path}): choose an empty folder or prefix`,
        {
          retryable: false,
          details: { path },
        },
      );
  await to.putIfAbsent(markPath, encodeJson({ format: 1, lakeId }));
}

async function close(from: ObjectStore, number: number, movedTo: string): Promise<void> {
  const bytes = encodeMovedEntry({ number, commitId: randomUUID(), movedTo });
  if ((await from.putIfAbsent(entryPath(number), bytes)) === "created") return;
  const text = `a gateway has just committed to ${from.url}: stop every gateway on this lake, then move it again`;
  throw new BridgeError("LAKE_IN_USE", text, { retryable: true });
}

async function copyMissing(
  from: ObjectStore,
  to: ObjectStore,
  endNumber: number,
  onProgress: (progress: MoveProgress) => void = () => {},
): Promise<void> {
  const [wanted, present] = [await objectsOf(from, endNumber), await sizesOf(to)];
  const missing = wanted.filter(({ path, bytes }) => replaced.test(path) || present.get(path) !== bytes);
  const totals = { totalObjects: missing.length, totalBytes: sumOf(missing) };
  let [objects, bytes] = [0, 0];
  const work = new BoundedWork<void>(parallelMax);
  for (const object of missing)
    await work.add(async () => {
      await copyObject(from, to, object);
      objects += 1;
      bytes += object.bytes;
      onProgress({ objects, bytes, ...totals });
    });
  await work.results();
}

/** If the object is gone meanwhile, no one needs it. */
async function copyObject(from: ObjectStore, to: ObjectStore, { path, bytes }: StoredObject): Promise<void> {
  if (bytes <= inMemoryMaxBytes) {
    const content = await from.get(path);
    if (content) await to.put(path, content);
    return;
  }
  const copies = await from.localCopies([path]);
  try {
    await mkdir(to.stagingFolder, { recursive: true });
    const staged = join(to.stagingFolder, randomUUID());
    await copyFile(copies.location(path), staged);
    await to.importFile(staged, path);
  } finally {
    await copies.release();
  }
}

/** Rejects with LAKE_DAMAGED if an object in the new place is missing or has another size. */
async function compare(from: ObjectStore, to: ObjectStore, endNumber: number): Promise<StoredObject[]> {
  const [wanted, present] = [await objectsOf(from, endNumber), await sizesOf(to)];
  const wrong = wanted.find(({ path, bytes }) => present.get(path) !== bytes);
  if (!wrong) return wanted;
  const found = present.get(wrong.path);
  const text = `${wrong.path} has ${wrong.bytes} bytes in ${from.url}, and ${found ?? "none"} in ${to.url}: move the lake again`;
  throw new BridgeError("LAKE_DAMAGED", text, { retryable: true, details: { path: wrong.path } });
}

/** All objects of a lake except the lake file and the closing entry. */
async function objectsOf(from: ObjectStore, endNumber: number): Promise<StoredObject[]> {
  const left = new Set([lakePath, markPath, entryPath(endNumber)]);
  const objects: StoredObject[] = [];
  for await (const object of from.list(""))
    if (!left.has(object.path) && !object.path.startsWith(probePrefix)) objects.push(object);
  return objects;
}

async function sizesOf(store: ObjectStore): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for await (const { path, bytes } of store.list("")) sizes.set(path, bytes);
  return sizes;
}

function sumOf(objects: readonly StoredObject[]): number {
  return objects.reduce((sum, { bytes }) => sum + bytes, 0);
}
