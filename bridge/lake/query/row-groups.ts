import { quoteName } from "../parquet/duckdb.ts";
import { literalSql } from "./column-sql.ts";
import { landedGroups } from "./landed-groups.ts";
import type { SnapshotFile } from "./shown-table.ts";
import type { TableSnapshot } from "./table-snapshots.ts";
import type { RowGroup } from "./table-view.ts";

/** Table files by their partition values, and landing files by the lanes that the table lacks. */
export function rowGroups(snapshot: TableSnapshot): RowGroup[] {
  const files = filesByPartition(snapshot.files).map((each) => fileGroup(snapshot, each));
  return [...files, ...landedGroups(snapshot)];
}

function filesByPartition(files: readonly SnapshotFile[]): SnapshotFile[][] {
  const groups = new Map<string, SnapshotFile[]>();
  for (const file of files) {
    const key = JSON.stringify(Object.entries(file.partitionValues).sort());
    const group = groups.get(key);
    if (group) group.push(file);
    else groups.set(key, [file]);
  }
  return [...groups.values()];
}

/** Partition values come from the Delta log, never from a file or its path. */
function fileGroup({ columns, partitionColumns }: TableSnapshot, files: readonly SnapshotFile[]): RowGroup {
  const values = files[0]?.partitionValues ?? {};
  const isPartition = new Set(partitionColumns);
  return {
    files,
    columns: columns.filter(({ name }) => !isPartition.has(name)),
    select: (from) => {
      const selected = columns.map(({ name, type }) =>
        isPartition.has(name) ? `${literalSql(values[name], type)} AS ${quoteName(name)}` : quoteName(name),
      );
      return `SELECT ${selected.join(", ")} FROM ${from}`;
    },
  };
}
