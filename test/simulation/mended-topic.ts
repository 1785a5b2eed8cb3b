import type { TopicVersion } from "../../bridge/topics/topic-catalog.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { SentMessage } from "./sent-message.ts";

/** A payload that a strict version refuses and a lax one accepts. */
const refusedPart = '"v":"text"';
const strictSchema = { type: "object", properties: { v: { type: "number" } } };

/** A topic whose admin narrows the schema and mends it again while messages are under way. */
export class MendedTopic {
  readonly #random: SeededRandom;
  readonly #versions: TopicVersion[];
  /** Number of versions that each broker knows. */
  readonly #known = [1, 1];

  constructor(first: TopicVersion, random: SeededRandom) {
    this.#versions = [first];
    this.#random = random;
  }

  /** All versions so far; the lake has each of them before a broker does. */
  get versions(): readonly TopicVersion[] {
    return this.#versions;
  }

  /** The admin changes the schema, or a broker learns of changes. */
  change(): void {
    const random = this.#random;
    if (random.chance(0.6)) {
      this.#known[random.below(this.#known.length)] = this.#versions.length;
      return;
    }
    const last = this.#versions.at(-1) as TopicVersion;
    const schema = last.schema === null ? strictSchema : null;
    this.#versions.push({ ...last, version: last.version + 1, schema });
  }

  /** A payload field that matches or violates the schema. */
  field(): string {
    return this.#random.chance(0.4) ? refusedPart : '"v":1';
  }

  /** The version by which a broker accepts it now; one of two brokers may know less. */
  judged(message: Omit<SentMessage, "topic">): SentMessage {
    const topic = this.#versions[this.#random.pick(this.#known) - 1] as TopicVersion;
    const isRefused = topic.schema !== null && message.payload.includes(refusedPart);
    return { ...message, topic, fault: isRefused ? "schema-violated" : null };
  }
}
