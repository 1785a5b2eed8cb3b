import { randomUUID } from "node:crypto";
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { BridgeError } from "../errors.ts";
import { BoundedWork } from "./bounded-work.ts";
import { openCommitLog } from "./lake-commit-log.ts";
import {
  COMMITS,
  encodeJson,
  encodeMovedEntry,
  entryPath,
  LAKE_PATH,
  parseLakeFile,
  parseLakeJson,
} from "./lake-format.ts";
import type { ObjectStore, StoredObject } from "./object-store.ts";

/** Says in the new place, until the lake is whole, whose copy it is. It lies where a lake without its file is refused. */
const markPath = `${COMMITS}/moving.json`;
const markCheck = TypeCompiler.Compile(Type.Object({ lakeId: Type.String(), format: Type.Literal(1) }));
/** Ours, but no part of a lake: S3 stores write there what finds out how the server behaves. */
const probePrefix = "_probe/";
/** The one kind of object that is replaced. */
const replaced = /\/_delta_log\/_last_checkpoint$/;
const parallelMax = 8;
/** Objects up to this size go through memory, larger ones through a file. */
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
  /** What people name the new place with, without secrets. */
  readonly movedTo: string;
  readonly onProgress?: (progress: MoveProgress) => void;
}

/**
 * Copies a lake to another store and closes the old one: its log gets a last entry that says where it went, so that no process that has
 * it open commits there any more. Everything is copied before that and compared after it; the file that makes the copy a lake comes
 * last. May be repeated after a failure, and goes on then.
 * @throws BridgeError LAKE_MISSING, LAKE_MOVED (elsewhere, or wholly), LAKE_EXISTS where the new place holds something else, LAKE_IN_USE
 * where somebody commits meanwhile, and what the stores reject with.
 */
export async function moveLake({ from, to, movedTo, onProgress }: MoveLakeOptions): Promise<MovedLake> {
  const lakeFile = await from.get(LAKE_PATH);
  const log = await openCommitLog(from, { create: false });
  const { lakeId } = log;
  const end = await endOf(log, movedTo);
  await claim(to, lakeId, movedTo);
  await copyMissing(from, to, end.number, onProgress);
  if (!end.isClosed) await close(from, end.number, movedTo);
  // What was written while the first copies were made.
  await copyMissing(from, to, end.number);
  const objects = await compare(from, to, end.number);
  if (lakeFile) await to.putIfAbsent(LAKE_PATH, lakeFile);
  await to.delete(markPath);
  return { lakeId, objects: objects.length, bytes: sumOf(objects) };
}

/** Number of the entry that closes the log, and whether it is there already. */
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
  const there = await to.get(LAKE_PATH);
  if (there) {
    const isWhole = parseLakeFile(there).lakeId === lakeId;
    const text = isWhole
      ? `this lake is in ${to.url} already: go on with --lake ${movedTo}`
      : `there is another lake in ${to.url}: name an empty folder or prefix`;
    throw new BridgeError(isWhole ? "LAKE_MOVED" : "LAKE_EXISTS", text, { retryable: false });
  }
  const mark = await to.get(markPath);
  if (mark && parseLakeJson(markPath, mark, markCheck).lakeId === lakeId) return;
  for await (const { path } of to.list(""))
    if (!path.startsWith(probePrefix))
      throw new BridgeError(
        "LAKE_EXISTS",
        `${to.url} is not empty (${path}): name an empty folder or prefix`,
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
  const text = `somebody has just committed to ${from.url}: stop every gateway on this lake, then move it again`;
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

/** One that has gone meanwhile was not needed any more. */
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

/** Rejects where an object is not in the new place with as many bytes. */
async function compare(from: ObjectStore, to: ObjectStore, endNumber: number): Promise<StoredObject[]> {
  const [wanted, present] = [await objectsOf(from, endNumber), await sizesOf(to)];
  const wrong = wanted.find(({ path, bytes }) => present.get(path) !== bytes);
  if (!wrong) return wanted;
  const found = present.get(wrong.path);
  const text = `${wrong.path} has ${wrong.bytes} bytes in ${from.url}, and ${found ?? "none"} in ${to.url}: move the lake again`;
  throw new BridgeError("LAKE_DAMAGED", text, { retryable: true, details: { path: wrong.path } });
}

/** All of a lake but its file and the entry that closes it. */
async function objectsOf(from: ObjectStore, endNumber: number): Promise<StoredObject[]> {
  const left = new Set([LAKE_PATH, markPath, entryPath(endNumber)]);
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
