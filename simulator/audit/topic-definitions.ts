import { type LakeFiles, readWhole } from "./lake-files.ts";

const folder = "_topics";
const hourMs = 3_600_000;

/** How far before and after the ingest time an event time may be, ms. */
export interface EventTimeBounds {
  readonly pastMs: number;
  readonly aheadMs: number;
}

/** Of definitions that do not name bounds. */
const standardBounds: EventTimeBounds = { pastMs: 7 * 24 * hourMs, aheadMs: hourMs };

/** A typed column of a topic version. */
export interface DefinedColumn {
  readonly name: string;
  /** `boolean`, `long`, `double`, `string` or `timestamp`. */
  readonly type: string;
}

interface TopicVersion {
  readonly name: string;
  /** In the order of the definition; null if it cannot be read. */
  readonly columns: readonly DefinedColumn[] | null;
  readonly bounds: EventTimeBounds;
}

/** What the lake's definitions of topics say about the rows of their tables. */
export class TopicDefinitions {
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
    const [first, ...others] = this.#ofTable(table).map(
      ({ columns }) => new Set(columns?.map((column) => column.name)),
    );
    return new Set([...(first ?? [])].filter((column) => others.every((columns) => columns.has(column))));
  }

  /** The bounds of all versions of a table: its rows do not say which version judged them. */
  boundsOf(table: string): readonly EventTimeBounds[] {
    const different = new Map(
      this.#ofTable(table).map(({ bounds }) => [`${bounds.pastMs} ${bounds.aheadMs}`, bounds]),
    );
    return different.size > 0 ? [...different.values()] : [standardBounds];
  }

  /** The bounds of one version, which quarantined rows name. */
  boundsOfVersion(topicId: unknown, version: unknown): readonly EventTimeBounds[] {
    const bounds = this.#versions.get(`${folder}/${String(topicId)}/${String(version)}.json`)?.bounds;
    return [bounds ?? standardBounds];
  }

  /** The columns of one version, in order; null if its definition is not known. */
  columnsOfVersion(topicId: unknown, version: unknown): readonly DefinedColumn[] | null {
    return this.#versions.get(`${folder}/${String(topicId)}/${String(version)}.json`)?.columns ?? null;
  }

  #ofTable(table: string): TopicVersion[] {
    return [...this.#versions.values()].filter(({ name }) => name === table);
  }
}

function readVersion(bytes: Buffer | null): TopicVersion {
  try {
    const { name, columns, eventPastMs, eventAheadMs } = JSON.parse(bytes?.toString("utf8") ?? "") as {
      name: string;
      columns: DefinedColumn[];
      eventPastMs?: number;
      eventAheadMs?: number;
    };
    const bounds = {
      pastMs: eventPastMs ?? standardBounds.pastMs,
      aheadMs: eventAheadMs ?? standardBounds.aheadMs,
    };
    return { name, columns: columns.map(({ name: column, type }) => ({ name: column, type })), bounds };
  } catch {
    return { name: "", columns: null, bounds: standardBounds };
  }
}
