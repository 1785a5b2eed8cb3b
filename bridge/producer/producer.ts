import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { fitsEmptyBlock } from "../block/block-builder.ts";
import { type BlockMessage, MAX_BLOCK_BYTES } from "../block/block-format.ts";
import { BridgeError, type BridgeErrorCode } from "../errors.ts";
import type { StreamLog } from "../streams/stream-log.ts";
import { InFlightBudget } from "./in-flight-budget.ts";
import { inFlightBytesOf, type Settled } from "./open-block.ts";
import { partitionOfDevice } from "./partition-of-device.ts";
import { type ProducerClock, systemClock } from "./producer-clock.ts";
import type { ProducerConfig } from "./producer-config.ts";
import { type LaneStatus, ProducerLane } from "./producer-lane.ts";
import { ProducerMetrics, type ProducerTotals, type RefusalReason } from "./producer-metrics.ts";

/** Publishers that were told to stop may have this much more under way, as a multiple of the budget; beyond it all is refused. */
const hardLimitFactor = 2;

export interface ProducerOptions {
  readonly stream: Pick<StreamLog, "streamId" | "partitionCount" | "append">;
  readonly config: ProducerConfig;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly clock?: ProducerClock;
  readonly random?: () => number;
}

export interface ProducerStatus {
  readonly inFlightBytes: number;
  readonly isFull: boolean;
  readonly totals: ProducerTotals;
  readonly lanes: readonly LaneStatus[];
}

/**
 * Packs accepted messages into blocks and appends them: the broker's sink. `accept` never throws and never blocks; it calls `settled`
 * exactly once, later than its own return, without an error only once the message is durable in the stream (G1). Messages of one
 * device settle in the order they were accepted (G5).
 */
export interface Producer {
  accept(message: BlockMessage, settled: Settled): void;
  /** True while the in-flight budget is used up: publishers should wait until `onDrain`. QoS 0 is dropped meanwhile. */
  readonly isFull: boolean;
  /** Registers the one listener that is told when a full producer has room again. */
  onDrain(listener: () => void): void;
  /** Appends what was accepted so far without waiting for more; resolves once all of it is settled, either way. */
  flush(): Promise<void>;
  /** Refuses new messages, flushes, and lets the stream know what was acknowledged. Takes up to the deadline where the stream fails. */
  close(): Promise<void>;
  status(): ProducerStatus;
}

export function createProducer(options: ProducerOptions): Producer {
  return new BlockProducer(options);
}

class BlockProducer implements Producer {
  readonly #lanes: readonly ProducerLane[];
  readonly #budget: InFlightBudget;
  readonly #metrics: ProducerMetrics;
  readonly #clock: ProducerClock;
  readonly #lingerMs: number;
  readonly #hardLimitBytes: number;
  #cancelLinger: (() => void) | undefined;
  #isClosed = false;

  constructor(options: ProducerOptions) {
    const { stream, config, logger } = options;
    this.#clock = options.clock ?? systemClock;
    this.#lingerMs = config.lingerMs;
    this.#budget = new InFlightBudget(config.inFlightMaxBytes);
    this.#hardLimitBytes = config.inFlightMaxBytes * hardLimitFactor;
    this.#metrics = new ProducerMetrics(options.registry);
    this.#lanes = Array.from(
      { length: stream.partitionCount },
      (_, partition) =>
        new ProducerLane({
          partition,
          stream,
          config,
          logger,
          clock: this.#clock,
          random: options.random ?? Math.random,
          metrics: this.#metrics,
          release: (bytes) => this.#release(bytes),
        }),
    );
  }

  get isFull(): boolean {
    return this.#budget.isFull;
  }

  onDrain(listener: () => void): void {
    this.#budget.onDrain(listener);
  }

  accept(message: BlockMessage, settled: Settled): void {
    const refusal = this.#refusal(message);
    if (refusal) {
      queueMicrotask(() => settled(refusal));
      return;
    }
    this.#budget.take(inFlightBytesOf(message));
    const lane = this.#lanes[partitionOfDevice(message.deviceId, this.#lanes.length)];
    lane?.accept(message, settled);
    // One timer for all partitions: their blocks close together and share a transaction.
    this.#cancelLinger ??= this.#clock.after(this.#lingerMs, () => this.#linger());
  }

  async flush(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.flush()));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#lanes.map((lane) => lane.close()));
    this.#cancelLinger?.();
  }

  status(): ProducerStatus {
    return {
      inFlightBytes: this.#budget.bytes,
      isFull: this.#budget.isFull,
      totals: this.#metrics.totals,
      lanes: this.#lanes.map((lane) => lane.status()),
    };
  }

  #linger(): void {
    this.#cancelLinger = undefined;
    this.#metrics.inFlight(this.#budget.bytes);
    for (const lane of this.#lanes) lane.linger();
  }

  #release(bytes: number): void {
    this.#budget.release(bytes);
    this.#metrics.inFlight(this.#budget.bytes);
  }

  #refusal(message: BlockMessage): BridgeError | null {
    if (this.#isClosed) return this.#refuse("closed", "PRODUCER_CLOSED", "the gateway is shutting down");
    if (this.#budget.isFull && message.qos === 0) {
      this.#metrics.droppedQos0();
      return full("QoS 0 is dropped");
    }
    if (this.#budget.bytes >= this.#hardLimitBytes)
      return this.#refuse("full", "PRODUCER_FULL", "too many messages wait for the stream");
    if (fitsEmptyBlock(message, MAX_BLOCK_BYTES)) return null;
    const text = `a payload of ${message.payload.length} bytes does not fit into a block of ${MAX_BLOCK_BYTES}`;
    return this.#refuse("too-large", "MESSAGE_TOO_LARGE", text);
  }

  #refuse(reason: RefusalReason, code: BridgeErrorCode, text: string): BridgeError {
    this.#metrics.refused(reason);
    return new BridgeError(code, text, { retryable: reason !== "too-large" });
  }
}

function full(what: string): BridgeError {
  return new BridgeError("PRODUCER_FULL", `too many messages wait for the stream: ${what}`, {
    retryable: true,
  });
}
