import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { join } from "node:path";
import { errorCode, type FileSystem } from "./file-system.ts";

/** Leftovers of other hosts, whose processes can't be looked at, are kept this long. */
const foreignKeptMs = 24 * 3_600_000;

/** Each opened store stages its files in a folder of its own, which says whose it is. */
export function ownStagingFolderName(): string {
  return `${hostname()}~${process.pid}~${randomUUID().slice(0, 8)}`;
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return errorCode(error) !== "ESRCH";
  }
}

/** Removes what dead processes left in the staging folder: a crash loop must not fill the disk. */
export async function removeStagingLeftovers(
  files: FileSystem,
  stagingRoot: string,
  options: { isAlive: (processId: number) => boolean; now: () => number } = { isAlive, now: Date.now },
): Promise<void> {
  for (const { name } of await files.readFolder(stagingRoot)) {
    const [, host, processId] = /^(.*)~(\d+)~[0-9a-f]{8}$/.exec(name) ?? [];
    if (host === undefined) continue;
    const path = join(stagingRoot, name);
    const isLeftOver =
      host === hostname() ? !options.isAlive(Number(processId)) : await isOld(files, path, options.now());
    if (isLeftOver) await removeTree(files, path);
  }
}

async function isOld(files: FileSystem, path: string, nowMs: number): Promise<boolean> {
  try {
    return (await files.stat(path)).modifiedAtMs < nowMs - foreignKeptMs;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw error;
  }
}

/** Another process may be removing the same one. */
async function removeTree(files: FileSystem, folder: string): Promise<void> {
  try {
    for (const { name, isFolder } of await files.readFolder(folder)) {
      if (isFolder) await removeTree(files, join(folder, name));
      else await files.unlink(join(folder, name));
    }
    await files.removeFolder(folder);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
  }
}
