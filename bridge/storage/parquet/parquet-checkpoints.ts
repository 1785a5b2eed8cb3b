import type { CheckpointFiles } from "../delta/checkpoint-files.ts";
import type { ObjectStore } from "../object-store.ts";
import { eachCheckpointFile, readCheckpointAdds, readCheckpointHead } from "./checkpoint-reader.ts";
import { writeCheckpointFile } from "./checkpoint-writer.ts";

/** Checkpoints as the Delta protocol has them. */
export function parquetCheckpoints(store: ObjectStore): CheckpointFiles {
  return {
    head: (paths) => readCheckpointHead(store, paths),
    adds: (paths) => readCheckpointAdds(store, paths),
    eachFile: (paths, visit) => eachCheckpointFile(store, paths, visit),
    write: (path, content) => writeCheckpointFile(store, path, content),
  };
}
