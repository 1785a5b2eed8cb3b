import type { TopicVersion } from "../../bridge/topics/topic-catalog.ts";
import type { SeededRandom } from "./seeded-random.ts";

const base = { format: "json", idPath: "id", timePath: "ts", schema: null, columns: [] } as const;
const levels = ["data", "other"];

const general: TopicVersion = {
  ...base,
  topicId: "topic-d",
  version: 1,
  name: "delta",
  filter: "plant/{device}/#",
  dedupeWindowMs: 40_000,
};

function special(version: number, level: string, deleted: boolean): TopicVersion {
  const filter = `plant/{device}/${level}`;
  return { ...base, topicId: "topic-e", version, name: "epsilon", filter, deleted, dedupeWindowMs: 20_000 };
}

/** Ids of topics that take topic names from each other. */
export const movingTopicIds = [general.topicId, "topic-e"];

/**
 * A general topic, and a more specific one that is created, changed and deleted while messages are under way.
 */
export class MovingTopics {
  readonly #random: SeededRandom;
  readonly #versions: TopicVersion[] = [general];
  /** Number of versions that each broker knows. */
  readonly #known = [1, 1];

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** All versions so far; the lake has each of them before a broker does. */
  get versions(): readonly TopicVersion[] {
    return this.#versions;
  }

  /** An admin changes the specific topic, or a broker learns of changes. */
  change(): void {
    const random = this.#random;
    const last = this.#versions.at(-1) as TopicVersion;
    if (random.chance(0.5)) {
      this.#known[random.below(this.#known.length)] = this.#versions.length;
      return;
    }
    const isLive = last !== general && !last.deleted;
    const { version } = last === general ? { version: 0 } : last;
    if (isLive && random.chance(0.5)) this.#versions.push({ ...last, version: version + 1, deleted: true });
    else this.#versions.push(special(version + 1, random.pick(levels), false));
  }

  nameOf(deviceId: string): string {
    return `plant/${deviceId}/${this.#random.pick(levels)}`;
  }

  /** The topic by which a broker judges the name; one of two brokers may know less. */
  topicOf(topicName: string): TopicVersion {
    const known = this.#versions.slice(0, this.#random.pick(this.#known));
    const last = known.at(-1) as TopicVersion;
    const isTaken =
      last !== general && !last.deleted && last.filter?.split("/")[2] === topicName.split("/")[2];
    return isTaken ? last : general;
  }
}
