import { quoteName, quoteText } from "../parquet/duckdb.ts";
import { sqlType, type ViewColumn } from "./column-sql.ts";
import type { SnapshotFile } from "./shown-table.ts";
import type { TableSnapshot } from "./table-snapshots.ts";

/** Files of a table whose rows one SELECT reads. */
export interface RowGroup {
  readonly files: readonly Pick<SnapshotFile, "path" | "bytes">[];
  /** The columns that are read from the files. */
  readonly columns: readonly ViewColumn[];
  /** SELECT of the table's columns. `from` is an SQL table or function with `columns`. */
  select(from: string): string;
}

/** A group of files, and the SQL table or function with their rows. */
export interface GroupSource {
  readonly group: RowGroup;
  readonly from: string;
}

/** A view of a table's live rows. Columns and types come from the Delta schema. */
export function createViewSql(snapshot: TableSnapshot, sources: readonly GroupSource[]): string {
  const { fault } = snapshot;
  const selects =
    sources.length === 0 || fault !== null
      ? [emptySelect(snapshot)]
      : sources.map(({ group, from }) => group.select(from));
  return `CREATE OR REPLACE VIEW ${quoteName(snapshot.name)} AS ${selects.join(" UNION ALL ")}`;
}

/** For a table with a fault, the SELECT fails with the fault's text. */
function emptySelect({ columns, fault }: TableSnapshot): string {
  const nulls = columns.map(({ name, type }) => `NULL::${sqlType(type)} AS ${quoteName(name)}`);
  const condition = fault === null ? "false" : `error(${quoteText(fault.message)})::BOOLEAN`;
  return `SELECT ${nulls.join(", ")} WHERE ${condition}`;
}
