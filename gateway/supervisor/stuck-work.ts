import type { ConsumerProcessStatus } from "./gateway-status.ts";
import type { ChildStatus } from "./supervised-child.ts";
import { recoveryText } from "./what-waits.ts";

/** What one look at the consumer has found. */
export interface ConsumerLook {
  readonly child: ChildStatus;
  /** null = it did not answer. */
  readonly status: ConsumerProcessStatus | null;
}

/** What may have changed since the last look. */
export interface SinceLook {
  /** The consumer's process now. */
  readonly child: ChildStatus;
  /** It was asked again, and takes longer to answer than one that works. */
  readonly isSilent: boolean;
}

/** What a table may lack, as far as this consumer says. */
interface TableTroubles {
  readonly tables?: {
    readonly parked: readonly { readonly table: string; readonly reason: string; readonly wayOut?: string }[];
    readonly unkempt: readonly { readonly table: string; readonly reason: string }[];
  };
}

/** Something that does not go on, and since when. */
interface Trouble {
  readonly text: string;
  readonly sinceMs: number;
}

/**
 * Finds out what does not go on although publishes are acknowledged: filing, a partition, the publishing of a table, its checkpoints,
 * the vacuum. A thing counts as stuck once it stood for `stuckAfterMs` without progress.
 */
export class StuckWork {
  readonly #stuckAfterMs: number;
  /** By what is wrong, without the numbers that change meanwhile. */
  #troubles = new Map<string, Trouble>();
  #progress = "";
  #progressAtMs: number | null = null;
  #status: ConsumerProcessStatus | null = null;
  #filingSinceMs: number | null = null;

  constructor(stuckAfterMs: number) {
    this.#stuckAfterMs = stuckAfterMs;
  }

  look(seen: ConsumerLook, nowMs: number): void {
    this.#noteProgress(seen, nowMs);
    const before = this.#troubles;
    this.#troubles = new Map();
    for (const [key, text] of troublesOf(seen))
      this.#troubles.set(key, { text, sinceMs: before.get(key)?.sinceMs ?? nowMs });
    this.#status = seen.status;
    this.#filingSinceMs = filingWaits(seen.status) ? (this.#progressAtMs ?? nowMs) : null;
  }

  /** Reasons, for people; [] = everything goes on. */
  reasons(nowMs: number, since: SinceLook): string[] {
    return [...this.#troubles.values(), ...this.#filingTrouble(since)]
      .filter(({ sinceMs }) => nowMs - sinceMs >= this.#stuckAfterMs)
      .map(({ text, sinceMs }) => `${text} (for ${Math.round((nowMs - sinceMs) / 1_000)} s)`);
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

/** Changes whenever something was filed, or a recovery came further. */
function progressOf({ lastCommit, partitions, recovery }: ConsumerProcessStatus): string {
  const positions = partitions.map(({ partition, committed }) => [partition, committed]);
  return JSON.stringify([lastCommit?.number, positions, recovery?.step, recovery?.seeding]);
}

/** True if something waits to be filed, or it is not known. */
function filingWaits(status: ConsumerProcessStatus | null): boolean {
  if (status === null || status.recovery) return true;
  return status.partitions.some(
    ({ halt, openMessages, lagBytes, lagMs }) =>
      halt === null && (openMessages > 0 || (lagBytes ?? 0) > 0 || lagMs > 0),
  );
}

/** What stops filing as a whole; null = nothing waits. */
function filingText({ child, status }: ConsumerLook): string | null {
  if (!filingWaits(status)) return null;
  if (status === null) return `filing: the consumer is ${child.state}: ${silenceOf(child)}`;
  if (status.recovery) return `filing: ${recoveryText(status.recovery)}`;
  const { lastFailure, lastCommit } = status;
  const isNews = lastFailure && lastFailure.atMs >= (lastCommit?.atMs ?? 0);
  return `filing: messages wait and nothing was filed${isNews ? `: ${lastFailure.code}: ${lastFailure.message}` : ""}`;
}

function silenceOf({ refusal, state, lastExit }: ChildStatus): string {
  if (refusal) return `${refusal.code}: ${refusal.message}`;
  if (state === "ready" || !lastExit) return "it does not answer";
  return `it has ended with ${lastExit.signal ?? `code ${lastExit.code}`}`;
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
    const text = `publishing: table ${table} does not show what is committed: ${reason}`;
    yield [`table ${table}`, wayOut === undefined ? text : `${text} Way out: ${wayOut}`];
  }
  for (const { table, reason } of unkempt)
    yield [`log ${table}`, `the log of table ${table} is not summed up and grows: ${reason}`];
  const { housekeeping } = status;
  if (housekeeping) yield ["vacuum", `the lake is not tidied up: ${housekeeping.message}`];
}
