import { BridgeError } from "../../errors.ts";
import { quarantineKey } from "../commit-log/commit-log.ts";
import type { Undo } from "./delta-schema.ts";

export interface FaultyTable {
  readonly name: string;
  /** URL of the table's folder. */
  readonly url: string;
  /** The last version to which our rows could be appended; null if unknown. */
  readonly fittingVersion: number | null;
}

/**
 * What to do about a table that cannot be published, or from which rows cannot be removed, with commands for
 * delta-rs (`pip install deltalake`).
 */
export function wayOutOf(error: unknown, table: FaultyTable): string {
  if (!(error instanceof BridgeError)) return "the gateway tries again by itself; its log has the stack";
  if (isUndo(error.details["undo"])) return undoText(error.details["undo"], table);
  if (error.code === "ROWS_UNDATED")
    return `let the writer that made the file write it again with statistics of ingest_time. Or keep the rows for ever: ${endOfRetention(table)}`;
  const { path } = error.details;
  if ((error.code === "LAKE_DAMAGED" || error.code === "TABLE_CONFLICT") && typeof path === "string")
    return `restore ${path} from a copy; the gateway tries again by itself`;
  return "the gateway tries again by itself";
}

function isUndo(value: unknown): value is Undo {
  return typeof value === "object" && value !== null && "kind" in value;
}

function undoText(undo: Undo, table: FaultyTable): string {
  switch (undo.kind) {
    case "drop-constraints": {
      const drops = undo.constraints.map((name) => `t.alter.drop_constraint(${JSON.stringify(name)})`);
      return `drop the constraints, which Tidegate can't check: ${pythonCommand(table, drops)}`;
    }
    case "drop-not-null":
      return `let the column be null: ${pythonCommand(table, [`t.alter.drop_column_not_null(${JSON.stringify(undo.column)})`])}`;
    case "allow-removes":
      return `let rows be removed: ${pythonCommand(table, ['t.alter.set_table_properties({"delta.appendOnly": "false"})'])}. Or keep them for ever: ${endOfRetention(table)}`;
    case "restore":
      return restoreText(table);
    default:
      return undo satisfies never;
  }
}

function endOfRetention({ name }: FaultyTable): string {
  if (name === quarantineKey) return "unset tables.quarantineRetentionMs and restart the gateway";
  return `tidegate topics update ${name} --retain forever`;
}

function restoreText(table: FaultyTable): string {
  const { fittingVersion } = table;
  const back = (version: number | string) =>
    pythonCommand(table, [`t.restore(${version}, protocol_downgrade_allowed=True)`]);
  const kept = "rows that others added since stay in the later versions";
  if (fittingVersion !== null)
    return `go back to version ${fittingVersion}, the last one that accepts Tidegate's rows (${kept}): ${back(fittingVersion)}`;
  return `go back to the last version that accepts Tidegate's rows (t.history() lists the changes; ${kept}): ${back("VERSION")}`;
}

/** A shell command. */
function pythonCommand({ url }: FaultyTable, statements: readonly string[]): string {
  const program = [
    "from deltalake import DeltaTable",
    `t = DeltaTable(${JSON.stringify(url)})`,
    ...statements,
  ];
  return `python3 -c '${program.join("; ").replaceAll("'", "'\\''")}'`;
}
