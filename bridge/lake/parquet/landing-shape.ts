import type { DuckDBIntegerVector, DuckDBVarCharVector } from "@duckdb/node-api";
import { baseColumns } from "../../topics/table-columns.ts";
import type { LandedVersion } from "../landing/row-files.ts";
import { quoteName } from "./duckdb.ts";
import { tableExpressions } from "./landed-rows.ts";
import { fillRows, type RowOfBlock, rowColumns, vectors } from "./staged-rows.ts";
import { baseExpressions } from "./staged-select.ts";
import type { StagedShape } from "./staging-table.ts";

/** A row of a batch. */
export interface StagedLanding extends RowOfBlock {
  /** Number of its group. */
  readonly group: number;
  /** See `valuesText`. */
  readonly values: string | null;
}

/** One staging table for the rows of all topics, so that a batch of 1,000 topics costs no more than of one. */
export const landingShape: StagedShape<StagedLanding> = {
  columns: [...rowColumns, { name: "group", type: "integer" }, { name: "_values", type: "string" }],
  fill(chunk, rows) {
    fillRows(chunk, rows);
    const first = rowColumns.length;
    const group = chunk.getColumnVector(first) as DuckDBIntegerVector;
    const values = chunk.getColumnVector(first + 1) as DuckDBVarCharVector;
    for (let at = 0; at < rows.length; at++) {
      const row = rows[at] as StagedLanding;
      group.setItem(at, row.group);
      values.setItem(at, row.values);
    }
  },
};

/** Why a row is quarantined. Staged apart: two more columns of each row would cost 0.6 µs. */
export interface StagedFacts {
  readonly group: number;
  readonly blockNumber: number;
  readonly index: number;
  readonly reason: string;
  readonly detail: string;
}

export const factsShape: StagedShape<StagedFacts> = {
  columns: [
    { name: "group", type: "integer" },
    { name: "block", type: "integer" },
    { name: "_index", type: "integer" },
    { name: "reason", type: "string" },
    { name: "detail", type: "string" },
  ],
  fill(chunk, rows) {
    const [group, block, index, reason, detail] = vectors(chunk);
    for (const [at, facts] of rows.entries()) {
      group?.setItem(at, facts.group);
      block?.setItem(at, facts.blockNumber);
      index?.setItem(at, facts.index);
      reason?.setItem(at, facts.reason);
      detail?.setItem(at, facts.detail);
    }
  },
};

/** Names of the staging tables of the rows, their blocks, their groups, and facts of quarantined rows. */
export interface StagedNames {
  readonly rows: string;
  readonly blocks: string;
  readonly groups: string;
  readonly facts: string;
}

/**
 * SELECT of a landing file: the base columns as in the files of tables, so that their readers read landing
 * files too, and the columns of the group.
 */
export function selectLanding(from: StagedNames): string {
  return `${selectRows(from)} WHERE g.direct IS NULL ORDER BY g.rank, event_time`;
}

/** SELECT of the table file of this number, as `DirectFile` has it, sorted by event time. */
export function selectDirect(
  from: StagedNames,
  { number, versions }: { readonly number: number; readonly versions: readonly LandedVersion[] | null },
): string {
  const rows = `${selectRows(from)} WHERE g.direct = ${number}`;
  return `SELECT ${tableExpressions(versions)} FROM (${rows}) r ORDER BY event_time`;
}

function selectRows(from: StagedNames): string {
  const base = baseColumns.map(({ name }) => `${baseExpressions[name] ?? `r.${name}`} AS ${quoteName(name)}`);
  return (
    `SELECT g.topic_id, g.topic_version, g._lane, g._hour, f.reason, f.detail, ${base.join(", ")}, r._values ` +
    `FROM ${quoteName(from.rows)} r JOIN ${quoteName(from.blocks)} b ON b.block = r.block ` +
    `JOIN ${quoteName(from.groups)} g ON g.number = r."group" ` +
    `LEFT JOIN ${quoteName(from.facts)} f ` +
    `ON f."group" = r."group" AND f.block = r.block AND f._index = r._index`
  );
}
