import type { CheckpointFiles } from "../delta/checkpoint-files.ts";
import type { ObjectStore } from "../object-store.ts";
import { readCheckpointActions, readCheckpointHead } from "./checkpoint-reader.ts";
import { writeCheckpointFile } from "./checkpoint-writer.ts";

/** Checkpoints as the Delta protocol has them. */
export function parquetCheckpoints(store: ObjectStore): CheckpointFiles {
  return {
    head: (paths) => readCheckpointHead(store, paths),
    actions: (paths, kind) => readCheckpointActions(store, paths, kind),
    write: (path, content) => writeCheckpointFile(store, path, content),
  };
}
