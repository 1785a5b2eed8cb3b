import { randomBytes } from "node:crypto";
import {
  type BlockSeal,
  blockTimeMaxMs,
  producerIdBytes,
  promptAcknowledgementMs,
} from "../block/block-format.ts";
import type { ProducerClock } from "./producer-clock.ts";

/** G8: consumers forget a producer after 24 h unseen. An idle lane takes a new producer id long before. */
const newIdAfterIdleMs = 3_600_000;
/**
 * A lane with an unclaimed tail keeps its id longer, but not until consumers may have forgotten it: its next
 * claim would look like a gap.
 */
const newIdAfterSilenceMs = 12 * 3_600_000;

export interface LaneIdentityOptions {
  readonly partition: number;
  readonly streamId: string;
  readonly clock: Omit<ProducerClock, "after">;
  /**
   * Called with the number of acknowledged messages that no block will claim. If the stream loses them, no
   * one detects the loss.
   */
  readonly onUnclaimed: (messages: number) => void;
  /** Default: the constants above. */
  readonly newIdAfter?: { readonly idleMs: number; readonly silenceMs: number };
  /** Default: random. */
  readonly newId?: () => string;
}

/** The producer id of a lane, and what its blocks claim (G8). */
export class LaneIdentity {
  readonly #options: LaneIdentityOptions;
  readonly #newIdAfter: { readonly idleMs: number; readonly silenceMs: number };
  readonly #newId: () => string;
  #producerId: string;
  #lastSequence = 0;
  #lastAcknowledgedSequence = 0;
  #acknowledgedMessages = 0;
  /** The part of `#acknowledgedMessages` that an acknowledged block has claimed. */
  #claimedMessages = 0;
  #sealed = { atMs: 0, claimsMessages: 0 };
  /** Boot clock and wall clock at the last acknowledgement, or the start. */
  #active: { elapsedMs: number; wallMs: number };
  /** The boot clock of that acknowledgement for the next header; 0 = none. */
  #acknowledgedAtMs = 0;
  #isTailUnclaimed = false;

  constructor(options: LaneIdentityOptions) {
    this.#options = options;
    this.#newIdAfter = options.newIdAfter ?? {
      idleMs: newIdAfterIdleMs,
      silenceMs: newIdAfterSilenceMs,
    };
    this.#newId = options.newId ?? newProducerId;
    this.#producerId = this.#newId();
    this.#active = this.#now();
  }

  get producerId(): string {
    return this.#producerId;
  }

  get lastSequence(): number {
    return this.#lastSequence;
  }

  get lastAcknowledgedSequence(): number {
    return this.#lastAcknowledgedSequence;
  }

  get acknowledgedMessages(): number {
    return this.#acknowledgedMessages;
  }

  /** True while no block in the stream claims the last acknowledged messages. */
  get isTailUnclaimed(): boolean {
    return this.#isTailUnclaimed;
  }

  /** ms since the last acknowledgement, or the start. */
  get idleMs(): number {
    return this.#options.clock.elapsedMs() - this.#active.elapsedMs;
  }

  /** The seal of the next block. */
  seal(): BlockSeal {
    const { partition, streamId, clock } = this.#options;
    this.#renewIfLongSilent();
    this.#lastSequence += 1;
    const { elapsedMs, wallMs } = this.#now();
    this.#sealed = { atMs: elapsedMs, claimsMessages: this.#acknowledgedMessages };
    return {
      streamId,
      producerId: this.#producerId,
      partition,
      sequence: this.#lastSequence,
      lastAcknowledgedSequence: this.#lastAcknowledgedSequence,
      acknowledgedMessages: this.#acknowledgedMessages,
      time: {
        wallMs: blockTime(wallMs),
        bootId: clock.bootId,
        stampMs: blockTime(elapsedMs),
        acknowledgedAtMs: this.#acknowledgedAtMs,
      },
    };
  }

  /** The stream confirmed the block that was sealed last. */
  acknowledged(messages: number): void {
    this.#active = this.#now();
    const { elapsedMs } = this.#active;
    const isPrompt = elapsedMs - this.#sealed.atMs <= promptAcknowledgementMs;
    // Rounded up, so that the block was surely in the stream by then.
    this.#acknowledgedAtMs = isPrompt ? blockTime(elapsedMs + 1) : 0;
    this.#lastAcknowledgedSequence = this.#lastSequence;
    this.#acknowledgedMessages += messages;
    this.#claimedMessages = this.#sealed.claimsMessages;
    this.#isTailUnclaimed = messages > 0;
  }

  /** The tail was claimed, or no later block will claim it. */
  letTailGo(): void {
    this.#isTailUnclaimed = false;
  }

  /**
   * Also compares the wall clock, because only it shows that a virtual machine stood still. If the wall
   * clock was just set forward, a new id costs only the claim of the last second.
   */
  #renewIfLongSilent(): void {
    const silentMs = Math.max(this.idleMs, this.#options.clock.now() - this.#active.wallMs);
    const { idleMs, silenceMs } = this.#newIdAfter;
    if (silentMs < (this.#isTailUnclaimed ? silenceMs : idleMs)) return;
    const unclaimed = this.#isTailUnclaimed ? this.#acknowledgedMessages - this.#claimedMessages : 0;
    if (unclaimed > 0) this.#options.onUnclaimed(unclaimed);
    this.#producerId = this.#newId();
    this.#lastSequence = 0;
    this.#lastAcknowledgedSequence = 0;
    this.#acknowledgedMessages = 0;
    this.#claimedMessages = 0;
    this.#acknowledgedAtMs = 0;
    this.#isTailUnclaimed = false;
  }

  #now(): { elapsedMs: number; wallMs: number } {
    const { clock } = this.#options;
    return { elapsedMs: clock.elapsedMs(), wallMs: clock.now() };
  }
}

function blockTime(timeMs: number): number {
  return Math.min(Math.max(0, Math.trunc(timeMs)), blockTimeMaxMs);
}

function newProducerId(): string {
  return randomBytes(producerIdBytes).toString("hex");
}
