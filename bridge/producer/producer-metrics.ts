import { Counter, Gauge, Histogram, type Registry } from "prom-client";

export type RefusalReason = "full" | "too-large" | "closed";

export interface ProducerTotals {
  readonly appendedBlocks: number;
  readonly appendedMessages: number;
  readonly appendedBytes: number;
  readonly retries: number;
  readonly failedBlocks: number;
  /** Accepted messages that were settled with an error. */
  readonly failedMessages: number;
  /** Messages sent to other partitions, because theirs was closed. */
  readonly reroutedMessages: number;
  /** Acknowledged messages that no block claims, because the lane had to take a new id. */
  readonly unclaimedMessages: number;
  readonly droppedQos0: number;
  readonly refusedMessages: number;
}

/** Counters of the producer, for Prometheus and its status. Recorded per block; refusals per message. */
export class ProducerMetrics {
  readonly #blocks: Counter;
  readonly #messages: Counter;
  readonly #bytes: Counter;
  readonly #retries: Counter<"code">;
  readonly #failedBlocks: Counter;
  readonly #failedMessages: Counter;
  readonly #rerouted: Counter;
  readonly #unclaimed: Counter;
  readonly #droppedQos0: Counter;
  readonly #refused: Counter<"reason">;
  readonly #inFlightBytes: Gauge;
  readonly #appendSeconds: Histogram;
  #totals: ProducerTotals = {
    appendedBlocks: 0,
    appendedMessages: 0,
    appendedBytes: 0,
    retries: 0,
    failedBlocks: 0,
    failedMessages: 0,
    reroutedMessages: 0,
    unclaimedMessages: 0,
    droppedQos0: 0,
    refusedMessages: 0,
  };

  constructor(registry: Registry) {
    const named = (name: string, help: string) => ({ name, help, registers: [registry] });
    const counter = (name: string, help: string) => new Counter(named(name, help));
    this.#blocks = counter("tidegate_producer_appended_blocks_total", "Blocks that the stream confirmed.");
    this.#messages = counter("tidegate_producer_appended_messages_total", "Messages in confirmed blocks.");
    this.#bytes = counter("tidegate_producer_appended_bytes_total", "Bytes of confirmed blocks.");
    this.#retries = new Counter({
      ...named("tidegate_producer_retries_total", "Failed appends that are retried, by error code."),
      labelNames: ["code"],
    });
    this.#failedBlocks = counter("tidegate_producer_failed_blocks_total", "Blocks that were given up.");
    this.#failedMessages = counter(
      "tidegate_producer_failed_messages_total",
      "Accepted messages that were given up without an acknowledgement.",
    );
    this.#rerouted = counter(
      "tidegate_producer_rerouted_messages_total",
      "Accepted messages sent to another partition, because theirs was closed.",
    );
    this.#unclaimed = counter(
      "tidegate_producer_unclaimed_messages_total",
      "Acknowledged messages that no block claims. A partition stored no block for half a day, so its producer took a new id.",
    );
    this.#droppedQos0 = counter(
      "tidegate_producer_dropped_qos0_total",
      "QoS 0 messages dropped because the in-flight budget was full.",
    );
    this.#refused = new Counter({
      ...named(
        "tidegate_producer_refused_total",
        "Messages refused at once, by reason: full, too-large or closed.",
      ),
      labelNames: ["reason"],
    });
    this.#inFlightBytes = new Gauge(
      named("tidegate_producer_in_flight_bytes", "Accepted messages that are not durable, in bytes."),
    );
    this.#appendSeconds = new Histogram({
      ...named(
        "tidegate_producer_append_seconds",
        "Time from the first attempt to append a block to its confirmation.",
      ),
      buckets: [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30],
    });
  }

  get totals(): ProducerTotals {
    return this.#totals;
  }

  appended(block: { messages: number; bytes: number; elapsedMs: number }): void {
    this.#blocks.inc();
    this.#messages.inc(block.messages);
    this.#bytes.inc(block.bytes);
    this.#appendSeconds.observe(block.elapsedMs / 1000);
    const { appendedBlocks, appendedMessages, appendedBytes } = this.#totals;
    this.#totals = {
      ...this.#totals,
      appendedBlocks: appendedBlocks + 1,
      appendedMessages: appendedMessages + block.messages,
      appendedBytes: appendedBytes + block.bytes,
    };
  }

  rerouted(messages: number): void {
    this.#rerouted.inc(messages);
    const { reroutedMessages } = this.#totals;
    this.#totals = { ...this.#totals, reroutedMessages: reroutedMessages + messages };
  }

  leftUnclaimed(messages: number): void {
    this.#unclaimed.inc(messages);
    const { unclaimedMessages } = this.#totals;
    this.#totals = { ...this.#totals, unclaimedMessages: unclaimedMessages + messages };
  }

  retried(code: string): void {
    this.#retries.inc({ code });
    this.#totals = { ...this.#totals, retries: this.#totals.retries + 1 };
  }

  failed(messages: number): void {
    this.#failedBlocks.inc();
    this.#failedMessages.inc(messages);
    const { failedBlocks, failedMessages } = this.#totals;
    this.#totals = {
      ...this.#totals,
      failedBlocks: failedBlocks + 1,
      failedMessages: failedMessages + messages,
    };
  }

  droppedQos0(): void {
    this.#droppedQos0.inc();
    this.#totals = { ...this.#totals, droppedQos0: this.#totals.droppedQos0 + 1 };
  }

  refused(reason: RefusalReason): void {
    this.#refused.inc({ reason });
    this.#totals = { ...this.#totals, refusedMessages: this.#totals.refusedMessages + 1 };
  }

  inFlight(bytes: number): void {
    this.#inFlightBytes.set(bytes);
  }
}
