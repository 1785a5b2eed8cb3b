import type { TypedValues } from "../scenario/typed-values.ts";
import type { RowPlace } from "./row-places.ts";

/** One row of a table or of `_quarantine`. */
export interface FiledRow {
  readonly isQuarantined: boolean;
  /** In quarantine for what it is, not since its id was used before. */
  readonly isFaulty: boolean;
  readonly deviceId: unknown;
  readonly topic: unknown;
  readonly messageId: Uint8Array | null;
  /** µs since the epoch. */
  readonly eventTimeUs: unknown;
  readonly payload: unknown;
  readonly place: RowPlace;
  /** Queries by its date and hour, its device, or its event time find it. */
  readonly isFound: boolean;
  /** The data file that holds it, for messages to people. */
  readonly file: string;
  /**
   * Adds what is wrong with the row by itself: columns that do not fit each other. `typed`: what its typed columns must hold; null = what
   * its payload says.
   */
  addFaults(faults: string[], typed: TypedValues | null): void;
}
