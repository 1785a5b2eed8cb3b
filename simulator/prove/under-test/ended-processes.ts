/** A process that ended by itself, with an error. */
export interface Crash {
  readonly role: string;
  readonly pid: number;
  readonly code: number;
  /** The error's code, if the process said one. */
  readonly refusal: string | null;
}

/** Code of an error that the gateway does not know. */
const unexpected = "INTERNAL_ERROR";

/** Ids of the processes that a supervisor ended because they did nothing, from the log of the gateway. */
export function silentProcesses(log: string): ReadonlySet<number> {
  return new Set(eventsIn(log, "child.silent").map(({ pid }) => pid));
}

/**
 * The processes that ended by themselves with an exit code other than 0, from the log of the gateway: no
 * strike does that, each ends a process by a signal. A process that waits for a server that is away may end
 * with a reason and be started again; that is no crash.
 */
export function crashesIn(log: string): Crash[] {
  return eventsIn(log, "child.ended").flatMap(({ role, pid, code, refusal, isRetryable }) => {
    if (typeof code !== "number" || code === 0) return [];
    const reason = typeof refusal === "string" ? refusal : null;
    if (reason !== null && reason !== unexpected && isRetryable === true) return [];
    return [{ role: String(role), pid, code, refusal: reason }];
  });
}

interface ChildEvent {
  readonly pid: number;
  readonly role?: unknown;
  readonly code?: unknown;
  readonly refusal?: unknown;
  readonly isRetryable?: unknown;
}

function eventsIn(log: string, event: string): ChildEvent[] {
  const lines = log.split("\n").filter((line) => line.includes(`"${event}"`));
  return lines.flatMap((line) => eventOf(line, event) ?? []);
}

function eventOf(line: string, event: string): ChildEvent | null {
  try {
    const read = JSON.parse(line) as ChildEvent & { readonly event?: unknown };
    return read.event === event && typeof read.pid === "number" ? read : null;
  } catch {
    // The last line may be half written.
    return null;
  }
}
