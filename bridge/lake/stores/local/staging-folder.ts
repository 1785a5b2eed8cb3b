import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { stagedFolder } from "../lake-folders.ts";
import { errorCode, type FileSystem } from "./file-system.ts";

/**
 * Leftovers of processes that cannot be checked are removed once nothing in them has changed for this long.
 */
const unseenKeptMs = 24 * 3_600_000;

/** How a process finds out whether another one lives. */
export interface ProcessView {
  /**
   * Identifies the host, its boot and its process namespace. If two folders have the same place, equal
   * process numbers mean the same process.
   */
  readonly place: string;
  /** Distinguishes a process from a later one with the same number; null if no process has that number. */
  readonly startOf: (processId: number) => string | null;
}

const linux: ProcessView = {
  place: placeName(),
  startOf: (processId) => {
    try {
      // proc(5): field 22 is the start time; field 2, the name, may contain spaces and brackets.
      const stat = readFileSync(`/proc/${processId}/stat`, "latin1");
      return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
    } catch {
      return isRunning(processId) ? "" : null;
    }
  },
};

function placeName(): string {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").slice(0, 8);
    const numbering = /\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? "";
    return `${hostname()}@${boot}.${numbering}`;
  } catch {
    return hostname();
  }
}

function isRunning(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return errorCode(error) !== "ESRCH";
  }
}

const stagingFolderName = /^(.*)~(\d+)~[0-9a-f]{8}$/;

/** Each open store has its own staging folder, whose name identifies its process. */
export function ownStagingFolderName({ place, startOf }: ProcessView = linux): string {
  return `${place}.${startOf(process.pid) ?? ""}~${process.pid}~${randomUUID().slice(0, 8)}`;
}

/**
 * Removes the staging folders of dead processes, so that a crash loop cannot fill the disk. Processes
 * elsewhere (another host or container, before a reboot, version 0.1.0) cannot be checked; their folders are
 * removed by age, counted by the clock that stamps files. If such a process lives, it creates its folder
 * again.
 *
 * @param ownName The folder of this process, just created.
 */
export async function removeStagingLeftovers(
  files: FileSystem,
  stagingRoot: string,
  ownName: string,
  view: ProcessView = linux,
): Promise<void> {
  const { modifiedAtMs: nowMs } = await files.stat(join(stagingRoot, ownName));
  for (const { name } of await files.readFolder(stagingRoot)) {
    const [, owner = "", processId] = stagingFolderName.exec(name) ?? [];
    if (processId === undefined || name === ownName) continue;
    const path = join(stagingRoot, name);
    const isHere = owner.startsWith(`${view.place}.`);
    const isLeftOver = isHere
      ? view.startOf(Number(processId)) !== owner.slice(view.place.length + 1)
      : (await newestIn(files, path)) < nowMs - unseenKeptMs;
    if (isLeftOver) await removeTree(files, path);
  }
}

/** Numbers of other living processes of this machine that have opened the lake in a folder. */
export function lakeUsers(lake: string, view: ProcessView = linux): number[] {
  const users = new Set<number>();
  for (const name of namesIn(join(lake, stagedFolder))) {
    const [, owner = "", processId] = stagingFolderName.exec(name) ?? [];
    const isHere = processId !== undefined && owner.startsWith(`${view.place}.`);
    if (isHere && view.startOf(Number(processId)) === owner.slice(view.place.length + 1))
      users.add(Number(processId));
  }
  users.delete(process.pid);
  return [...users].sort((left, right) => left - right);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/**
 * When anything in a folder changed last, ms since the epoch. If something is deleted meanwhile, a living
 * process deleted it, so infinity.
 */
async function newestIn(files: FileSystem, folder: string): Promise<number> {
  try {
    let { modifiedAtMs: newestMs } = await files.stat(folder);
    for (const { name, isFolder } of await files.readFolder(folder)) {
      const path = join(folder, name);
      newestMs = Math.max(
        newestMs,
        isFolder ? await newestIn(files, path) : (await files.stat(path)).modifiedAtMs,
      );
    }
    return newestMs;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return Number.POSITIVE_INFINITY;
    throw error;
  }
}

/** Another process may be removing the same folder. */
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
