import type { Logger } from "pino";
import { BridgeError } from "../../errors.ts";
import { wayOutOf } from "../delta/way-out.ts";
import type { RetentionMetrics } from "./retention-metrics.ts";

/** A table from which retention removes no rows until something is changed. Other tables are not affected. */
export interface TableLeftAlone {
  readonly table: string;
  readonly code: string;
  /** For people: the cause, and what to do. */
  readonly reason: string;
  readonly wayOut: string;
  /** When this process learned of it, ms since the epoch. */
  readonly sinceMs: number;
}

export interface TablesLeftAloneOptions {
  /** URL of the lake. */
  readonly url: string;
  readonly logger: Logger;
  readonly metrics: RetentionMetrics;
  readonly now: () => number;
}

/** The tables that retention leaves alone. Tells each once, and again if the cause changes. */
export class TablesLeftAlone {
  readonly #options: TablesLeftAloneOptions;
  readonly #byName = new Map<string, TableLeftAlone>();

  constructor(options: TablesLeftAloneOptions) {
    this.#options = options;
  }

  list(): TableLeftAlone[] {
    return [...this.#byName.values()];
  }

  add(table: string, error: unknown): void {
    const { url, logger, metrics, now } = this.#options;
    const before = this.#byName.get(table);
    const code = error instanceof BridgeError ? error.code : "INTERNAL_ERROR";
    const reason = error instanceof Error ? error.message : String(error);
    const wayOut = wayOutOf(error, { name: table, url: `${url}/${table}`, fittingVersion: null });
    this.#byName.set(table, { table, code, reason, wayOut, sinceMs: before?.sinceMs ?? now() });
    metrics.leftAlone(this.#byName.size);
    if (before?.reason === reason) return;
    const fields = { event: "retention.table.left", table, code, wayOut, err: error };
    logger.warn(fields, `retention removes no rows of table ${table}; other tables are not affected`);
  }

  /** Rows may be removed, or none are to be removed. */
  remove(table: string): void {
    if (!this.#byName.delete(table)) return;
    this.#options.metrics.leftAlone(this.#byName.size);
    const fields = { event: "retention.table.resumed", table };
    this.#options.logger.info(fields, "retention keeps this table within its time again");
  }

  /** Forgets tables that have no retention any more. */
  keep(tables: ReadonlySet<string>): void {
    for (const name of this.#byName.keys()) if (!tables.has(name)) this.remove(name);
  }
}
