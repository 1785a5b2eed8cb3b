import type { ObjectStore } from "./object-store.ts";

const parallelMax = 16;

/** Deletes many objects, several at a time: one after another, each would wait for a flush of its own. */
export async function deleteObjects(store: ObjectStore, paths: readonly string[]): Promise<void> {
  for (let start = 0; start < paths.length; start += parallelMax)
    await Promise.all(paths.slice(start, start + parallelMax).map((path) => store.delete(path)));
}

/** Deletes one after another: while an object is there, so are all that come after it. */
export async function deleteInOrder(store: ObjectStore, paths: readonly string[]): Promise<void> {
  for (const path of paths) await store.delete(path);
}
