import type { TopicVersion } from "../../bridge/topics/topic-catalog.ts";

/** A json topic without a schema, for tests that need some of its fields. */
export function topicVersion(changes: Partial<TopicVersion> = {}): TopicVersion {
  return {
    topicId: "t1",
    version: 1,
    name: "telemetry",
    format: "json",
    idPath: "id",
    timePath: "ts",
    schema: null,
    columns: [],
    dedupeWindowMs: 3_600_000,
    ...changes,
  };
}
