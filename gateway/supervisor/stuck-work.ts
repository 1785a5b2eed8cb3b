import type { ChildStatus } from "../status/child-status.ts";
import type { ConsumerProcessStatus } from "../status/gateway-status.ts";
import { recoveryText } from "../status/what-waits.ts";
import { lastingTexts, SeenTroubles, type Trouble } from "./lasting-troubles.ts";

/** The result of one look at the consumer. */
export interface ConsumerLook {
  readonly child: ChildStatus;
  /** null = the consumer did not answer. */
  readonly status: ConsumerProcessStatus | null;
}

/** The state since the last look. */
export interface SinceLook {
  /** The current state of the consumer's process. */
  readonly child: ChildStatus;
  /** A new request takes longer than with a working consumer. */
  readonly isSilent: boolean;
}

/** Tables that lag, as the consumer reports them. */
interface TableTroubles {
  readonly tables?: {
    readonly parked: readonly { readonly table: string; readonly reason: string; readonly wayOut?: string }[];
    readonly unkempt: readonly { readonly table: string; readonly reason: string }[];
  };
}

/**
 * Finds stuck work of the consumer although publishes are acknowledged: filing, a partition, the publishing
 * of a table, its checkpoints. Work is stuck after `stuckAfterMs` without progress.
 */
export class StuckWork {
  readonly #stuckAfterMs: number;
  readonly #troubles = new SeenTroubles();
  #progress = "";
  #progressAtMs: number | null = null;
  #status: ConsumerProcessStatus | null = null;
  #filingSinceMs: number | null = null;

  constructor(stuckAfterMs: number) {
    this.#stuckAfterMs = stuckAfterMs;
  }

  look(seen: ConsumerLook, nowMs: number): void {
    this.#noteProgress(seen, nowMs);
    this.#troubles.look(troublesOf(seen), nowMs);
    this.#status = seen.status;
    this.#filingSinceMs = filingWaits(seen.status) ? (this.#progressAtMs ?? nowMs) : null;
  }

  /** Reasons, for people; [] = no work is stuck. */
  reasons(nowMs: number, since: SinceLook): string[] {
    const troubles = [...this.#troubles.all, ...this.#filingTrouble(since)];
    return lastingTexts(troubles, nowMs, this.#stuckAfterMs);
  }

  #filingTrouble({ child, isSilent }: SinceLook): Trouble[] {
    const text = filingText({ child, status: isSilent ? null : this.#status });
    return text === null || this.#filingSinceMs === null ? [] : [{ text, sinceMs: this.#filingSinceMs }];
  }

  #noteProgress({ status }: ConsumerLook, nowMs: number): void {
    const progress = status === null ? this.#progress : progressOf(status);
    const waits = filingWaits(status);
    if (progress !== this.#progress || !waits || this.#progressAtMs === null) this.#progressAtMs = nowMs;
    this.#progress = progress;
  }
}

/** Changes after each commit and each step of a recovery. */
function progressOf({ lastCommit, partitions, recovery }: ConsumerProcessStatus): string {
  const positions = partitions.map(({ partition, committed }) => [partition, committed]);
  return JSON.stringify([lastCommit?.number, positions, recovery?.step, recovery?.seeding]);
}

/** True if messages wait to be filed, or if this is not known. */
function filingWaits(status: ConsumerProcessStatus | null): boolean {
  if (status === null || status.recovery) return true;
  return status.partitions.some(
    ({ halt, openMessages, lagBytes, lagMs }) =>
      halt === null && (openMessages > 0 || (lagBytes ?? 0) > 0 || lagMs > 0),
  );
}

/** Why filing is stuck as a whole; null = no message waits. */
function filingText({ child, status }: ConsumerLook): string | null {
  if (!filingWaits(status)) return null;
  if (status === null) return `filing: the consumer is ${child.state}: ${silenceOf(child)}`;
  if (status.recovery) return `filing: ${recoveryText(status.recovery)}`;
  const { lastFailure, lastCommit } = status;
  const isNews = lastFailure && lastFailure.atMs >= (lastCommit?.atMs ?? 0);
  return `filing: messages wait and none was filed${isNews ? `: ${lastFailure.code}: ${lastFailure.message}` : ""}`;
}

/** Why a process does not answer. */
export function silenceOf({ refusal, state, lastExit }: ChildStatus): string {
  if (refusal) return `${refusal.code}: ${refusal.message}`;
  if (state === "ready" || !lastExit) return "the process does not answer";
  return `the process ended with ${lastExit.signal ?? `code ${lastExit.code}`}`;
}

function* troublesOf({ status }: ConsumerLook): Generator<[key: string, text: string]> {
  if (!status) return;
  for (const { partition, halt } of status.partitions)
    if (halt) {
      const text = `filing: partition ${partition} is not read: ${halt.code}: ${halt.message} Resume: ${halt.resume}`;
      yield [`partition ${partition} ${halt.code}`, text];
    }
  const { parked = [], unkempt = [] } = (status as TableTroubles).tables ?? {};
  for (const { table, reason, wayOut } of parked) {
    const text = `publishing: table ${table} does not show all commits: ${reason}`;
    yield [`table ${table}`, wayOut === undefined ? text : `${text} Way out: ${wayOut}`];
  }
  for (const { table, reason } of unkempt)
    yield [`log ${table}`, `the log of table ${table} has no new checkpoint and grows: ${reason}`];
}
