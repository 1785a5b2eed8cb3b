import type { Logger } from "pino";
import { shownName } from "../../devices/protocol/shown-name.ts";
import type { IngestMetrics } from "./ingest-metrics.ts";
import type { RefusalFields } from "./refusal.ts";

const windowMs = 60_000;
/**
 * Bytes of the log for each reason in a minute: many refusals of one kind leave room for the other kinds. All
 * reasons together write at most 1.2 GB a day.
 */
const reasonMaxBytes = 32_768;
/** Level, time, process and text of a line. */
const lineOverheadBytes = 200;

export interface RefusedClient {
  /** Client id; "" before it is known. */
  readonly client: string;
  /** IP address. */
  readonly address: string;
}

/**
 * Counts every refusal, and logs each client's once a minute for each reason, within the reason's share of
 * the log. A line at the end of the minute says how many refusals were not logged.
 */
export class RefusalLog {
  readonly #logger: Logger;
  readonly #metrics: IngestMetrics;
  readonly #now: () => number;
  readonly #logged = new Set<string>();
  readonly #bytes = new Map<string, number>();
  readonly #unlogged = new Map<string, number>();
  #sinceMs: number;

  constructor(options: { logger: Logger; metrics: IngestMetrics; now: () => number }) {
    this.#logger = options.logger;
    this.#metrics = options.metrics;
    this.#now = options.now;
    this.#sinceMs = options.now();
  }

  refuse(code: string, who: RefusedClient, fields: RefusalFields = {}): void {
    this.#metrics.refuse(code);
    this.#log(code, who, { event: "broker.refused", reason: code, fields, text: "refused" });
  }

  /** A message that was read and not accepted. The end of its connection is reported separately. */
  untaken(who: RefusedClient, fields: RefusalFields): void {
    this.#metrics.untaken += 1;
    this.#log("untaken", who, {
      event: "broker.untaken",
      fields,
      text: "not accepted: its connection has ended",
    });
  }

  /** Called periodically, so that a minute also ends without further refusals. */
  checkMinute(): void {
    if (this.#now() - this.#sinceMs >= windowMs) this.endMinute();
  }

  /** Says how many refusals since the last call were not logged. */
  endMinute(): void {
    const counts = Object.fromEntries(this.#unlogged);
    const fields = { event: "broker.refused.unlogged", counts, sinceMs: this.#now() - this.#sinceMs };
    if (this.#unlogged.size > 0) this.#logger.warn(fields, "refusals that have no line of their own");
    this.#unlogged.clear();
    this.#logged.clear();
    this.#bytes.clear();
    this.#sinceMs = this.#now();
  }

  #log(
    told: string,
    who: RefusedClient,
    line: { event: string; reason?: string; fields: RefusalFields; text: string },
  ): void {
    this.checkMinute();
    const { text, fields, ...facts } = line;
    const client = shownName(who.client);
    const key = `${told}\n${who.address}\n${client}`;
    const bytes = this.#bytes.get(told) ?? 0;
    if (bytes >= reasonMaxBytes || this.#logged.has(key)) {
      this.#unlogged.set(told, (this.#unlogged.get(told) ?? 0) + 1);
      return;
    }
    const all = { ...facts, client, address: who.address, ...shortenedFields(fields) };
    this.#logged.add(key);
    this.#bytes.set(told, bytes + Buffer.byteLength(JSON.stringify(all)) + lineOverheadBytes);
    this.#logger.warn(all, text);
  }
}

function shortenedFields(fields: RefusalFields): Record<string, unknown> {
  const entries = Object.entries(fields);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, typeof value === "string" ? shownName(value) : value]),
  );
}
