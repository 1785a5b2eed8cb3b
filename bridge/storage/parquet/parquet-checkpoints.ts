import type { CheckpointFiles } from "../delta/checkpoint-files.ts";
import type { ObjectStore } from "../object-store.ts";

/** Checkpoints as the Delta protocol has them. DuckDB is loaded with the first one, see `loadParquet`. */
export function parquetCheckpoints(store: ObjectStore): CheckpointFiles {
  const reader = () => import("./checkpoint-reader.ts");
  const writer = () => import("./checkpoint-writer.ts");
  return {
    head: async (paths) => (await reader()).readCheckpointHead(store, paths),
    eachAdd: async (paths, visit) => (await reader()).eachCheckpointAdd(store, paths, visit),
    eachFile: async (paths, visit) => (await reader()).eachCheckpointFile(store, paths, visit),
    write: async (path, content) => (await writer()).writeCheckpointFile(store, path, content),
  };
}
