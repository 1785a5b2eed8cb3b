import {
  filtersOverlap,
  parseSubscriptionFilter,
  parseTopicFilter,
  type TopicFilter,
} from "../devices/protocol/topic-filter.ts";
import { type TopicMatch, TopicMatcher } from "../devices/protocol/topic-matcher.ts";
import type { Identity } from "./device-registry.ts";
import type { TopicRegistry, TopicRule } from "./topic-registry.ts";

interface FilteredRule {
  readonly filter: TopicFilter;
  readonly rule: TopicRule;
}

/** The topics in force, compiled, and who may do what on them and on the plain filters. */
export class TopicRules {
  readonly #registry: TopicRegistry;
  readonly #plainFilters: readonly TopicFilter[];
  readonly #plainPublishers: readonly string[];
  #rules: FilteredRule[] = [];
  #matcher = new TopicMatcher<TopicRule>([]);
  #plain: TopicMatcher<true>;
  /** Rises with each change; decisions made under an older one are void. */
  generation = 0;

  constructor(registry: TopicRegistry, plain: { filters: readonly string[]; publishers: readonly string[] }) {
    this.#registry = registry;
    this.#plainFilters = plain.filters.map(parseTopicFilter);
    this.#plainPublishers = plain.publishers;
    this.#plain = new TopicMatcher(this.#plainFilters.map((filter) => [filter, true]));
    this.#rebuild();
    registry.onChange(() => this.#rebuild());
  }

  match(topicName: string): TopicMatch<TopicRule> | null {
    return this.#matcher.match(topicName);
  }

  isPlain(topicName: string): boolean {
    return this.#plain.match(topicName) !== null;
  }

  mayPublishPlain(identity: Identity | null): boolean {
    return identity === null || isNamed(identity.name, this.#plainPublishers);
  }

  /** Every message that the filter can ever match must be one that the identity may receive. null identity = anonymous loopback. */
  maySubscribe(identity: Identity | null, text: string): boolean {
    if (text.startsWith("$")) return false;
    if (identity === null) return true;
    const filter = parseSubscriptionFilter(text);
    const rules = this.#rules.filter((candidate) => filtersOverlap(candidate.filter, filter));
    if (!rules.every(({ rule }) => isNamed(identity.name, rule.subscribers))) return false;
    const plain = this.#plainFilters.filter((candidate) => filtersOverlap(candidate, filter));
    if (plain.length === 0) return rules.length > 0;
    return isNamed(identity.name, this.#plainPublishers) || isOwnBranch(identity, filter, plain);
  }

  /** Asked again for each delivery: topics come and go while subscriptions stay. */
  mayReceive(identity: Identity | null, topicName: string): boolean {
    if (topicName.startsWith("$")) return false;
    if (identity === null) return true;
    const rule = this.match(topicName)?.value;
    return rule === undefined || isNamed(identity.name, rule.subscribers);
  }

  #rebuild(): void {
    this.#rules = this.#registry.topics().map((rule) => ({ filter: parseTopicFilter(rule.filter), rule }));
    this.#matcher = new TopicMatcher(this.#rules.map(({ filter, rule }) => [filter, rule]));
    this.generation += 1;
  }
}

/** Names, or prefixes that end in `*`. */
export function isNamed(name: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) =>
    pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern,
  );
}

/** The level behind a plain filter's literal start, `cmd/<name>`, belongs to that identity; an edge's prefixes belong to it as well. */
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
