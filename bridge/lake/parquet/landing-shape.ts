import type { DuckDBIntegerVector, DuckDBVarCharVector } from "@duckdb/node-api";
import type { QuarantineFacts } from "../../tail/row.ts";
import { baseColumns } from "../../topics/table-columns.ts";
import { quoteName } from "./duckdb.ts";
import { fillRows, type RowOfBlock, rowColumns } from "./staged-rows.ts";
import { baseExpressions } from "./staged-select.ts";
import type { StagedShape } from "./staging-table.ts";

/** A row of a landing file. */
export interface StagedLanding extends RowOfBlock {
  /** Number of its `LandingGroup`. */
  readonly group: number;
  /** Null for a row of its topic's table; else the row belongs in `_quarantine`. */
  readonly facts: QuarantineFacts | null;
  /** See `valuesText`. */
  readonly values: string | null;
}

/** One staging table for the rows of all topics, so that a batch of 1,000 topics costs no more than of one. */
export const landingShape: StagedShape<StagedLanding> = {
  columns: [
    ...rowColumns,
    { name: "group", type: "integer" },
    { name: "reason", type: "string" },
    { name: "detail", type: "string" },
    { name: "_values", type: "string" },
  ],
  fill(chunk, rows) {
    fillRows(chunk, rows);
    const first = rowColumns.length;
    const group = chunk.getColumnVector(first) as DuckDBIntegerVector;
    const reason = chunk.getColumnVector(first + 1) as DuckDBVarCharVector;
    const detail = chunk.getColumnVector(first + 2) as DuckDBVarCharVector;
    const values = chunk.getColumnVector(first + 3) as DuckDBVarCharVector;
    for (let at = 0; at < rows.length; at++) {
      const row = rows[at] as StagedLanding;
      group.setItem(at, row.group);
      reason.setItem(at, row.facts?.reason ?? null);
      detail.setItem(at, row.facts?.detail ?? null);
      values.setItem(at, row.values);
    }
  },
};

/**
 * SELECT of a landing file: the base columns as in the files of tables, so that their readers read landing
 * files too, and the columns of the group.
 * @param from Names of the staging tables of the rows, their blocks and their groups.
 */
export function selectLanding(from: { rows: string; blocks: string; groups: string }): string {
  const base = baseColumns.map(({ name }) => `${baseExpressions[name] ?? `r.${name}`} AS ${quoteName(name)}`);
  return (
    `SELECT g.topic_id, g.topic_version, g._lane, g._hour, r.reason, r.detail, ${base.join(", ")}, r._values ` +
    `FROM ${quoteName(from.rows)} r JOIN ${quoteName(from.blocks)} b ON b.block = r.block ` +
    `JOIN ${quoteName(from.groups)} g ON g.number = r."group" ORDER BY g.rank, event_time`
  );
}
