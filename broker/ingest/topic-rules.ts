import {
  compareSpecificity,
  filterCovers,
  filtersOverlap,
  parseSubscriptionFilter,
  parseTopicFilter,
  type TopicFilter,
} from "../../devices/protocol/topic-filter.ts";
import { type TopicMatch, TopicMatcher } from "../../devices/protocol/topic-matcher.ts";
import type { Identity } from "./device-registry.ts";
import type { TopicRegistry, TopicRule } from "./topic-registry.ts";

interface FilteredRule {
  readonly filter: TopicFilter;
  readonly rule: TopicRule;
}

export type Owner =
  | { readonly kind: "topic"; readonly match: TopicMatch<TopicRule> }
  | { readonly kind: "plain" }
  /** No filter matches, or that of a deleted topic. */
  | { readonly kind: "none" };

/**
 * The compiled topics, and who may do what on them and on the plain filters.
 *
 * Topics and plain filters share one precedence: a name belongs to the most specific filter that matches it.
 * If both are equally specific, the name belongs to the topic (the registry refuses to create such a pair).
 * So a topic `#` leaves `cmd/…` to the plain filter `cmd/#`, and `fleet/{device}/telemetry` is taken from a
 * plain filter `fleet/#`.
 *
 * Names of a deleted topic, or of a changed filter, belong to no one. Ordinary publish/subscribe would
 * acknowledge the messages that devices still send, and file none. Only a plain filter that is at least as
 * specific gets such names, because its author meant them.
 */
export class TopicRules {
  readonly #registry: TopicRegistry;
  readonly #plainFilters: readonly TopicFilter[];
  readonly #plainPublishers: readonly string[];
  #rules: FilteredRule[] = [];
  #matcher = new TopicMatcher<TopicRule | "plain">([]);
  /** The plain names that remain, ignoring the topics in force. */
  #leftOver = new TopicMatcher<"plain" | "closed">([]);
  /** Rises with each change; decisions made under an older one are void. */
  generation = 0;

  constructor(registry: TopicRegistry, plain: { filters: readonly string[]; publishers: readonly string[] }) {
    this.#registry = registry;
    this.#plainFilters = plain.filters.map(parseTopicFilter);
    this.#plainPublishers = plain.publishers;
    this.#rebuild();
    registry.onChange(() => this.#rebuild());
  }

  ownerOf(topicName: string): Owner {
    const match = this.#matcher.match(topicName);
    if (!match) return { kind: "none" };
    if (match.value !== "plain") return { kind: "topic", match: { ...match, value: match.value } };
    return { kind: this.#leftOver.match(topicName)?.value === "plain" ? "plain" : "none" };
  }

  mayPublishPlain(identity: Identity | null): boolean {
    return identity === null || isNamed(identity.name, this.#plainPublishers);
  }

  /**
   * The identity must be allowed to receive every message that the filter can ever match. null identity =
   * anonymous loopback.
   */
  maySubscribe(identity: Identity | null, text: string): boolean {
    if (text.startsWith("$")) return false;
    if (identity === null) return true;
    const filter = parseSubscriptionFilter(text);
    const rules = this.#rules.filter((candidate) => this.#mayOwn(candidate.filter, filter));
    if (!rules.every(({ rule }) => isNamed(identity.name, rule.subscribers))) return false;
    const plain = this.#plainFilters.filter((candidate) => filtersOverlap(candidate, filter));
    if (plain.length === 0) return rules.length > 0;
    return isNamed(identity.name, this.#plainPublishers) || isOwnBranch(identity, filter, plain);
  }

  /** Asked again for each delivery: topics come and go while subscriptions stay. */
  mayReceive(identity: Identity | null, topicName: string): boolean {
    if (topicName.startsWith("$")) return false;
    if (identity === null) return true;
    const owner = this.ownerOf(topicName);
    return owner.kind !== "topic" || isNamed(identity.name, owner.match.value.subscribers);
  }

  /** False if no name that `asked` matches can belong to the topic, because a plain filter has them all. */
  #mayOwn(topic: TopicFilter, asked: TopicFilter): boolean {
    const isPlain = this.#plainFilters.some(
      (plain) => compareSpecificity(plain, topic) > 0 && filterCovers(plain, asked),
    );
    return !isPlain && filtersOverlap(topic, asked);
  }

  #rebuild(): void {
    this.#rules = this.#registry.topics().map((rule) => ({ filter: parseTopicFilter(rule.filter), rule }));
    const plain = this.#plainFilters.map((filter) => [filter, "plain"] as const);
    const topics = this.#rules.map(({ filter, rule }) => [filter, rule] as const);
    const closed = this.#registry.allFilters().map((text) => [parseTopicFilter(text), "closed"] as const);
    // Of equally specific filters the first one counts.
    this.#matcher = new TopicMatcher<TopicRule | "plain">([...topics, ...plain]);
    this.#leftOver = new TopicMatcher<"plain" | "closed">([...plain, ...closed]);
    this.generation += 1;
  }
}

/** Names, or prefixes that end in `*`. */
export function isNamed(name: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) =>
    pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern,
  );
}

/**
 * The level after a plain filter's literal start, `cmd/<name>`, belongs to that identity; an edge's prefixes
 * belong to it as well.
 */
function isOwnBranch(identity: Identity, filter: TopicFilter, plain: readonly TopicFilter[]): boolean {
  const asked = filter.levels.map((level) => (level.kind === "literal" ? level.text : null));
  return plain.every(({ levels }) => {
    const start = levels.findIndex(({ kind }) => kind !== "literal");
    const owner = start < 0 ? null : asked[start];
    if (owner === identity.name) return true;
    return (
      identity.role === "edge" &&
      identity.topicPrefixes.some((prefix) => asked.slice(start).join("/").startsWith(prefix))
    );
  });
}
