import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { fitsEmptyBlock } from "../block/block-builder.ts";
import { type BlockMessage, maxBlockBytes } from "../block/block-format.ts";
import { BridgeError, type BridgeErrorCode } from "../errors.ts";
import type { PartitionMap } from "../streams/partition-map.ts";
import type { StreamLog } from "../streams/stream-log.ts";
import { InFlightBudget } from "./in-flight-budget.ts";
import { type AcceptedMessage, inFlightBytesOf, type Settled } from "./open-block.ts";
import { type ProducerClock, systemClock } from "./producer-clock.ts";
import type { ProducerConfig } from "./producer-config.ts";
import { type LaneStatus, ProducerLane } from "./producer-lane.ts";
import { ProducerMetrics, type ProducerTotals, type RefusalReason } from "./producer-metrics.ts";

/**
 * Messages above this multiple of the budget are refused. Publishers that were told to stop may still have
 * some under way.
 */
const hardLimitFactor = 2;

export interface ProducerOptions {
  readonly stream: Pick<StreamLog, "streamId" | "partitions" | "onPartitionsChange" | "append">;
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
 * Packs accepted messages into blocks and appends them: the broker's sink. `accept` never throws and never
 * blocks. It calls `settled` exactly once, after it returned. A call without an error means that the message
 * is durable in the stream (G1). Messages of one device settle in the order of acceptance (G5).
 */
export interface Producer {
  accept(message: BlockMessage, settled: Settled): void;
  /**
   * True while the in-flight budget is used up. Publishers should then wait for `onDrain`; QoS 0 is dropped.
   */
  readonly isFull: boolean;
  /** Registers the only listener, called when a full producer has room again. */
  onDrain(listener: () => void): void;
  /**
   * Appends all accepted messages without waiting for more. Resolves once all are settled, with or without
   * an error.
   */
  flush(): Promise<void>;
  /**
   * Refuses new messages, flushes, and claims the last acknowledged messages in the stream. Takes up to
   * `deadlineMs` if the stream fails.
   */
  close(): Promise<void>;
  status(): ProducerStatus;
}

export function createProducer(options: ProducerOptions): Producer {
  return new BlockProducer(options);
}

/**
 * A lane that has not handed over its messages. By its old map it still takes new ones, so that none
 * overtakes an earlier one.
 */
interface RetiringLane {
  readonly partition: number;
  readonly lane: ProducerLane;
  readonly map: PartitionMap;
}

class BlockProducer implements Producer {
  readonly #options: ProducerOptions;
  readonly #budget: InFlightBudget;
  readonly #metrics: ProducerMetrics;
  readonly #clock: ProducerClock;
  readonly #hardLimitBytes: number;
  /** Lanes of open partitions, by partition. */
  readonly #lanes = new Map<number, ProducerLane>();
  #retiring: RetiringLane[] = [];
  /** Lanes that only have to claim their last acknowledged messages. */
  readonly #retired = new Set<ProducerLane>();
  #map: PartitionMap;
  #cancelLinger: (() => void) | undefined;
  #isClosed = false;

  constructor(options: ProducerOptions) {
    const { stream, config } = options;
    this.#options = options;
    this.#clock = options.clock ?? systemClock();
    this.#budget = new InFlightBudget(config.inFlightMaxBytes);
    this.#hardLimitBytes = config.inFlightMaxBytes * hardLimitFactor;
    this.#metrics = new ProducerMetrics(options.registry);
    this.#map = stream.partitions;
    for (const { partition, isOpen } of this.#map.all) if (isOpen) this.#openLane(partition);
    stream.onPartitionsChange(() => this.#adoptPartitions());
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
    this.#laneOf(message.deviceId).accept(message, settled);
    this.#armLinger();
  }

  async flush(): Promise<void> {
    for (let rerouted = -1; rerouted !== this.#metrics.totals.reroutedMessages; ) {
      rerouted = this.#metrics.totals.reroutedMessages;
      await Promise.all(this.#allLanes().map((lane) => lane.flush()));
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.flush();
    await Promise.all(this.#allLanes().map((lane) => lane.close()));
    this.#cancelLinger?.();
  }

  status(): ProducerStatus {
    return {
      inFlightBytes: this.#budget.bytes,
      isFull: this.#budget.isFull,
      totals: this.#metrics.totals,
      lanes: this.#allLanes().map((lane) => lane.status()),
    };
  }

  #allLanes(): ProducerLane[] {
    return [...this.#retiring.map(({ lane }) => lane), ...this.#retired, ...this.#lanes.values()];
  }

  #laneOf(deviceId: string): ProducerLane {
    for (const { partition, lane, map } of this.#retiring) if (map.takes(partition, deviceId)) return lane;
    const partition = this.#map.partitionOfDevice(deviceId);
    return this.#lanes.get(partition) ?? this.#openLane(partition);
  }

  #openLane(partition: number): ProducerLane {
    const { stream, config, logger, random } = this.#options;
    const lane: ProducerLane = new ProducerLane({
      partition,
      stream,
      config,
      logger,
      clock: this.#clock,
      random: random ?? Math.random,
      metrics: this.#metrics,
      release: (bytes) => this.#release(bytes),
      isReplaced: () => {
        this.#adoptPartitions();
        return this.#lanes.get(partition) !== lane;
      },
      handOver: (messages) => this.#takeOver(lane, messages),
      whenRetired: () => this.#retired.delete(lane),
    });
    this.#lanes.set(partition, lane);
    return lane;
  }

  #adoptPartitions(): void {
    const map = this.#map;
    this.#map = this.#options.stream.partitions;
    const open = new Set(this.#map.all.filter(({ isOpen }) => isOpen).map(({ partition }) => partition));
    const closed = [...this.#lanes].filter(([partition]) => !open.has(partition));
    for (const [partition, lane] of closed) {
      this.#lanes.delete(partition);
      this.#retiring.push({ partition, lane, map });
    }
    for (const [, lane] of closed) lane.retire();
  }

  #takeOver(lane: ProducerLane, messages: readonly AcceptedMessage[]): void {
    this.#retiring = this.#retiring.filter((retiring) => retiring.lane !== lane);
    this.#retired.add(lane);
    for (const { message, settled } of messages) this.#laneOf(message.deviceId).accept(message, settled);
    this.#metrics.rerouted(messages.length);
    this.#armLinger();
  }

  /** One timer for all partitions, so that their blocks close together and share a transaction. */
  #armLinger(): void {
    this.#cancelLinger ??= this.#clock.after(this.#options.config.lingerMs, () => this.#linger());
  }

  #linger(): void {
    this.#cancelLinger = undefined;
    this.#metrics.inFlight(this.#budget.bytes);
    for (const lane of this.#allLanes()) lane.linger();
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
    if (fitsEmptyBlock(message, maxBlockBytes)) return null;
    const text = `a payload of ${message.payload.length} bytes does not fit into a block of ${maxBlockBytes}`;
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
