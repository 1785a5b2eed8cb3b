import { compareSpecificity, filtersOverlap, parseTopicFilter } from "../../devices/protocol/topic-filter.ts";
import type { TopicDefinition } from "./topic-definition.ts";

export interface PlainOverlap {
  readonly topic: string;
  readonly filter: string;
  readonly plainFilter: string;
  /** Who has the names that both match (`broker/ingest/topic-rules.ts`). `topic`: neither is more specific, which no new topic may be. */
  readonly owner: "plain" | "topic";
}

/**
 * The plain filters that have names which a topic in force matches as well, or that match just the same names. A setting may be changed
 * after topics were created, and gateways that share topics may differ in it: so this is told at the start, not refused.
 */
export function plainOverlaps(
  topics: readonly Pick<TopicDefinition, "name" | "filter">[],
  plainFilters: readonly string[],
): PlainOverlap[] {
  return topics.flatMap(({ name, filter }) =>
    plainFilters.flatMap((plainFilter): PlainOverlap[] => {
      const [topic, plain] = [parseTopicFilter(filter), parseTopicFilter(plainFilter)];
      const difference = compareSpecificity(topic, plain);
      if (difference > 0 || !filtersOverlap(topic, plain)) return [];
      return [{ topic: name, filter, plainFilter, owner: difference === 0 ? "topic" : "plain" }];
    }),
  );
}
