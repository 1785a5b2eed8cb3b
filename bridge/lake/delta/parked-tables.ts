import type { Logger } from "pino";
import { BridgeError } from "../../errors.ts";
import type { ParkedTable } from "../table-publishing.ts";
import type { StorageMetrics } from "./storage-metrics.ts";

/** Delays between retries of a parked table, in elapsed time. */
const firstRetryMs = 1000;
const retryMsMax = 30_000;

export interface TableFault {
  readonly error: unknown;
  readonly wayOut: string;
  /** The first commit that the table lacks; null if unknown, so that the table may lack any. */
  readonly firstLacking: number | null;
}

interface Parked extends TableFault {
  readonly sinceMs: number;
  readonly attempts: number;
  readonly retryAtMs: number;
}

export interface ParkedTablesOptions {
  readonly logger: Logger;
  readonly metrics: StorageMetrics;
  readonly now: () => number;
  readonly elapsedMs: () => number;
}

/** The parked tables of a publisher, and when to retry each. */
export class ParkedTables {
  readonly #byName = new Map<string, Parked>();
  readonly #options: ParkedTablesOptions;

  constructor(options: ParkedTablesOptions) {
    this.#options = options;
  }

  /** Whether the table is parked and its retry is not due yet. */
  isWaiting(name: string): boolean {
    const parked = this.#byName.get(name);
    return parked !== undefined && parked.retryAtMs > this.#options.elapsedMs();
  }

  isParked(name: string): boolean {
    return this.#byName.has(name);
  }

  isRetryDue(): boolean {
    return [...this.#byName.keys()].some((name) => !this.isWaiting(name));
  }

  /** The first commit that the table lacks, see `TableFault`. */
  firstLacking(name: string): number | null {
    return this.#byName.get(name)?.firstLacking ?? null;
  }

  park(name: string, fault: TableFault): void {
    const { logger, now, elapsedMs } = this.#options;
    const before = this.#byName.get(name);
    const attempts = (before?.attempts ?? 0) + 1;
    const waitMs = Math.min(firstRetryMs * 2 ** (attempts - 1), retryMsMax);
    const sinceMs = before?.sinceMs ?? now();
    this.#byName.set(name, { ...fault, sinceMs, attempts, retryAtMs: elapsedMs() + waitMs });
    if (before && textOf(before.error) === textOf(fault.error)) return;
    const { error, wayOut } = fault;
    const fields = { event: "table.parked", table: name, code: codeOf(error), wayOut, err: error };
    logger.error(
      fields,
      `table ${name} is parked: it does not show its committed rows. Other tables are not affected`,
    );
  }

  /** The table can be published, but lacks so much that other tables are served in between. */
  catchingUp(name: string, firstLacking: number): void {
    const { now, elapsedMs } = this.#options;
    const sinceMs = this.#byName.get(name)?.sinceMs ?? now();
    const error = new BridgeError(
      "TABLE_BEHIND",
      "the table catches up with the commits made while it was parked",
      {
        retryable: true,
      },
    );
    const wayOut = "none is needed";
    this.#byName.set(name, { error, wayOut, firstLacking, sinceMs, attempts: 0, retryAtMs: elapsedMs() });
  }

  resume(name: string): void {
    if (!this.#byName.delete(name)) return;
    this.#options.metrics.unparked(name);
    this.#options.logger.info(
      { event: "table.resumed", table: name },
      "the table shows all committed rows again",
    );
  }

  /** @param newest Number of the newest commit. */
  list(newest: number): ParkedTable[] {
    return [...this.#byName].map(([table, { error, wayOut, sinceMs, firstLacking }]) => ({
      table,
      code: codeOf(error),
      reason: textOf(error),
      wayOut,
      sinceMs,
      heldCommits: Math.max(0, newest + 1 - (firstLacking ?? 1)),
    }));
  }

  /**
   * Throws TABLE_CONFLICT if the commit log keeps more than `heldMax` entries for a parked table. That stops
   * filing, so that no rows are lost.
   */
  refuseToHoldMore(newest: number, heldMax: number): void {
    const held = this.list(newest).find(({ heldCommits }) => heldCommits > heldMax);
    if (!held) return;
    const { table, heldCommits, reason, wayOut } = held;
    throw new BridgeError(
      "TABLE_CONFLICT",
      `filing has stopped: the commit log keeps ${heldCommits} entries for table ${table}, which can't be published. ${reason}. Way out: ${wayOut}. Or raise tables.parkedCommitsMax (${heldMax})`,
      { retryable: true, details: { table, heldCommits } },
    );
  }

  report(newest: number): void {
    for (const { table, heldCommits } of this.list(newest)) this.#options.metrics.parked(table, heldCommits);
  }
}

function codeOf(error: unknown): string {
  return error instanceof BridgeError ? error.code : "unexpected";
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
