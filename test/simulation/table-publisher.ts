import type { CommitLog } from "../../bridge/storage/commit-log.ts";
import type { ObjectStore } from "../../bridge/storage/object-store.ts";
import type { TablePublisher } from "../../bridge/storage/seed-source.ts";

/** One entry of a simulated table's log: everything that commits up to `txn` added since the entry before. */
export interface TableEntry {
  readonly txn: number;
  readonly paths: readonly string[];
}

export function tableEntryPath(name: string, number: number): string {
  return `${name}/_delta_log/${String(number).padStart(20, "0")}.json`;
}

/** Publishes like the Delta publisher, without Delta's format: an entry created only if absent, idempotent by its txn. */
export class JsonTablePublisher implements TablePublisher {
  readonly #store: ObjectStore;
  readonly #commitLog: CommitLog;

  constructor(store: ObjectStore, commitLog: CommitLog) {
    this.#store = store;
    this.#commitLog = commitLog;
  }

  async publishPending(): Promise<{ published: number }> {
    const lake = await this.#commitLog.load();
    let published = 0;
    for (const [key, table] of lake.tables) {
      while (!(await this.#isPublished(key, table.name, table.lastCommit))) published += 1;
    }
    return { published };
  }

  /** One try; false where it has to be looked at again. */
  async #isPublished(key: string, name: string, lastCommit: number): Promise<boolean> {
    let next = 0;
    let txn = 0;
    for (;;) {
      const bytes = await this.#store.get(tableEntryPath(name, next));
      if (bytes === null) break;
      txn = (JSON.parse(Buffer.from(bytes).toString()) as TableEntry).txn;
      next += 1;
    }
    if (txn >= lastCommit) return true;
    const paths: string[] = [];
    for (let number = txn + 1; number <= lastCommit; number++) {
      const entry = await this.#commitLog.entry(number);
      for (const add of entry?.tables[key]?.adds ?? []) paths.push(add.path);
    }
    const entry: TableEntry = { txn: lastCommit, paths };
    await this.#store.putIfAbsent(tableEntryPath(name, next), Buffer.from(JSON.stringify(entry)));
    return false;
  }
}
