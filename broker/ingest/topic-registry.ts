/** The part of a topic object that the ingest core needs: it judges only what needs no payload. */
export interface TopicRule {
  readonly topicId: string;
  readonly version: number;
  readonly name: string;
  /**
   * Topic filter with named levels, e.g. `fleet/{device}/telemetry`; see devices/protocol/topic-filter.ts.
   */
  readonly filter: string;
  readonly maxPayloadBytes: number;
  readonly allowedQos: readonly (0 | 1 | 2)[];
  /**
   * Identities that may publish / subscribe: exact names, or prefixes ending in `*`. `["*"]` = every
   * authenticated identity.
   */
  readonly publishers: readonly string[];
  readonly subscribers: readonly string[];
  /** Messages per second that one session may publish on this topic; null = unlimited. */
  readonly messagesPerSecond: number | null;
}

/** PORT: the topics in force. */
export interface TopicRegistry {
  /** All topics that accept publishes now. */
  topics(): readonly TopicRule[];
  /**
   * The filters of all present and former topics: those of deleted topics and of earlier versions are
   * included. Ordinary publish/subscribe does not get their names (see `topic-rules.ts`).
   */
  allFilters(): readonly string[];
  /** Called after each change; the core then asks both again. */
  onChange(listener: () => void): void;
}
