import type { ObjectStore } from "../stores/object-store.ts";

/** Unless a table was parked or no gateway ran, its files become visible in less time. */
const lateMs = 600_000;

/**
 * Splits off files that have been deleted meanwhile. Another writer's vacuum deletes files that a table has
 * not shown for days, and a table that names a missing file is unreadable. Only late files are checked.
 */
export async function withoutGoneFiles<
  File extends { readonly path: string; readonly committedAtMs: number },
>(
  store: Pick<ObjectStore, "list">,
  table: string,
  files: readonly File[],
  { nowMs, isLate }: { readonly nowMs: number; readonly isLate: boolean },
): Promise<{ files: readonly File[]; gone: readonly File[] }> {
  const late = files.filter(({ committedAtMs }) => isLate || Math.abs(nowMs - committedAtMs) > lateMs);
  if (late.length === 0) return { files, gone: [] };
  const present = new Set<string>();
  for (const folder of new Set(late.map(({ path }) => path.slice(0, path.lastIndexOf("/") + 1))))
    for await (const { path } of store.list(`${table}/${folder}`)) present.add(path);
  const gone = new Set(late.filter(({ path }) => !present.has(`${table}/${path}`)));
  return { files: files.filter((file) => !gone.has(file)), gone: [...gone] };
}
