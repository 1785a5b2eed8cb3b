import { compareSpecificity, filtersOverlap, parseTopicFilter } from "../../devices/protocol/topic-filter.ts";
import type { TopicDefinition } from "./topic-definition.ts";

export interface PlainOverlap {
  readonly topic: string;
  readonly filter: string;
  readonly plainFilter: string;
  /**
   * Owner of the names that both match (`broker/ingest/topic-rules.ts`). `topic`: neither filter is more
   * specific, which is refused for new topics.
   */
  readonly owner: "plain" | "topic";
}

/**
 * The plain filters that take names from a topic in force, or that are as specific as the topic's filter. The
 * setting may change after topics were created, and gateways that share topics may have different settings.
 * So overlaps are logged at the start, not refused.
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
