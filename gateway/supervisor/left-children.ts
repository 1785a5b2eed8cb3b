import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { GatewayError } from "../errors.ts";
import { holdsOpen, identifyFile } from "./folder-identity.ts";
import { isSameProcess } from "./process-identity.ts";
import { type ProcessRecord, readProcessRecord } from "./process-record.ts";

type Child = ProcessRecord["children"][number];

export interface LeftChildren {
  readonly killed: readonly Child[];
  /** Processes on record that exist and have nothing of this folder open: they belong to another one. */
  readonly spared: readonly Child[];
}

const pollMs = 20;
/** A killed process outlives this only where the kernel can't end it (a hung disk). */
const goneTimeoutMs = 30_000;

/**
 * Kills the children that an earlier gateway has left on this folder, running or stopped, and resolves once they are gone: an orphan that a
 * signal has stopped would otherwise keep the port or the stream, and go on writing when it is continued.
 *
 * A process is killed if the record of this very folder names it (pid, start time and boot) and it has the folder open, as each child has
 * from its first moment on; children of version 0.1.0 have a database in it open. So a copied record, a pid that was used again and a
 * record from another PID namespace kill no process.
 *
 * The caller holds the folder's lock. Throws DATA_FOLDER_LOCKED where such a process can't be looked at, killed or waited for.
 */
export async function killLeftChildren(folder: string): Promise<LeftChildren> {
  const recorded = readProcessRecord(folder)?.children.filter(isSameProcess) ?? [];
  const files = filesOf(folder);
  const killed: Child[] = [];
  const spared: Child[] = [];
  for (const child of recorded) {
    const isHolding = holdsOpen(child.pid, files);
    if (isHolding === "unknown") throw inaccessibleError(folder, child);
    if (isHolding === "held") killProcess(folder, child);
    (isHolding === "held" ? killed : spared).push(child);
  }
  for (let waitedMs = 0; killed.some(isSameProcess); waitedMs += pollMs) {
    if (waitedMs >= goneTimeoutMs) throw immortalError(killed);
    await delay(pollMs);
  }
  return { killed, spared };
}

function filesOf(folder: string) {
  const paths = [folder, join(folder, "stream", "data.mdb"), join(folder, "registry", "data.mdb")];
  return paths.map(identifyFile).filter((file) => file !== null);
}

function killProcess(folder: string, child: Child): void {
  try {
    process.kill(child.pid, "SIGKILL");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EPERM") throw inaccessibleError(folder, child);
    if (code !== "ESRCH") throw error;
  }
}

function inaccessibleError(folder: string, { pid, role }: Child): GatewayError {
  return new GatewayError(
    "DATA_FOLDER_LOCKED",
    `The ${role} of an earlier gateway on ${folder} still runs as process ${pid}, and this user may neither look at it nor end it. End it as its user or as root with \`kill -9 ${pid}\`, then start again as the user who owns the folder.`,
    { retryable: false, details: { pids: [pid] } },
  );
}

function immortalError(children: readonly Child[]): GatewayError {
  const pids = children.filter(isSameProcess).map((child) => child.pid);
  return new GatewayError(
    "DATA_FOLDER_LOCKED",
    `Processes of an earlier gateway were killed but don't end: ${pids.join(", ")}. Look at the disk that they wait for.`,
    { retryable: true, details: { pids } },
  );
}
