import type { ObjectStore } from "./object-store.ts";

const parallelMax = 16;

/** Deletes many objects, several at a time: one after another, each would wait for a flush of its own. */
export async function deleteObjects(store: ObjectStore, paths: readonly string[]): Promise<void> {
  for (let start = 0; start < paths.length; start += parallelMax)
    await Promise.all(paths.slice(start, start + parallelMax).map((path) => store.delete(path)));
}
