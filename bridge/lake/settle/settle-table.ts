import type { TableColumn } from "../../topics/table-columns.ts";
import type { AddedFile } from "../commit-log/commit-log.ts";
import type { Lane } from "../commit-log/lane-commits.ts";
import type { DeltaState } from "../delta/delta-state.ts";
import type { DeltaTable } from "../delta/delta-table.ts";
import { isFenced, settledLanes, transactionId } from "../delta/lane-transactions.ts";
import { checkTable, entryActions } from "../delta/table-entry.ts";
import { createVersion } from "../delta/table-transaction.ts";
import type { RowRound, TableRows } from "../landing/row-files.ts";

/** The rows of a table that a round moves into it. */
export interface TableToSettle {
  /** Landed rows. `after` of a range is what the table shows of the lane. */
  readonly rows: TableRows;
  /** Table files that commits in (after, upTo] named; null if the round leaves them out. */
  readonly direct: {
    readonly after: number;
    readonly upTo: number;
    readonly files: readonly AddedFile[];
  } | null;
  /** Columns of all these rows. */
  readonly columns: readonly TableColumn[];
}

export interface SettlePorts {
  readonly lakeId: string;
  readonly now: () => number;
  readonly onLostRace?: () => void;
}

/**
 * - `settled`: one version of the table shows all rows of `TableToSettle`.
 * - `moved`: the table no longer shows what the ranges say, because another process settled a lane. Nothing was
 *   written into the table's log.
 * - `fenced`: vacuum may have deleted the new files. Nothing was written into the table's log.
 * After the last two, the new files are orphans, and the caller may try again in another round.
 */
export type SettleOutcome = "settled" | "moved" | "fenced";

/**
 * Moves rows from landing files and commits into their table, as one version. The version is created only if
 * each lane still ends where its range begins, so that two processes never settle a row twice. Rejects with
 * TABLE_CONFLICT if the table can't take the rows, before files are written; with the errors of the port; with
 * STORE_UNAVAILABLE if the outcome is unknown, and then the next try finds `moved`.
 */
export async function settleTable(
  { lakeId, now, onLostRace }: SettlePorts,
  table: DeltaTable,
  { rows, direct, columns }: TableToSettle,
  round: RowRound,
): Promise<SettleOutcome> {
  const ranges: readonly { lane: Lane; after: number; upTo: number }[] = [
    ...rows.ranges,
    ...(direct ? [{ lane: "direct" as const, after: direct.after, upTo: direct.upTo }] : []),
  ];
  const stands = ({ txns }: Readonly<DeltaState>) => {
    const shown = settledLanes(txns, lakeId);
    return ranges.every(({ lane, after }) => shown[lane] === after);
  };
  const base = await table.refresh();
  if (!stands(base)) return "moved";
  if (base.version < 0) await table.refuseOtherContent();
  checkTable(table.name, base, columns);
  const since = base.version;
  const files = [...(direct?.files ?? []), ...(await round.write(rows))];
  const transactions = ranges.map(({ lane, upTo }) => ({ appId: transactionId(lakeId, lane), upTo }));
  const outcome = await createVersion<"moved" | "fenced">(
    table,
    (state) => {
      if (!stands(state)) return "moved";
      if (isFenced(state, lakeId, since)) return "fenced";
      return entryActions(table.name, state, { columns, transactions, files, nowMs: now() });
    },
    onLostRace,
  );
  return outcome === "created" ? "settled" : outcome;
}
