import type { ObjectStore } from "../object-store.ts";
import type { LackingFile } from "./lacking-commits.ts";

/** Files wait for their table for less than this, unless it was parked or no gateway ran. */
const lateMs = 600_000;

/**
 * Files without those that somebody has deleted meanwhile: another writer's vacuum takes what a table did not show for days, and a table
 * that names a file which is gone can't be read at all. Only files that are late are looked for.
 */
export async function withoutGoneFiles(
  store: Pick<ObjectStore, "list">,
  table: string,
  files: readonly LackingFile[],
  { nowMs, isLate }: { readonly nowMs: number; readonly isLate: boolean },
): Promise<{ files: readonly LackingFile[]; gone: readonly LackingFile[] }> {
  const late = files.filter(({ committedAtMs }) => isLate || Math.abs(nowMs - committedAtMs) > lateMs);
  if (late.length === 0) return { files, gone: [] };
  const present = new Set<string>();
  for (const folder of new Set(late.map(({ path }) => path.slice(0, path.lastIndexOf("/") + 1))))
    for await (const { path } of store.list(`${table}/${folder}`)) present.add(path);
  const gone = new Set(late.filter(({ path }) => !present.has(`${table}/${path}`)));
  return { files: files.filter((file) => !gone.has(file)), gone: [...gone] };
}
