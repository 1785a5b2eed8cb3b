import { quarantineKey } from "../commit-log/commit-log.ts";
import type { SeedFiles } from "../parquet/seed-reader.ts";
import type { ObjectStore } from "../stores/object-store.ts";

/** Paths of files to read: of tables, by topic id or quarantineKey, and landing files. */
export class FileSelection {
  readonly #byKey = new Map<string, Set<string>>();
  /** By path: the tables whose rows are wanted, by topic id or quarantineKey. */
  readonly #landing = new Map<string, Set<string>>();

  /** @param path Relative to the folder of the table `name`. */
  add(key: string, name: string, path: string): void {
    added(this.#byKey, key, `${name}/${path}`);
  }

  /** @param path Relative to the lake. */
  addLanding(path: string, keys: Iterable<string>): void {
    for (const key of keys) added(this.#landing, path, key);
  }

  groups(): SeedFiles[] {
    const groups = [...this.#byKey].map(([key, paths]): SeedFiles => {
      const rows =
        key === quarantineKey ? ({ of: "quarantine" } as const) : ({ of: "topic", topicId: key } as const);
      return { rows, paths: [...paths] };
    });
    if (this.#landing.size > 0) groups.push({ rows: { of: "landing" }, paths: [...this.#landing.keys()] });
    return groups;
  }

  /**
   * Drops files that do not exist any more, and resolves with the keys of their tables. Their rows are in
   * other files of the table, or lost. Lists the folders of the files, which costs less than a look-up of each
   * file.
   */
  async dropGone(store: Pick<ObjectStore, "list">): Promise<string[]> {
    const keys = new Set<string>();
    const listed = new Map<string, ReadonlySet<string>>();
    const isPresent = async (path: string) => {
      const folder = path.slice(0, path.lastIndexOf("/") + 1);
      const present = listed.get(folder) ?? (await listFolder(store, folder));
      listed.set(folder, present);
      return present.has(path);
    };
    for (const [key, paths] of this.#byKey)
      for (const path of paths)
        if (!(await isPresent(path))) {
          paths.delete(path);
          keys.add(key);
        }
    for (const [path, ofFile] of this.#landing)
      if (!(await isPresent(path))) {
        this.#landing.delete(path);
        for (const key of ofFile) keys.add(key);
      }
    return [...keys];
  }
}

function added(sets: Map<string, Set<string>>, name: string, value: string): void {
  const set = sets.get(name) ?? new Set();
  set.add(value);
  sets.set(name, set);
}

async function listFolder(store: Pick<ObjectStore, "list">, folder: string): Promise<ReadonlySet<string>> {
  const present = new Set<string>();
  for await (const { path } of store.list(folder)) present.add(path);
  return present;
}
