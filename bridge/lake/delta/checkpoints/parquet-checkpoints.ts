import type { ObjectStore } from "../../stores/object-store.ts";
import type { CheckpointFiles } from "../checkpoint-files.ts";

/** Checkpoints in the format of the Delta protocol. The first use loads DuckDB, see `loadParquet`. */
export function parquetCheckpoints(store: ObjectStore): CheckpointFiles {
  const reader = () => import("./checkpoint-reader.ts");
  const writer = () => import("./checkpoint-writer.ts");
  return {
    head: async (paths) => (await reader()).readCheckpointHead(store, paths),
    eachAdd: async (paths, visit, untilDate) =>
      (await reader()).eachCheckpointAdd(store, paths, { visit, untilDate }),
    eachFile: async (paths, visit) => (await reader()).eachCheckpointFile(store, paths, visit),
    write: async (path, content) => (await writer()).writeCheckpointFile(store, path, content),
  };
}
