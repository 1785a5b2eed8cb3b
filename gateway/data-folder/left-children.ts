import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isSameProcess } from "../../devices/protocol/process-identity.ts";
import { GatewayError } from "../errors.ts";
import { holdsOpen, identifyFile } from "./folder-identity.ts";
import { type ProcessRecord, readProcessRecord } from "./process-record.ts";

type Child = ProcessRecord["children"][number];

export interface LeftChildren {
  readonly killed: readonly Child[];
  /** Recorded processes that exist and have no file of this folder open: they belong to another folder. */
  readonly spared: readonly Child[];
}

const pollMs = 20;
/** A killed process exists longer only if the kernel cannot end it (a hung disk). */
const goneTimeoutMs = 30_000;

/**
 * Kills the children that an earlier gateway left on this folder, running or stopped, and resolves once they
 * have ended. Otherwise an orphan that a signal has stopped would keep the port or the stream, and would
 * write again after SIGCONT.
 *
 * A process is killed if the record of this very folder names it (pid, start time and boot), and if it has
 * the folder open. Each child has the folder open from its start; children of version 0.1.0 have a database
 * in it open. So a copied record, a reused pid and a record of another PID namespace kill no process.
 *
 * The caller holds the folder's lock. Throws DATA_FOLDER_LOCKED if such a process cannot be inspected or
 * killed, or does not end.
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
    `The ${role} of an earlier gateway on ${folder} still runs as process ${pid}, and this user may neither inspect nor end it. End it as its user or as root with \`kill -9 ${pid}\`, then start again as the user who owns the folder.`,
    { retryable: false, details: { pids: [pid] } },
  );
}

function immortalError(children: readonly Child[]): GatewayError {
  const pids = children.filter(isSameProcess).map((child) => child.pid);
  return new GatewayError(
    "DATA_FOLDER_LOCKED",
    `Processes of an earlier gateway were killed but do not end: ${pids.join(", ")}. Check the disk that they wait for.`,
    { retryable: true, details: { pids } },
  );
}
