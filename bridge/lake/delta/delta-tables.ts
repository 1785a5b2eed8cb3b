import type { ObjectStore } from "../stores/object-store.ts";
import type { CheckpointFiles } from "./checkpoint-files.ts";
import { DeltaTable } from "./delta-table.ts";

export interface DeltaTablesOptions {
  readonly store: ObjectStore;
  readonly now?: () => number;
  readonly checkpointEntries?: number;
  readonly logRetentionMs?: number;
  readonly checkpoints?: CheckpointFiles;
  readonly readAhead?: number;
}

/** The Delta tables that one publisher has opened, by name. */
export class DeltaTables {
  readonly #options: DeltaTablesOptions;
  readonly #byName = new Map<string, DeltaTable>();

  constructor(options: DeltaTablesOptions) {
    this.#options = options;
  }

  named(name: string): DeltaTable {
    let table = this.#byName.get(name);
    if (!table) {
      const {
        store,
        now = Date.now,
        checkpointEntries,
        logRetentionMs,
        checkpoints,
        readAhead,
      } = this.#options;
      table = new DeltaTable(store, name, {
        now,
        ...(checkpointEntries !== undefined && { entriesPerCheckpoint: checkpointEntries }),
        ...(logRetentionMs !== undefined && { logRetentionMs }),
        ...(checkpoints && { checkpoints }),
        ...(readAhead !== undefined && { readAhead }),
      });
      this.#byName.set(name, table);
    }
    return table;
  }

  opened(): Iterable<DeltaTable> {
    return this.#byName.values();
  }
}
