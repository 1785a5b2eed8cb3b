import type { TopicApi, TopicDefinition } from "./topic-api.ts";

export interface TopicChangeCounts {
  created: number;
  changed: number;
  deleted: number;
}

/**
 * An admin at work while a fleet publishes: creates a topic that takes names from another one, changes it,
 * deletes it, and repeats. One change at a time, so that each applies before the next. `fault` keeps a
 * failure: the run is then not the one that was asked for.
 */
export class TopicChanges {
  readonly counts: TopicChangeCounts = { created: 0, changed: 0, deleted: 0 };
  fault: unknown = null;
  readonly #api: TopicApi;
  #topic: TopicDefinition;
  #step = 0;
  #isBusy = false;
  #last: Promise<void> = Promise.resolve();

  constructor(api: TopicApi, topic: TopicDefinition) {
    this.#api = api;
    this.#topic = topic;
  }

  /** Begins the next change, if the last one is done. */
  next(): void {
    if (this.#isBusy || this.fault !== null) return;
    this.#isBusy = true;
    this.#last = this.#change()
      .catch((error: unknown) => {
        this.fault = error;
      })
      .finally(() => {
        this.#isBusy = false;
      });
  }

  /** Resolves once no change is under way. */
  async settled(): Promise<void> {
    await this.#last;
  }

  async #change(): Promise<void> {
    const step = this.#step++ % 3;
    if (step === 0) {
      await this.#api.create(this.#topic);
      this.counts.created++;
    } else if (step === 1) {
      const changed = withAnotherColumn(this.#topic, this.#step);
      await this.#api.update(changed);
      this.#topic = changed;
      this.counts.changed++;
    } else {
      await this.#api.delete(this.#topic.name);
      this.counts.deleted++;
    }
  }
}

/** Earlier payloads still fit, and existing columns stay, as a table requires. */
function withAnotherColumn(topic: TopicDefinition, number: number): TopicDefinition {
  const properties = (topic.schema?.["properties"] ?? {}) as Readonly<Record<string, unknown>>;
  const added = { [`added_${number}`]: { type: ["number", "null"] } };
  return { ...topic, schema: { type: "object", properties: { ...properties, ...added } } };
}
