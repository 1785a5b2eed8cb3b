import type { TopicRegistry, TopicRule } from "../../broker/index.ts";
import type { RegistryStore } from "./registry-store.ts";

/** The broker's view of the topics, kept in memory and read again when `refresh` says that they changed. */
export class StoredTopicRegistry implements TopicRegistry {
  readonly #store: RegistryStore;
  readonly #listeners: (() => void)[] = [];
  #topics: readonly TopicRule[];

  constructor(store: RegistryStore) {
    this.#store = store;
    this.#topics = rulesOf(store);
  }

  topics(): readonly TopicRule[] {
    return this.#topics;
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  refresh(): void {
    this.#store.refresh();
    this.#topics = rulesOf(this.#store);
    for (const listener of this.#listeners) listener();
  }
}

/** A record says more than a rule needs; the broker reads the rule's part. */
function rulesOf(store: RegistryStore): readonly TopicRule[] {
  return store.latestTopics().filter((record) => !record.deleted);
}
