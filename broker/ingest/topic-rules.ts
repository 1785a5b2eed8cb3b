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
 * The topics in force, compiled, and who may do what on them and on the plain filters.
 *
 * Topics and plain filters have one precedence: a name belongs to the most specific filter that matches it,
 * and to the topic where both are equally specific (the registry refuses to create such a pair). So a topic
 * `#` leaves `cmd/…` to the plain filter `cmd/#`, and `fleet/{device}/telemetry` is taken from a plain filter
 * `fleet/#`. A topic that was deleted, or whose filter was changed, leaves its names to nobody: ordinary
 * publish/subscribe would acknowledge what devices go on sending, and file it nowhere. Only a plain filter
 * that is at least as specific has them then, since its author meant these names.
 */
export class TopicRules {
  readonly #registry: TopicRegistry;
  readonly #plainFilters: readonly TopicFilter[];
  readonly #plainPublishers: readonly string[];
  #rules: FilteredRule[] = [];
  #matcher = new TopicMatcher<TopicRule | "plain">([]);
  /** Without the topics in force: which plain names are left over. */
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
   * Every message that the filter can ever match must be one that the identity may receive. null identity =
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

  /** False where none of the names that `asked` matches can be the topic's: a plain filter has them all. */
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
 * The level behind a plain filter's literal start, `cmd/<name>`, belongs to that identity; an edge's prefixes
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
