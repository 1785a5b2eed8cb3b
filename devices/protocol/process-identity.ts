import { readFileSync } from "node:fs";

/** Distinguishes a process from all others, also from a later process with the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks between boot and start: field 22 of /proc/<pid>/stat, see proc(5). */
  readonly startTicks: string;
  /** Random id of the boot from which the ticks count. */
  readonly bootId: string;
}

function startTicksOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // Field 2 is the command in parentheses and may hold spaces and parentheses itself; field 3 follows its
    // last ")".
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A zombie (state Z) holds no resources.
    return fields[0] === "Z" ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}

/** Random id of this machine's boot; "" if the system has none. */
export function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}

/** null if there is no such process (a zombie does not count), or no /proc. */
export function identifyProcess(pid: number): ProcessIdentity | null {
  const startTicks = startTicksOf(pid);
  return startTicks === null ? null : { pid, startTicks, bootId: bootId() };
}

/** True while this very process exists, running or stopped. */
export function isSameProcess(identity: ProcessIdentity): boolean {
  return startTicksOf(identity.pid) === identity.startTicks && bootId() === identity.bootId;
}
