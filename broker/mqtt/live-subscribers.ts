import type { LiveAudience, PublishMessage } from "../ingest/index.ts";
import { FilterTree } from "./filter-tree.ts";
import type { MqttMetrics } from "./mqtt-metrics.ts";

export interface LivePublish {
  readonly cmd: "publish";
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1;
  readonly retain: false;
  readonly dup: false;
}

/** Which telemetry has subscribers. A message without a subscriber never reaches Aedes' emitter. */
export class LiveSubscribers implements LiveAudience {
  readonly #publish: (packet: LivePublish) => void;
  readonly #metrics: MqttMetrics;
  readonly #filters = new FilterTree();

  constructor(options: { publish: (packet: LivePublish) => void; metrics: MqttMetrics }) {
    this.#publish = options.publish;
    this.#metrics = options.metrics;
  }

  added(filter: string): void {
    this.#filters.add(filter);
  }

  removed(filter: string): void {
    this.#filters.remove(filter);
  }

  /**
   * The delivery to make once the message is durable; null if the message has no subscriber. Copies the
   * payload, which is a view into a read chunk.
   */
  prepare(message: PublishMessage): (() => void) | null {
    if (this.#filters.isEmpty || !this.#filters.matches(message.topic)) return null;
    const { topic } = message;
    const payload = Buffer.from(message.payload);
    const qos = message.qos === 0 ? 0 : 1;
    return () => {
      this.#metrics.forwarded += 1;
      this.#publish({ cmd: "publish", topic, payload, qos, retain: false, dup: false });
    };
  }
}
