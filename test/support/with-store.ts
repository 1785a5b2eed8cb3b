import type { ObjectStore } from "../../bridge/lake/stores/object-store.ts";

/** The store with some of its calls replaced. */
export function withStore(store: ObjectStore, changes: Partial<ObjectStore>): ObjectStore {
  return {
    url: store.url,
    stagingFolder: store.stagingFolder,
    copyMaxBytes: store.copyMaxBytes,
    get: (path) => store.get(path),
    put: (path, bytes) => store.put(path, bytes),
    putIfAbsent: (path, bytes) => store.putIfAbsent(path, bytes),
    importFile: (file, path) => store.importFile(file, path),
    localCopies: (paths) => store.localCopies(paths),
    list: (prefix, options) => store.list(prefix, options),
    delete: (path) => store.delete(path),
    removeLeftovers: () => store.removeLeftovers(),
    now: () => store.now(),
    freeBytes: () => store.freeBytes(),
    ...changes,
  };
}
