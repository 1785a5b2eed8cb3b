import { QUARANTINE } from "./commit-log.ts";
import type { ObjectStore } from "./object-store.ts";
import type { SeedFiles } from "./parquet/seed-reader.ts";

interface TablePaths {
  readonly name: string;
  readonly paths: Set<string>;
}

/** Paths of files to read, by topic id or QUARANTINE. */
export class FileSelection {
  readonly #byKey = new Map<string, TablePaths>();

  /** @param path Relative to the folder of the table `name`. */
  add(key: string, name: string, path: string): void {
    let table = this.#byKey.get(key);
    if (!table) {
      table = { name, paths: new Set() };
      this.#byKey.set(key, table);
    }
    table.paths.add(`${name}/${path}`);
  }

  groups(): SeedFiles[] {
    return [...this.#byKey].map(([key, { paths }]) => ({
      topicId: key === QUARANTINE ? null : key,
      paths: [...paths],
    }));
  }

  /**
   * Drops the files that are gone, and resolves with the keys that had any: their rows live on in other files of the table, or nowhere. The
   * folders of event hours are listed: that costs less than one look at each file.
   */
  async dropGone(store: Pick<ObjectStore, "list">): Promise<string[]> {
    const keys: string[] = [];
    const listed = new Map<string, ReadonlySet<string>>();
    for (const [key, { paths }] of this.#byKey) {
      let hasGone = false;
      for (const path of paths) {
        const folder = path.slice(0, path.lastIndexOf("/") + 1);
        const present = listed.get(folder) ?? (await listFolder(store, folder));
        listed.set(folder, present);
        if (present.has(path)) continue;
        paths.delete(path);
        hasGone = true;
      }
      if (hasGone) keys.push(key);
    }
    return keys;
  }
}

async function listFolder(store: Pick<ObjectStore, "list">, folder: string): Promise<ReadonlySet<string>> {
  const present = new Set<string>();
  for await (const { path } of store.list(folder)) present.add(path);
  return present;
}
