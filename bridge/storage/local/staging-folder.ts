import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { STAGING } from "../object-path.ts";
import { errorCode, type FileSystem } from "./file-system.ts";

/** What was left by processes that can't be looked at goes once nothing in it has changed for so long. */
const unseenKeptMs = 24 * 3_600_000;

/** How one process can tell of another whether it lives. */
export interface ProcessView {
  /**
   * Names the host, its boot and the numbering of processes: in folders with equal names a process number means the same process.
   */
  readonly place: string;
  /** What tells a process from a later one with its number; null = no process has that number. */
  readonly startOf: (processId: number) => string | null;
}

const linux: ProcessView = {
  place: placeName(),
  startOf: (processId) => {
    try {
      // proc(5): the 22nd field is the start time; the 2nd, the name, may hold spaces and brackets.
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

/** Each opened store stages its files in a folder of its own, which says whose it is. */
export function ownStagingFolderName({ place, startOf }: ProcessView = linux): string {
  return `${place}.${startOf(process.pid) ?? ""}~${process.pid}~${randomUUID().slice(0, 8)}`;
}

/**
 * Removes what dead processes left in the staging folder: a crash loop must not fill the disk. Of processes elsewhere (another host or
 * container, before a reboot, version 0.1.0) it is unknown whether they live; theirs goes by age, counted by the clock that stamps files. One
 * that lives nevertheless makes its folder again.
 * @param ownName The folder of this process, made just now.
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

/** Processes of this machine, other than this one, that have opened the lake in a folder and live, by number. */
export function lakeUsers(lake: string, view: ProcessView = linux): number[] {
  const users = new Set<number>();
  for (const name of namesIn(join(lake, STAGING))) {
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

/** When anything in a folder changed last, ms since the epoch. What goes away meanwhile is of a living process. */
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
