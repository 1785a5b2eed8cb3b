export type ColumnType = "boolean" | "long" | "double" | "string" | "timestamp";

/** A typed column made from a flat scalar field of the topic's JSON Schema. */
export interface TypedColumn {
  readonly name: string;
  readonly type: ColumnType;
}

/** One immutable version of a topic, as far as decoding, deduplication and filing need it. */
export interface TopicVersion {
  readonly topicId: string;
  /** 1, 2, … */
  readonly version: number;
  /** Table folder: `[a-z][a-z0-9_]{0,62}`. */
  readonly name: string;
  readonly format: "envelope" | "json" | "raw";
  /** For `json`: where the id and the event time stand, as dotted paths (`meta.id`). */
  readonly idPath: string;
  readonly timePath: string;
  /** JSON Schema that the payload must satisfy; null = any. Its flat scalar properties are `columns`. */
  readonly schema: Readonly<Record<string, unknown>> | null;
  readonly columns: readonly TypedColumn[];
  /** Topic names that it takes, unless a more specific filter takes them. Absent only in tests. */
  readonly filter?: string;
  /** True for the version that stopped acceptance. */
  readonly deleted?: boolean;
  readonly dedupeWindowMs: number;
  /** For ids of the SDK; absent = "window". "exact", for `envelope` alone: without any limit of time, see `ExactIds`. */
  readonly dedupe?: "window" | "exact";
}

/** PORT: topic versions by id. An unknown one means wait and refresh, never quarantine. */
export interface TopicCatalog {
  /** undefined where it isn't known yet. */
  version(topicId: string, version: number): TopicVersion | undefined;
  /** All versions of all topics, in no order. */
  definitions(): readonly TopicVersion[];
  /** How many these are. */
  readonly size: number;
  /** The longest dedupe window that any version of any topic ever had: how far back seeding looks. */
  longestWindowMs(): number;
  /** Topics of which any version is exact: of these, seeding reads all rows. */
  exactTopicIds(): ReadonlySet<string>;
  /** Reads what has been added since. */
  refresh(): Promise<void>;
}
