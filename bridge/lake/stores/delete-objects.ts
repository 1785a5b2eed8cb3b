import type { ObjectStore } from "./object-store.ts";

const parallelMax = 16;

/** Deletes many objects in parallel. One after another, each would wait for its own flush. */
export async function deleteObjects(store: ObjectStore, paths: readonly string[]): Promise<void> {
  for (let start = 0; start < paths.length; start += parallelMax)
    await Promise.all(paths.slice(start, start + parallelMax).map((path) => store.delete(path)));
}

/** Deletes one object after another: while an object exists, all later ones exist, too. */
export async function deleteInOrder(store: ObjectStore, paths: readonly string[]): Promise<void> {
  for (const path of paths) await store.delete(path);
}
