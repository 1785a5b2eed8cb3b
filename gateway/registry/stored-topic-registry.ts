import type { TopicRegistry, TopicRule } from "../../broker/index.ts";
import { latestTopics, type RegistryStore } from "./registry-store.ts";

/** The broker's view of the topics, kept in memory and rebuilt when the registry reports a change. */
export class StoredTopicRegistry implements TopicRegistry {
  readonly #listeners: (() => void)[] = [];
  readonly #store: Pick<RegistryStore, "allTopics">;
  #topics: readonly TopicRule[];

  constructor(store: Pick<RegistryStore, "allTopics" | "listen">) {
    this.#store = store;
    this.#topics = rulesOf(store);
    store.listen({
      topicsChanged: () => {
        this.#topics = rulesOf(store);
        for (const listener of this.#listeners) listener();
      },
    });
  }

  topics(): readonly TopicRule[] {
    return this.#topics;
  }

  allFilters(): readonly string[] {
    return [...new Set(this.#store.allTopics().map(({ filter }) => filter))];
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }
}

/** A record has more members than a rule; the broker reads only those of the rule. */
function rulesOf(store: Pick<RegistryStore, "allTopics">): readonly TopicRule[] {
  return latestTopics(store).filter((record) => !record.deleted);
}
