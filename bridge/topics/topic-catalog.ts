export type ColumnType = "boolean" | "long" | "double" | "string" | "timestamp";

/** A typed column, made from a flat scalar property of the topic's JSON Schema. */
export interface TypedColumn {
  readonly name: string;
  readonly type: ColumnType;
}

/** One immutable version of a topic, with the fields that decoding, deduplication and filing need. */
export interface TopicVersion {
  readonly topicId: string;
  /** 1, 2, … */
  readonly version: number;
  /** Name of the table and its folder: `[a-z][a-z0-9_]{0,62}`. */
  readonly name: string;
  /** Name of a decoder: `bridge/decoders/decoders.ts`. */
  readonly format: string;
  /** Dotted paths to id and event time (`meta.id`), for formats that use paths; otherwise empty. */
  readonly idPath: string;
  readonly timePath: string;
  /** JSON Schema that the payload must satisfy; null = any. Its flat scalar properties are `columns`. */
  readonly schema: Readonly<Record<string, unknown>> | null;
  readonly columns: readonly TypedColumn[];
  /** The MQTT filter of the topic names, unless a more specific filter matches them. Absent only in tests. */
  readonly filter?: string;
  /** True for the version that deleted the topic. */
  readonly deleted?: boolean;
  readonly dedupeWindowMs: number;
  /**
   * For ids of the SDK; absent = "window". "exact" has no limit of time and is for `envelope` only, see
   * `ExactIds`.
   */
  readonly dedupe?: "window" | "exact";
  /**
   * How far before and after the ingest time an event time may be, ms; absent = the default. Rows beyond are
   * flagged and filed by their ingest time: `event-time-bounds.ts`.
   */
  readonly eventPastMs?: number;
  readonly eventAheadMs?: number;
  /**
   * How long rows stay in the topic's table after the end of their event hour, ms; absent = for ever. The newest
   * version of the topic counts.
   */
  readonly retentionMs?: number;
}

/**
 * PORT: topic versions by id. A partition with an unknown version waits for a refresh; its messages are
 * never quarantined.
 */
export interface TopicCatalog {
  /** undefined if the version is unknown so far. */
  version(topicId: string, version: number): TopicVersion | undefined;
  /** All versions of all topics, in no particular order. */
  definitions(): readonly TopicVersion[];
  /** Number of all versions. */
  readonly size: number;
  /** The longest dedupe window of all versions, in ms: seeding reads that far back. */
  longestWindowMs(): number;
  /** Ids of topics with an exact version: seeding reads all of their rows. */
  exactTopicIds(): ReadonlySet<string>;
  /** Reads versions that were added since the last call. */
  refresh(): Promise<void>;
}
