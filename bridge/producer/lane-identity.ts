import { randomBytes } from "node:crypto";
import {
  BLOCK_TIME_MAX_MS,
  type BlockSeal,
  PRODUCER_ID_BYTES,
  PROMPT_ACKNOWLEDGEMENT_MS,
} from "../block/block-format.ts";
import type { ProducerClock } from "./producer-clock.ts";

/** G8: consumers forget a producer 24 h after they last saw it, so an idle one becomes a new one long before. */
const NEW_ID_AFTER_IDLE_MS = 3_600_000;
/** One whose tail is not claimed yet waits longer for the stream, but not until it may be forgotten: its next claim would be a gap. */
const NEW_ID_AFTER_SILENCE_MS = 12 * 3_600_000;

export interface LaneIdentityOptions {
  readonly partition: number;
  readonly streamId: string;
  readonly clock: Omit<ProducerClock, "after">;
  /** Told how many acknowledged messages no block will claim: where the stream lost them, nothing shows it. */
  readonly onUnclaimed: (messages: number) => void;
  /** Default: the constants above. */
  readonly newIdAfter?: { readonly idleMs: number; readonly silenceMs: number };
  /** Default: random. */
  readonly newId?: () => string;
}

/** Whom a lane's blocks say they are from, and what they claim (G8). */
export class LaneIdentity {
  readonly #options: LaneIdentityOptions;
  readonly #newIdAfter: { readonly idleMs: number; readonly silenceMs: number };
  readonly #newId: () => string;
  #producerId: string;
  #lastSequence = 0;
  #lastAcknowledgedSequence = 0;
  #acknowledgedMessages = 0;
  /** Of those, what an acknowledged block has claimed. */
  #claimedMessages = 0;
  #sealed = { atMs: 0, claimsMessages: 0 };
  /** Boot clock and wall clock at the last acknowledgement, or the start. */
  #active: { elapsedMs: number; wallMs: number };
  /** What the next header says of that acknowledgement; 0 = nothing. */
  #acknowledgedAtMs = 0;
  #isTailUnclaimed = false;

  constructor(options: LaneIdentityOptions) {
    this.#options = options;
    this.#newIdAfter = options.newIdAfter ?? {
      idleMs: NEW_ID_AFTER_IDLE_MS,
      silenceMs: NEW_ID_AFTER_SILENCE_MS,
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

  /** True while no block in the stream says yet that the last messages were acknowledged. */
  get isTailUnclaimed(): boolean {
    return this.#isTailUnclaimed;
  }

  /** ms since the last acknowledgement, or the start. */
  get idleMs(): number {
    return this.#options.clock.elapsedMs() - this.#active.elapsedMs;
  }

  /** Seals the next block. */
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

  /** The stream has confirmed the block that was sealed last. */
  acknowledged(messages: number): void {
    this.#active = this.#now();
    const { elapsedMs } = this.#active;
    const isPrompt = elapsedMs - this.#sealed.atMs <= PROMPT_ACKNOWLEDGEMENT_MS;
    // Rounded up: by then the block surely stood in the stream.
    this.#acknowledgedAtMs = isPrompt ? blockTime(elapsedMs + 1) : 0;
    this.#lastAcknowledgedSequence = this.#lastSequence;
    this.#acknowledgedMessages += messages;
    this.#claimedMessages = this.#sealed.claimsMessages;
    this.#isTailUnclaimed = messages > 0;
  }

  /** The tail is claimed, or no later block will claim it. */
  letTailGo(): void {
    this.#isTailUnclaimed = false;
  }

  /**
   * By the wall clock too: it alone shows that a virtual machine stood still. Where it was only set forward, a new id costs nothing but
   * the claim of the last second.
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
  return Math.min(Math.max(0, Math.trunc(timeMs)), BLOCK_TIME_MAX_MS);
}

function newProducerId(): string {
  return randomBytes(PRODUCER_ID_BYTES).toString("hex");
}
