import type { TypedValues } from "../scenario/typed-values.ts";
import type { RowPlace } from "./row-places.ts";

/** One row of a table or of `_quarantine`. */
export interface FiledRow {
  /** The folder of its table, or of the table into which it will be settled. */
  readonly table: string;
  readonly isQuarantined: boolean;
  /** Quarantined for its content, not for an id that was used before. */
  readonly isFaulty: boolean;
  readonly deviceId: unknown;
  readonly topic: unknown;
  readonly messageId: Uint8Array | null;
  /** µs since the epoch. */
  readonly eventTimeUs: unknown;
  readonly payload: unknown;
  readonly place: RowPlace;
  /** Queries by date and hour, by device, or by event time find the row. */
  readonly isFound: boolean;
  /** The data file that holds it, for messages to people. */
  readonly file: string;
  /**
   * Adds contradictions between the row's own columns. `typed`: the values that typed columns must hold; null
   * = those of the payload.
   */
  addFaults(faults: string[], typed: TypedValues | null): void;
}
