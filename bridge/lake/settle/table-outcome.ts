import type { Lane } from "../commit-log/lane-commits.ts";
import type { SettleOutcome } from "./settle-table.ts";

/**
 * - `settled`, `moved`, `fenced`: see `SettleOutcome`.
 * - `nothing`: no rows of these lanes wait.
 * - `parked`: see `ParkedTables`; rows before the fault may be settled.
 * - `failed`: for a reason that may pass; nothing is known to be wrong with the table.
 */
export type TableOutcome = SettleOutcome | "nothing" | "parked" | "failed";

export interface SettledTable {
  readonly outcome: TableOutcome;
  /** Rows by lane that one version of the table made visible. */
  readonly rows: ReadonlyMap<Lane, number>;
}
