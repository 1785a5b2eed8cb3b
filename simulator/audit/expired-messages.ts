import type { Bitmap } from "../ledger/bitmap.ts";
import type { RunLedger } from "../ledger/ledger-reader.ts";
import type { MessagePlan } from "../scenario/message-plan.ts";
import type { Expiry, RunSpan } from "./expiry.ts";
import type { ReuseBook } from "./reuse-book.ts";

export interface RunFacts {
  readonly plan: MessagePlan;
  readonly ledger: RunLedger;
  readonly reuse: ReuseBook;
  readonly stored: Bitmap;
  readonly quarantined: Bitmap;
}

/** Messages of a run that retention may have removed. Ledger, bitmaps and reuse are read at each call. */
export class ExpiredMessages {
  readonly #run: RunFacts;
  #expiry: Expiry | null = null;
  #span: RunSpan;

  constructor(run: RunFacts) {
    this.#run = run;
    this.#span = this.#readSpan();
  }

  /** Takes the bounds of a look at the lake. */
  look(expiry: Expiry): void {
    this.#expiry = expiry;
    this.#span = this.#readSpan();
  }

  /** Acknowledged, and expired. */
  readonly has = (index: number): boolean => this.#run.ledger.acked.has(index) && this.mayHave(index);

  /** Absent, and expired if it was filed: its acknowledgement may be lost. */
  readonly mayHave = (index: number): boolean => {
    if (!this.#expiry || !this.#run.ledger.mayHaveBeenSent(index) || !this.#isAbsent(index)) return false;
    const { plan, reuse, ledger } = this.#run;
    const isBelow = (other: number) =>
      ledger.mayHaveBeenSent(other) && this.#isAbsent(other) && this.#isBelow(other, "table");
    const place = plan.faults.poison(index) ? "quarantine" : reuse.placeOf(index, isBelow);
    return this.#isBelow(index, place);
  };

  #isAbsent(index: number): boolean {
    return !this.#run.stored.has(index) && !this.#run.quarantined.has(index);
  }

  #isBelow(index: number, place: "table" | "quarantine"): boolean {
    const { plan } = this.#run;
    const { startedAtMs } = this.#span;
    const message = {
      topicName: plan.topicName(index),
      eventTimeUs: plan.shape(index).format === "raw" ? null : plan.eventTimeUs(index, startedAtMs),
      dueMs: startedAtMs + plan.dueMs(index),
      place,
      mayBeUnread: plan.faults.poison(index) !== null,
    };
    return this.#expiry?.isExpired(message, this.#span) ?? false;
  }

  #readSpan(): RunSpan {
    const { ledger } = this.#run;
    return { startedAtMs: ledger.header.startedAtMs, endedAtMs: ledger.changedAtMs() };
  }
}
