import { encodeMessageId } from "../protocol/message-id.ts";
import { segmentHeaderBytes } from "./outbox-record.ts";
import type { OutboxSegment, SegmentChunk } from "./outbox-segment.ts";
import type { SegmentList } from "./segment-list.ts";

export interface OutboxMessage {
  readonly sequence: number;
  /** 16 bytes: see encodeMessageId. */
  readonly id: Uint8Array;
  readonly topic: string;
  readonly payload: Uint8Array;
}

/**
 * Reads all messages of a segment list once, in order, from disk. The backlog is never held in memory as a
 * whole.
 */
export class OutboxReader {
  readonly #segments: SegmentList;
  #segment: OutboxSegment | null = null;
  #offset = 0;
  #messagesRead = 0;
  #lastSequence = 0;

  constructor(segments: SegmentList) {
    this.#segments = segments;
  }

  /** At least one message if there is one; `damaged` = messages found to be lost on the way. */
  async read(limits: {
    maxBytes: number;
    maxMessages: number;
  }): Promise<{ messages: OutboxMessage[]; damaged: number }> {
    let damaged = 0;
    for (;;) {
      const segment = this.#current();
      if (!segment) return { messages: [], damaged };
      const chunk = await this.#readChunk(segment, limits);
      if (!chunk) continue;
      this.#offset = chunk.nextOffset;
      this.#messagesRead += chunk.messages.length;
      this.#lastSequence = chunk.messages.at(-1)?.sequence ?? this.#lastSequence;
      if (chunk.isDamaged) damaged += await this.#abandonRest(segment);
      const messages = chunk.messages
        .filter(({ sequence }) => sequence > this.#segments.settledUpTo)
        .map((message) => ({ ...message, id: encodeMessageId({ ...message, epoch: segment.epoch }) }));
      if (messages.length > 0 || damaged > 0) return { messages, damaged };
    }
  }

  /** null if the segment was given up and deleted meanwhile. */
  async #readChunk(
    segment: OutboxSegment,
    limits: { maxBytes: number; maxMessages: number },
  ): Promise<SegmentChunk | null> {
    try {
      return await segment.read(this.#offset, limits.maxBytes, limits.maxMessages);
    } catch (error) {
      if (!this.#segments.has(segment)) return null;
      throw error;
    }
  }

  /** The segment that holds unread bytes, if there is one. */
  #current(): OutboxSegment | null {
    for (;;) {
      const segment = this.#segment;
      const isLeft = segment === null || !this.#segments.has(segment) || this.#offset >= segment.bytes;
      if (!isLeft) return segment;
      const next = this.#segments.after(segment);
      if (!next) return null;
      this.#segment = next;
      this.#offset = segmentHeaderBytes;
      this.#messagesRead = 0;
      this.#lastSequence = 0;
    }
  }

  async #abandonRest(segment: OutboxSegment): Promise<number> {
    const lost = segment.abandonBehind(this.#offset, {
      messages: this.#messagesRead,
      lastSequence: this.#lastSequence,
    });
    if (segment === this.#segments.active) await segment.rollBack();
    return lost;
  }
}
