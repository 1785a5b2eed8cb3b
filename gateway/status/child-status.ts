import type { Refusal, RoleName } from "../processes/messages.ts";

/** `waiting` = the process has ended and is restarted after a delay. */
export type ChildState = "starting" | "ready" | "waiting" | "stopping" | "stopped";

export interface ChildStatus {
  readonly role: RoleName;
  readonly state: ChildState;
  readonly pid: number | null;
  readonly restarts: number;
  /** Times that the process was killed because it hung. */
  readonly hangs: number;
  /** Time since the last message of the process, ms; less than a second while it works. */
  readonly silentForMs: number;
  /** Why the process cannot start or continue, if it reported that. */
  readonly refusal: Refusal | null;
  readonly lastExit: {
    readonly code: number | null;
    readonly signal: string | null;
    readonly atMs: number;
  } | null;
  /** Address on which the role listens, or listened last. */
  readonly listening: string | null;
}
