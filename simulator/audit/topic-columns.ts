import { type LakeFiles, readWhole } from "./lake-files.ts";

const folder = "_topics";

interface TopicVersion {
  readonly name: string;
  readonly columns: ReadonlySet<string>;
}

/** The typed columns of the topics that the lake knows, by their definitions. */
export class TopicColumns {
  readonly #lake: LakeFiles;
  readonly #versions = new Map<string, TopicVersion>();

  constructor(lake: LakeFiles) {
    this.#lake = lake;
  }

  /** Reads new definitions. Unreadable ones are skipped: the audit then knows less for sure. */
  async refresh(): Promise<void> {
    for (const id of await this.#lake.list(folder))
      for (const name of await this.#lake.list(`${folder}/${id}`)) {
        const path = `${folder}/${id}/${name}`;
        if (this.#versions.has(path) || !/^\d+\.json$/.test(name)) continue;
        this.#versions.set(path, readVersion(await readWhole(this.#lake, path)));
      }
  }

  /** Columns that each version of the topics of a table has. */
  inEachVersion(table: string): ReadonlySet<string> {
    const versions = [...this.#versions.values()].filter(({ name }) => name === table);
    const [first, ...others] = versions.map(({ columns }) => columns);
    return new Set([...(first ?? [])].filter((column) => others.every((columns) => columns.has(column))));
  }
}

function readVersion(bytes: Buffer | null): TopicVersion {
  try {
    const { name, columns } = JSON.parse(bytes?.toString("utf8") ?? "") as {
      name: string;
      columns: { name: string }[];
    };
    return { name, columns: new Set(columns.map((column) => column.name)) };
  } catch {
    return { name: "", columns: new Set() };
  }
}
