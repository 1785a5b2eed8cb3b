import { compactionFault, parkingFaults, type Strikable, type Strike, type StrikeEffect } from "../strike.ts";
import type { ForeignCompaction } from "./foreign-compaction.ts";
import type { ForeignWriter } from "./foreign-writer.ts";
import type { UnfitTable } from "./unfit-table.ts";

export interface TableStrikers {
  readonly writer: ForeignWriter;
  readonly unfit: UnfitTable;
  readonly compaction: ForeignCompaction;
}

/** All that other programs do to the gateways' tables. */
export class TableStrikes implements Strikable {
  readonly #strikers: TableStrikers;

  constructor(strikers: TableStrikers) {
    this.#strikers = strikers;
  }

  strike(strike: Strike): Promise<StrikeEffect | null> {
    const { writer, unfit, compaction } = this.#strikers;
    if ((parkingFaults as readonly string[]).includes(strike.fault)) return unfit.strike(strike);
    if (strike.fault === compactionFault) return compaction.strike(strike);
    return writer.strike(strike);
  }
}
