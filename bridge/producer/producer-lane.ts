import type { Logger } from "pino";
import type { CodedError } from "../../devices/protocol/coded-error.ts";
import { type BlockMessage, maxBlockBytes } from "../block/block-format.ts";
import type { StreamLog } from "../streams/stream-log.ts";
import { deliverBlock } from "./deliver-block.ts";
import { codeOf, FailureLog } from "./failure-log.ts";
import { LaneIdentity } from "./lane-identity.ts";
import { type AcceptedMessage, OpenBlock, type Settled } from "./open-block.ts";
import type { ProducerClock } from "./producer-clock.ts";
import type { ProducerConfig } from "./producer-config.ts";
import type { ProducerMetrics } from "./producer-metrics.ts";

/** G8: an idle lane claims its tail this long after its last acknowledgement. */
export const claimAfterIdleMs = 1000;

export interface LaneOptions {
  readonly partition: number;
  readonly stream: Pick<StreamLog, "streamId" | "append">;
  readonly config: ProducerConfig;
  readonly clock: ProducerClock;
  readonly random: () => number;
  readonly metrics: ProducerMetrics;
  readonly logger: Logger;
  /** Called once per block, after its messages were settled. */
  readonly release: (inFlightBytes: number) => void;
  /**
   * Asked if the stream says that the partition is closed: true if other partitions replaced it. The lane
   * then hands over all unsettled messages, in order.
   */
  readonly isReplaced: () => boolean;
  readonly handOver: (messages: readonly AcceptedMessage[]) => void;
  /** Called after that, once the lane's last block is settled. */
  readonly whenRetired: () => void;
}

export interface LaneStatus {
  readonly partition: number;
  readonly producerId: string;
  readonly lastSequence: number;
  readonly lastAcknowledgedSequence: number;
  readonly acknowledgedMessages: number;
  readonly waitingBlocks: number;
  /**
   * Since when (ms since the epoch) and for how long the stream has failed to store the block in flight;
   * null while it stores blocks.
   */
  readonly heldSinceMs: number | null;
  readonly heldForMs: number | null;
  readonly lastFailure: { readonly code: string; readonly message: string; readonly atMs: number } | null;
}

/**
 * Brings the messages of one partition into the stream: blocks in order, one in flight at a time. If a block
 * is given up, so are the blocks that wait, so that no message overtakes an earlier one of its device (G5).
 * The sequence is never reused. If the block appears in the stream later, the consumer drops it as older than
 * its successors.
 *
 * The lane of a closed partition retires: its unsettled messages go to the lanes of the partitions that
 * replaced it. Its last block lands in one of those. The reader drops that block as misrouted, but learns
 * from it what was acknowledged here (G8).
 */
export class ProducerLane {
  readonly #options: LaneOptions;
  /** Waiting blocks, oldest first; the last one takes messages. */
  #waiting: OpenBlock[] = [];
  #inFlight: OpenBlock | undefined;
  readonly #identity: LaneIdentity;
  #cancelClaim: (() => void) | undefined;
  #isClosed = false;
  #isRetiring = false;
  #held: { readonly sinceMs: number; readonly atMs: number } | null = null;
  #lastFailure: LaneStatus["lastFailure"] = null;
  readonly #failures: FailureLog;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#failures = new FailureLog(options.logger, options.partition);
    const { partition, clock, stream } = options;
    const onUnclaimed = (messages: number) => this.#leaveUnclaimed(messages);
    this.#identity = new LaneIdentity({ partition, clock, streamId: stream.streamId, onUnclaimed });
  }

  /** Adds a message, which must fit into an empty block. */
  accept(message: BlockMessage, settled: Settled): void {
    if (!this.#waiting.at(-1)?.add(message, settled)) this.#openBlock().add(message, settled);
    this.#sendIfReady();
  }

  /** All waiting messages have waited long enough. */
  linger(): void {
    for (const block of this.#waiting) block.isDue = true;
    this.#sendIfReady();
  }

  /**
   * Appends all accepted messages without waiting for more. Resolves once they are settled, with or without
   * an error.
   */
  async flush(): Promise<void> {
    this.linger();
    const last = this.#waiting.at(-1) ?? this.#inFlight;
    if (last) await new Promise<void>((resolve) => last.whenSettled(resolve));
  }

  /** Flushes, and claims the tail at once. Do not accept messages afterwards. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.flush();
    if (this.#identity.isTailUnclaimed) {
      this.#openBlock();
      await this.flush();
    }
    this.#cancelClaim?.();
  }

  /** The partition is closed: hands over unsettled messages as soon as no block is in flight. */
  retire(): void {
    if (this.#isRetiring) return;
    this.#isRetiring = true;
    this.#cancelClaim?.();
    if (!this.#inFlight) this.#handOver([]);
  }

  status(): LaneStatus {
    return {
      partition: this.#options.partition,
      producerId: this.#identity.producerId,
      lastSequence: this.#identity.lastSequence,
      lastAcknowledgedSequence: this.#identity.lastAcknowledgedSequence,
      acknowledgedMessages: this.#identity.acknowledgedMessages,
      waitingBlocks: this.#waiting.length + (this.#inFlight ? 1 : 0),
      heldSinceMs: this.#held?.sinceMs ?? null,
      heldForMs: this.#held && this.#options.clock.elapsedMs() - this.#held.atMs,
      lastFailure: this.#lastFailure,
    };
  }

  #openBlock(): OpenBlock {
    const block = new OpenBlock({ maxBytes: maxBlockBytes, openedAtMs: this.#options.clock.elapsedMs() });
    this.#waiting.push(block);
    return block;
  }

  #sendIfReady(): void {
    if (this.#inFlight) return;
    const [first] = this.#waiting;
    if (!first) return;
    const isBig = first.byteLength >= this.#options.config.blockBytes || this.#waiting.length > 1;
    if (!isBig && !first.isDue) return;
    this.#waiting.shift();
    this.#inFlight = first;
    void this.#send(first);
  }

  async #send(block: OpenBlock): Promise<void> {
    const { stream, partition, config, clock, random } = this.#options;
    const seal = this.#identity.seal();
    const { sequence } = seal;
    const bytes = block.seal(seal);
    const startedAtMs = clock.elapsedMs();
    const failure = await deliverBlock({
      append: () => stream.append(partition, bytes),
      deadlineAtMs: block.openedAtMs + config.deadlineMs,
      // An empty block only claims a tail. It must not delay messages, and the next block repeats the claim.
      backOff:
        block.messageCount > 0 || this.#isRetiring
          ? { baseMs: config.retryBaseMs, maxMs: config.retryMaxMs }
          : null,
      clock,
      random,
      onRetry: (error, attempt) => this.#holds(error, { sequence, attempt, messages: block.messageCount }),
    });
    const isReplaced =
      failure !== null && codeOf(failure) === "STREAM_PARTITION_CLOSED" && this.#options.isReplaced();
    this.#inFlight = undefined;
    if (isReplaced) {
      this.#isRetiring = true;
      // In whatever partition the block landed, it claims the messages acknowledged before it.
      this.#identity.letTailGo();
      this.#handOver([block]);
      return;
    }
    if (failure) this.#giveUp(block, sequence, failure);
    else this.#acknowledge(block, sequence, { bytes: bytes.length, startedAtMs });
    if (this.#isRetiring) this.#handOver([]);
    this.#armClaim();
    this.#sendIfReady();
  }

  #handOver(failed: readonly OpenBlock[]): void {
    const blocks = [...failed, ...this.#waiting.splice(0)];
    this.#options.handOver(blocks.flatMap((block) => block.handOver()));
    if (this.#identity.isTailUnclaimed) {
      this.#openBlock().isDue = true;
      this.#sendIfReady();
    } else this.#options.whenRetired();
  }

  #acknowledge(block: OpenBlock, sequence: number, sent: { bytes: number; startedAtMs: number }): void {
    const { clock, metrics, logger, partition } = this.#options;
    const nowMs = clock.elapsedMs();
    const elapsedMs = nowMs - sent.startedAtMs;
    this.#identity.acknowledged(block.messageCount);
    if (this.#held) {
      this.#held = null;
      logger.info(
        { event: "producer.append.recovered", partition, sequence, elapsedMs },
        "the stream takes blocks again",
      );
    }
    this.#failures.recovered(nowMs);
    metrics.appended({ messages: block.messageCount, bytes: sent.bytes, elapsedMs });
    this.#settle(block);
  }

  #giveUp(block: OpenBlock, sequence: number, failure: Error): void {
    const { metrics, clock } = this.#options;
    this.#noteFailure(failure);
    // A retiring lane has no later block, so its last claim is not retried for ever.
    if (this.#isRetiring && block.messageCount === 0) this.#identity.letTailGo();
    // Later messages are given up too, so that none overtakes an earlier one. An empty block has no
    // messages.
    const followers = block.messageCount > 0 ? this.#waiting.splice(0) : [];
    const blocks = [block, ...followers];
    const messages = blocks.reduce((sum, each) => sum + each.messageCount, 0);
    this.#failures.failed(failure, { sequence, messages, atMs: clock.elapsedMs() });
    for (const each of blocks) {
      metrics.failed(each.messageCount);
      this.#settle(each, failure);
    }
  }

  #settle(block: OpenBlock, failure?: Error): void {
    const { logger, partition, release } = this.#options;
    const thrown = block.settle(failure);
    if (thrown !== undefined)
      logger.error(
        { event: "producer.settle.failed", partition, err: thrown },
        "the callback of a settled message threw",
      );
    release(block.inFlightBytes);
  }

  #holds(error: CodedError, block: { sequence: number; attempt: number; messages: number }): void {
    const { clock, metrics, logger, partition } = this.#options;
    metrics.retried(error.code);
    this.#noteFailure(error);
    const fields = { event: "producer.append.failed", partition, code: error.code, ...block, err: error };
    if (!this.#held) logger.warn(fields, "the stream does not store a block: retrying");
    else logger.debug(fields, "the stream still does not store the block");
    this.#held ??= { sinceMs: clock.now(), atMs: clock.elapsedMs() };
  }

  #noteFailure(failure: Error): void {
    this.#lastFailure = {
      code: codeOf(failure),
      message: failure.message,
      atMs: this.#options.clock.now(),
    };
  }

  #leaveUnclaimed(messages: number): void {
    const { metrics, logger, partition } = this.#options;
    metrics.leftUnclaimed(messages);
    logger.warn(
      { event: "producer.tail.unclaimed", partition, messages },
      "the stream stored no block for so long that consumers may have forgotten this producer: it continues under a new id, and no block claims its last acknowledged messages",
    );
  }

  /**
   * Only one timer runs at a time. Under load it fires once a second, finds the lane busy and starts again.
   */
  #armClaim(delayMs = claimAfterIdleMs): void {
    if (this.#cancelClaim || this.#isClosed || this.#isRetiring || !this.#identity.isTailUnclaimed) return;
    this.#cancelClaim = this.#options.clock.after(delayMs, () => {
      this.#cancelClaim = undefined;
      this.#claimTail();
    });
  }

  #claimTail(): void {
    if (!this.#identity.isTailUnclaimed || this.#isClosed) return;
    const { idleMs } = this.#identity;
    if (this.#inFlight || this.#waiting.length > 0) this.#armClaim();
    else if (idleMs < claimAfterIdleMs) this.#armClaim(claimAfterIdleMs - idleMs);
    else {
      this.#openBlock().isDue = true;
      this.#sendIfReady();
    }
  }
}
