import {
  filtersOverlap,
  matchTopicFilter,
  parseTopicFilter,
  type TopicFilter,
} from "../../devices/protocol/topic-filter.ts";
import { TopicMatcher } from "../../devices/protocol/topic-matcher.ts";
import type { TopicCatalog, TopicVersion } from "./topic-catalog.ts";

/** How often topics are looked for again while messages come that were judged by others than those known. */
const REFRESH_INTERVAL_MS = 10_000;

interface Claim {
  readonly filter: TopicFilter;
  readonly topic: TopicVersion;
}

const noClaims: readonly Claim[] = [];

/**
 * Which topic versions may have read the messages of a topic name, by the filters of all versions there ever were. Topics are created,
 * changed and deleted while messages are under way: a first copy may be filed by one topic, and its resend judged by another one.
 */
export class NameReadings {
  readonly #topics: TopicCatalog;
  #size = 0;
  #claims: readonly Claim[] = [];
  #current = new TopicMatcher<TopicVersion>([]);
  #rivals = new Map<TopicVersion, readonly Claim[]>();
  #isBehind = false;
  #refreshedAtMs = Number.NEGATIVE_INFINITY;

  constructor(topics: TopicCatalog) {
    this.#topics = topics;
  }

  /** Versions that are known; they are only ever added. */
  get size(): number {
    this.#learn();
    return this.#size;
  }

  /** False where nothing but this topic's reading can ever have had one of its names: most topics. */
  hasRivals(topic: TopicVersion): boolean {
    this.#learn();
    return this.#rivalsOf(topic).length > 0;
  }

  /** The other readings that may have had this name: of other topics, and of versions of the same one that find id or time elsewhere. */
  others(topic: TopicVersion, topicName: string): readonly TopicVersion[] {
    const found: TopicVersion[] = [];
    for (const claim of this.#rivalsOf(topic)) {
      if (found.some((other) => isSameReading(other, claim.topic))) continue;
      if (matchTopicFilter(claim.filter, topicName)) found.push(claim.topic);
    }
    return found;
  }

  /** Whether the topics as they are known give the name to this reading. If not, those known are to be refreshed. */
  isCurrent(topic: TopicVersion, topicName: string): boolean {
    const owner = this.#current.match(topicName)?.value;
    const isCurrent = owner !== undefined && isSameReading(owner, topic);
    if (!isCurrent) this.#isBehind = true;
    return isCurrent;
  }

  /** Refreshes the catalog if messages came that were judged by other topics than those known; bounded in rate. @param elapsedMs By a clock that never goes back. */
  async refreshIfBehind(elapsedMs: number): Promise<void> {
    if (!this.#isBehind || elapsedMs - this.#refreshedAtMs < REFRESH_INTERVAL_MS) return;
    this.#isBehind = false;
    this.#refreshedAtMs = elapsedMs;
    await this.#topics.refresh();
  }

  #rivalsOf(topic: TopicVersion): readonly Claim[] {
    const known = this.#rivals.get(topic);
    if (known) return known;
    const own = this.#claims.filter((claim) => claim.topic.topicId === topic.topicId);
    const rivals = this.#claims.filter(
      (claim) =>
        claim.topic.format !== "raw" &&
        !isSameReading(claim.topic, topic) &&
        own.some(({ filter }) => filtersOverlap(filter, claim.filter)),
    );
    const found = rivals.length > 0 ? rivals : noClaims;
    this.#rivals.set(topic, found);
    return found;
  }

  #learn(): void {
    if (this.#size === this.#topics.size) return;
    const definitions = this.#topics.definitions();
    this.#size = this.#topics.size;
    this.#rivals = new Map();
    this.#claims = definitions.flatMap((topic) =>
      topic.filter === undefined ? [] : [{ topic, filter: parseTopicFilter(topic.filter) }],
    );
    const latest = new Map<string, Claim>();
    for (const claim of this.#claims)
      if ((latest.get(claim.topic.topicId)?.topic.version ?? 0) < claim.topic.version)
        latest.set(claim.topic.topicId, claim);
    const live = [...latest.values()].filter(({ topic }) => !topic.deleted);
    this.#current = new TopicMatcher(live.map(({ filter, topic }) => [filter, topic]));
  }
}

/** Versions of a topic that find id and time at the same places give the same keys and hashes. */
function isSameReading(left: TopicVersion, right: TopicVersion): boolean {
  return left.topicId === right.topicId && isReadAlike(left, right);
}

/** Both find the same id, event time and payload in a message. */
export function isReadAlike(left: TopicVersion, right: TopicVersion): boolean {
  return left.format === right.format && left.idPath === right.idPath && left.timePath === right.timePath;
}
