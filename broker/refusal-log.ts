import type { Logger } from "pino";
import type { BrokerMetrics } from "./metrics.ts";
import type { RefusalReason } from "./refusal.ts";

const loggedEveryMs = 60_000;
/** Beyond this many clients in a minute only the counters tell. */
const rememberedMax = 10_000;

/** Counts every refusal and logs each client's at most once a minute: a device that keeps trying must not fill the disk. */
export class RefusalLog {
  readonly #logger: Logger;
  readonly #metrics: BrokerMetrics;
  readonly #now: () => number;
  readonly #loggedAtMs = new Map<string, number>();

  constructor(options: { logger: Logger; metrics: BrokerMetrics; now: () => number }) {
    this.#logger = options.logger;
    this.#metrics = options.metrics;
    this.#now = options.now;
  }

  refuse(reason: RefusalReason, who: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.#metrics.refuse(reason);
    this.#log(who, { event: "broker.refused", reason, client: who, ...fields }, "refused");
  }

  /** A PUBLISH that was read and not taken: what ended its connection is told apart. */
  untaken(who: string, fields: Readonly<Record<string, unknown>>): void {
    this.#metrics.untaken += 1;
    this.#log(
      who,
      { event: "broker.untaken", client: who, ...fields },
      "not taken: its connection has ended",
    );
  }

  #log(who: string, fields: Readonly<Record<string, unknown>>, text: string): void {
    const now = this.#now();
    const last = this.#loggedAtMs.get(who);
    if (last !== undefined && now - last < loggedEveryMs) return;
    if (this.#loggedAtMs.size >= rememberedMax) this.#forget(now);
    if (this.#loggedAtMs.size >= rememberedMax) return;
    this.#loggedAtMs.set(who, now);
    this.#logger.warn(fields, text);
  }

  #forget(now: number): void {
    for (const [who, atMs] of this.#loggedAtMs) if (now - atMs >= loggedEveryMs) this.#loggedAtMs.delete(who);
  }
}
