import type { CoreSession } from "./core-session.ts";
import type { RefusalLog } from "./refusal-log.ts";

const sweepEveryMs = 250;

/** Refuses messages that were held for too long, and ends the refusal log's minutes. */
export class DeadlineSweep {
  readonly #timer: NodeJS.Timeout;

  constructor(options: {
    busy: ReadonlySet<CoreSession<unknown>>;
    now: () => number;
    refusals: Pick<RefusalLog, "checkMinute">;
  }) {
    this.#timer = setInterval(() => {
      const nowMs = options.now();
      options.refusals.checkMinute();
      for (const session of options.busy) session.checkDeadline(nowMs);
    }, sweepEveryMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
