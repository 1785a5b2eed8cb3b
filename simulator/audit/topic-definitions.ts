import { parseTopicFilter } from "../../devices/protocol/topic-filter.ts";
import { type LakeFiles, readWhole } from "./lake-files.ts";
import { type JudgedSpan, type JudgingVersion, versionsInForce } from "./versions-in-force.ts";

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

interface TopicVersion extends JudgingVersion {
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

  /** Versions of topics that may have judged messages of this name within a span of time. */
  inForce(topicName: string, span: JudgedSpan): readonly TopicVersion[] {
    return versionsInForce([...this.#versions.values()], topicName, span);
  }

  /** The columns of one version, in order; null if its definition is not known. */
  columnsOfVersion(topicId: unknown, version: unknown): readonly DefinedColumn[] | null {
    return this.#versions.get(`${folder}/${String(topicId)}/${String(version)}.json`)?.columns ?? null;
  }

  #ofTable(table: string): TopicVersion[] {
    return [...this.#versions.values()].filter(({ name }) => name === table);
  }
}

const unread: TopicVersion = {
  name: "",
  columns: null,
  bounds: standardBounds,
  topicId: "",
  version: 0,
  filter: null,
  isDeleted: false,
  createdAtMs: Number.NEGATIVE_INFINITY,
};

function readVersion(bytes: Buffer | null): TopicVersion {
  try {
    const { name, columns, eventPastMs, eventAheadMs, ...more } = JSON.parse(
      bytes?.toString("utf8") ?? "",
    ) as {
      name: string;
      columns: DefinedColumn[];
      eventPastMs?: number;
      eventAheadMs?: number;
      topicId?: string;
      version?: number;
      filter?: string;
      deleted?: boolean;
      createdAtMs?: number;
    };
    const bounds = {
      pastMs: eventPastMs ?? standardBounds.pastMs,
      aheadMs: eventAheadMs ?? standardBounds.aheadMs,
    };
    return {
      name,
      columns: columns.map(({ name: column, type }) => ({ name: column, type })),
      bounds,
      topicId: String(more.topicId),
      version: Number(more.version ?? 0),
      filter: more.filter === undefined ? null : parseTopicFilter(more.filter),
      isDeleted: more.deleted === true,
      createdAtMs: more.createdAtMs ?? Number.NEGATIVE_INFINITY,
    };
  } catch {
    return unread;
  }
}
