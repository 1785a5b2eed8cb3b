import type { TopicCatalog, TopicVersion } from "../../bridge/topics/topic-catalog.ts";

/** The topic versions that one process knows: those at its start, and at its last refresh. */
export class KnownTopics implements TopicCatalog {
  readonly #all: () => readonly TopicVersion[];
  readonly #ask: <Result>(effect: () => Promise<Result>) => Promise<Result>;
  #known: readonly TopicVersion[];

  /** @param options.ask Resolves when the scheduler says so. */
  constructor(options: {
    all: () => readonly TopicVersion[];
    ask: <Result>(effect: () => Promise<Result>) => Promise<Result>;
  }) {
    this.#all = options.all;
    this.#ask = options.ask;
    this.#known = options.all();
  }

  get size(): number {
    return this.#known.length;
  }

  definitions(): readonly TopicVersion[] {
    return this.#known;
  }

  version(topicId: string, version: number): TopicVersion | undefined {
    return this.#known.find((topic) => topic.topicId === topicId && topic.version === version);
  }

  longestWindowMs(): number {
    return Math.max(...this.#known.map((topic) => topic.dedupeWindowMs));
  }

  exactTopicIds(): ReadonlySet<string> {
    return new Set(this.#known.filter(({ dedupe }) => dedupe === "exact").map(({ topicId }) => topicId));
  }

  async refresh(): Promise<void> {
    await this.#ask(async () => {
      this.#known = this.#all();
    });
  }
}
