import { FilterTree } from "../filter-tree.ts";

export interface RetainedMessage {
  readonly topic: string;
  readonly payload: Uint8Array | string;
}

/**
 * The retained message of each topic name. A SUBSCRIBE finds its messages in one pass over the names, however
 * many filters it has. Aedes' own store tries each filter on each name.
 */
export class RetainedMessages {
  readonly #namesMax: number;
  readonly #messages = new Map<string, RetainedMessage>();

  constructor(namesMax: number) {
    this.#namesMax = namesMax;
  }

  /**
   * An empty message removes [MQTT-3.3.1-10]. False if the message is not kept, because there are too many.
   */
  store(message: RetainedMessage): boolean {
    const { topic, payload } = message;
    if (payload.length === 0) this.#messages.delete(topic);
    else if (!this.#messages.has(topic) && this.#messages.size >= this.#namesMax) return false;
    else this.#messages.set(topic, { ...message });
    return true;
  }

  /** Those that one filter at least matches, each once [MQTT-3.3.1-6]. */
  matching(filters: readonly string[]): RetainedMessage[] {
    if (this.#messages.size === 0) return [];
    const tree = new FilterTree();
    for (const filter of filters) tree.add(filter);
    return [...this.#messages.values()].filter(({ topic }) => tree.matches(topic));
  }
}
