import {
  filtersOverlap,
  matchTopicFilter,
  parseTopicFilter,
  type TopicFilter,
} from "../../devices/protocol/topic-filter.ts";
import { TopicMatcher } from "../../devices/protocol/topic-matcher.ts";
import { decoderOf } from "../decoders/decoders.ts";
import type { TopicCatalog, TopicVersion } from "../topics/topic-catalog.ts";

/** Shortest time between refreshes of the catalog. */
const refreshIntervalMs = 10_000;

interface Claim {
  readonly filter: TopicFilter;
  readonly topic: TopicVersion;
}

const noClaims: readonly Claim[] = [];

/**
 * Which topic versions may have read the messages of a topic name, by the filters of all versions, old ones
 * included. Topics change while messages are under way: one topic may file a first copy, and another one
 * judge its resend.
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

  /** Number of known versions. It only grows. */
  get size(): number {
    this.#learn();
    return this.#size;
  }

  /** False if no other reading can have had a topic name of this topic, as for most topics. */
  hasRivals(topic: TopicVersion): boolean {
    this.#learn();
    return this.#rivalsOf(topic).length > 0;
  }

  /**
   * Other readings that may have had this topic name: other topics, and versions of the same topic that find
   * id or time at another place.
   */
  others(topic: TopicVersion, topicName: string): readonly TopicVersion[] {
    const found: TopicVersion[] = [];
    for (const claim of this.#rivalsOf(topic)) {
      if (found.some((other) => isSameReading(other, claim.topic))) continue;
      if (matchTopicFilter(claim.filter, topicName)) found.push(claim.topic);
    }
    return found;
  }

  /**
   * True if the known topics give the topic name to this reading. If not, `refreshIfBehind` refreshes the
   * catalog.
   */
  isCurrent(topic: TopicVersion, topicName: string): boolean {
    const owner = this.#current.match(topicName)?.value;
    const isCurrent = owner !== undefined && isSameReading(owner, topic);
    if (!isCurrent) this.#isBehind = true;
    return isCurrent;
  }

  /**
   * Refreshes the catalog if messages were judged by topics that the known ones do not explain, at most
   * every 10 s.
   * @param elapsedMs Of a clock that never goes back.
   */
  async refreshIfBehind(elapsedMs: number): Promise<void> {
    if (!this.#isBehind || elapsedMs - this.#refreshedAtMs < refreshIntervalMs) return;
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
        decoderOf(claim.topic).hasIds &&
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

/**
 * True for versions of one topic that find id and time at the same places: their keys and hashes are equal.
 */
function isSameReading(left: TopicVersion, right: TopicVersion): boolean {
  return left.topicId === right.topicId && isReadAlike(left, right);
}

/** True if both find the same id, event time and payload in a message. */
export function isReadAlike(left: TopicVersion, right: TopicVersion): boolean {
  return left.format === right.format && left.idPath === right.idPath && left.timePath === right.timePath;
}
