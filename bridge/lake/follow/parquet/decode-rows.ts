import { type DuckDBDataChunk, type DuckDBResult, DuckDBTypeId } from "@duckdb/node-api";
import type { QuarantineFacts } from "../../../tail/row.ts";
import type { TableColumn } from "../../../topics/table-columns.ts";
import { quarantineKey } from "../../commit-log/commit-log.ts";
import type { CommittedRow, FollowedTable } from "../committed-rows.ts";
import type { FollowedFiles } from "../row-reader.ts";
import { baseDecoder, baseSelected, columnValue, slicesOf } from "./base-decoder.ts";

const quarantineColumns = 4;

const columnTypes: Partial<Record<DuckDBTypeId, TableColumn["type"]>> = {
  [DuckDBTypeId.BOOLEAN]: "boolean",
  [DuckDBTypeId.BIGINT]: "long",
  [DuckDBTypeId.DOUBLE]: "double",
  [DuckDBTypeId.TIMESTAMP_TZ]: "timestamp",
};

function firstTyped({ key }: Pick<FollowedFiles, "key">): number {
  return key === quarantineKey ? baseSelected + quarantineColumns : baseSelected;
}

/** The table as in the result of `rowQuery`. Columns with a type that we never write count as text. */
export function followedTable({ key, name, version }: FollowedFiles, result: DuckDBResult): FollowedTable {
  const types = result.columnTypes();
  const columns = result
    .columnNames()
    .map((column, index) => ({ name: column, type: columnTypes[types[index]?.typeId ?? 0] ?? "string" }))
    .slice(firstTyped({ key }));
  return { key, name, version, columns };
}

/** The rows of a chunk that `rowQuery` selected. */
export function decodeRows(chunk: DuckDBDataChunk, table: FollowedTable): Generator<CommittedRow[]> {
  const base = baseDecoder(chunk);
  const typed = table.columns.map((_, index) => chunk.getColumnValues(firstTyped(table) + index));
  const facts = table.key === quarantineKey ? factsOf(chunk) : null;
  return slicesOf(chunk, (row) =>
    base(row, {
      table,
      values: typed.map((values) => columnValue(values[row] ?? null)),
      quarantine: facts?.(row) ?? null,
    }),
  );
}

/** The facts of quarantined rows in a chunk: four columns after the base columns. */
export function factsOf(chunk: DuckDBDataChunk): (row: number) => QuarantineFacts {
  const columns = [0, 1, 2, 3].map((index) => chunk.getColumnValues(baseSelected + index));
  const text = (column: number, row: number) => String(columns[column]?.[row] ?? "");
  return (row) => ({
    reason: text(0, row),
    detail: text(1, row),
    topicId: text(2, row),
    topicVersion: Number(columns[3]?.[row] ?? 0),
  });
}
