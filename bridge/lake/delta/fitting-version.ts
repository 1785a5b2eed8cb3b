import type { TableColumn } from "../../topics/table-columns.ts";
import type { TableHead } from "./delta-actions.ts";
import { checkAppend } from "./delta-schema.ts";
import type { DeltaState } from "./delta-state.ts";

/** The newest known version to which files with these columns could be appended; null if there is none. */
export function fittingVersion(
  name: string,
  { version, heads }: Pick<DeltaState, "version" | "heads">,
  columns: readonly TableColumn[],
): number | null {
  let last = version;
  for (const head of heads.toReversed()) {
    if (fits(name, head, columns)) return last;
    last = head.version - 1;
  }
  return null;
}

function fits(name: string, head: TableHead, columns: readonly TableColumn[]): boolean {
  try {
    checkAppend(name, head, columns);
    return true;
  } catch {
    return false;
  }
}
