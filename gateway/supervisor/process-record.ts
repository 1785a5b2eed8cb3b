import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayError } from "../errors.ts";
import { isSameProcess, type ProcessIdentity } from "./process-identity.ts";

/** `processes.json` of a data folder: who was last at work on it. */
export interface ProcessRecord {
  readonly supervisor: ProcessIdentity;
  readonly children: readonly (ProcessIdentity & { readonly role: string })[];
  /** Where the HTTP API listens, once it does. */
  readonly api: string | null;
}

const fileName = "processes.json";
const pollMs = 20;
/** A killed process outlives this only where the kernel can't end it (a hung disk). */
const goneTimeoutMs = 30_000;

/** Replaces the record, atomically. It need not survive a power cut: no process does either. */
export function writeProcessRecord(folder: string, record: ProcessRecord): void {
  const file = join(folder, fileName);
  writeFileSync(`${file}.tmp`, `${JSON.stringify(record, null, 2)}\n`);
  renameSync(`${file}.tmp`, file);
}

/** null where there is none, or none that can be read. */
export function readProcessRecord(folder: string): ProcessRecord | null {
  try {
    return JSON.parse(readFileSync(join(folder, fileName), "utf8")) as ProcessRecord;
  } catch {
    return null;
  }
}

/**
 * Kills the recorded children that still exist, running or stopped, and resolves once they are gone with those that were there: an
 * orphan that a signal has stopped would otherwise keep the port or the stream, and go on writing when it is continued.
 * The caller holds the folder's lock.
 */
export async function killLeftChildren(folder: string): Promise<ProcessRecord["children"]> {
  const left = readProcessRecord(folder)?.children.filter(isSameProcess) ?? [];
  for (const child of left) killProcess(child.pid);
  for (let waitedMs = 0; left.some(isSameProcess); waitedMs += pollMs) {
    if (waitedMs >= goneTimeoutMs) throw immortalError(left);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
  return left;
}

function immortalError(children: ProcessRecord["children"]): GatewayError {
  const pids = children.filter(isSameProcess).map((child) => child.pid);
  return new GatewayError(
    "DATA_FOLDER_LOCKED",
    `Processes of an earlier gateway were killed but don't end: ${pids.join(", ")}. Look at the disk that they wait for.`,
    { retryable: true, details: { pids } },
  );
}

function killProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
