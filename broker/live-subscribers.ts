import {
  matchTopicFilter,
  parseSubscriptionFilter,
  type TopicFilter,
} from "../devices/protocol/topic-filter.ts";
import type { PublishPacket } from "./aedes/aedes-client.ts";
import type { BrokerMetrics } from "./metrics.ts";

export interface LivePublish {
  readonly cmd: "publish";
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1;
  readonly retain: false;
  readonly dup: false;
}

/** Names whose answer is remembered, over all connections. */
const REMEMBERED_NAMES_MAX = 10_000;

/**
 * Which telemetry somebody listens to. What nobody subscribed to costs one look at a counter, and never reaches Aedes' emitter.
 */
export class LiveSubscribers {
  readonly #publish: (packet: LivePublish) => void;
  readonly #metrics: BrokerMetrics;
  readonly #filters = new Map<string, { filter: TopicFilter; count: number }>();
  readonly #names = new Map<string, boolean>();

  constructor(options: { publish: (packet: LivePublish) => void; metrics: BrokerMetrics }) {
    this.#publish = options.publish;
    this.#metrics = options.metrics;
  }

  added(text: string): void {
    const known = this.#filters.get(text);
    if (known) known.count += 1;
    else this.#filters.set(text, { filter: parseSubscriptionFilter(text), count: 1 });
    this.#names.clear();
  }

  removed(text: string): void {
    const known = this.#filters.get(text);
    if (!known) return;
    known.count -= 1;
    if (known.count === 0) this.#filters.delete(text);
    this.#names.clear();
  }

  /** What to do once the message is durable; null where nobody listens. Copies the payload, which is a view into a read chunk. */
  prepare(packet: PublishPacket): (() => void) | null {
    if (this.#filters.size === 0 || !this.#hasSubscriber(packet.topic)) return null;
    const { topic } = packet;
    const payload = Buffer.from(packet.payload);
    const qos = packet.qos === 0 ? 0 : 1;
    return () => {
      this.#metrics.forwarded += 1;
      this.#publish({ cmd: "publish", topic, payload, qos, retain: false, dup: false });
    };
  }

  #hasSubscriber(topicName: string): boolean {
    const known = this.#names.get(topicName);
    if (known !== undefined) return known;
    const found = [...this.#filters.values()].some(
      ({ filter }) => matchTopicFilter(filter, topicName) !== null,
    );
    if (this.#names.size >= REMEMBERED_NAMES_MAX) this.#names.clear();
    this.#names.set(topicName, found);
    return found;
  }
}
