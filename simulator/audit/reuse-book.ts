import type { Bitmap } from "../ledger/bitmap.ts";
import type { RunLedger } from "../ledger/ledger-reader.ts";
import type { MessagePlan } from "../scenario/message-plan.ts";

/**
 * Records where messages with a reused id were filed. An id counts within a topic. Of the messages that share
 * an id, one belongs in the table of each topic that the name had meanwhile. The others belong in quarantine.
 */
export class ReuseBook {
  readonly #plan: MessagePlan;
  readonly #stored: Bitmap;
  readonly #quarantined: Bitmap;
  readonly #ledger: Pick<RunLedger, "horizon">;
  /** Messages that share an id, by index. */
  readonly #tables = new Map<number, string>();

  /** Ledger and bitmaps are read at each call. */
  constructor(
    plan: MessagePlan,
    ledger: Pick<RunLedger, "horizon">,
    filed: { readonly stored: Bitmap; readonly quarantined: Bitmap },
  ) {
    this.#plan = plan;
    this.#ledger = ledger;
    this.#stored = filed.stored;
    this.#quarantined = filed.quarantined;
  }

  reset(): void {
    this.#tables.clear();
  }

  /** A message was found in a table for the first time. */
  stored(index: number, table: string): void {
    if (this.#plan.roles.hasReuse && this.#sharing(this.#plan.roles.idIndex(index)).length > 1)
      this.#tables.set(index, table);
  }

  /** True if another message of the same id is in a table, or was there and has expired. */
  belongsInQuarantine(index: number, hasExpired: (index: number) => boolean): boolean {
    const others = this.#sharing(this.#plan.roles.idIndex(index)).filter((other) => other !== index);
    return others.some((other) => this.#stored.has(other) || hasExpired(other));
  }

  /**
   * Where the row of an absent message belongs. Of absent messages that share an id, the first one whose row may
   * have expired in the table was there.
   *
   * @param mayExpire Whether the row of this message may have expired in its table.
   */
  placeOf(index: number, mayExpire: (index: number) => boolean): "table" | "quarantine" {
    if (!this.#plan.roles.hasReuse) return "table";
    const others = this.#sharing(this.#plan.roles.idIndex(index)).filter((other) => other !== index);
    const isTaken = others.some((other) => this.#stored.has(other) || (other < index && mayExpire(other)));
    return isTaken ? "quarantine" : "table";
  }

  /** Further messages of one id in one table, in order. */
  *duplicated(): Generator<number> {
    for (const sharing of this.#groups()) {
      const tables = new Set<string>();
      for (const index of sharing) {
        const table = this.#tables.get(index);
        if (table === undefined) continue;
        if (tables.has(table)) yield index;
        tables.add(table);
      }
    }
  }

  /** Messages whose place is the quarantine. */
  planned(hasExpired: (index: number) => boolean): number {
    let planned = 0;
    for (const sharing of this.#groups()) {
      const quarantined = sharing.filter((index) => this.#quarantined.has(index)).length;
      const isStored = sharing.some((index) => this.#stored.has(index) || hasExpired(index));
      planned += isStored ? quarantined : Math.max(0, quarantined - 1);
    }
    return planned;
  }

  /** The messages of each shared id. */
  *#groups(): Generator<number[]> {
    if (!this.#plan.roles.hasReuse) return;
    for (let index = 0; index < this.#ledger.horizon; index++) {
      const idIndex = this.#plan.roles.idIndex(index);
      if (idIndex === index) continue;
      const sharing = this.#sharing(idIndex);
      // Each group comes with the first message that took the id.
      if (sharing[1] === index) yield sharing;
    }
  }

  #sharing(idIndex: number): number[] {
    return [...this.#plan.roles.sharingId(idIndex)].filter((index) => index < this.#plan.total);
  }
}
