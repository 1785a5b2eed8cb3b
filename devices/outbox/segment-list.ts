import { readdir } from "node:fs/promises";
import { OutboxSegment } from "./outbox-segment.ts";

export interface RecoveryReport {
  /** Messages that wait for sending. */
  readonly messages: number;
  /** Bytes of a write that a crash cut short; no `publish` of them had resolved. */
  readonly tornBytes: number;
  /** Bytes of older segments that can no longer be read: messages were lost. */
  readonly damagedBytes: number;
}

/**
 * The outbox's segments, oldest first. Messages are appended to the newest and settled in order; settled
 * segments are deleted.
 */
export class SegmentList {
  readonly #folder: string;
  readonly #segments: OutboxSegment[];
  readonly #garbage: OutboxSegment[] = [];
  #settledUpTo: number;
  readonly report: RecoveryReport;

  private constructor(
    folder: string,
    segments: OutboxSegment[],
    settledUpTo: number,
    report: RecoveryReport,
  ) {
    this.#folder = folder;
    this.#segments = segments;
    this.#settledUpTo = settledUpTo;
    this.report = report;
  }

  /** Reads the segments of a former process. A torn tail is cut off. */
  static async recover(folder: string): Promise<SegmentList> {
    const names = await readdir(folder);
    const indexes = names.map(OutboxSegment.indexOf).filter((index) => index !== null);
    const segments: OutboxSegment[] = [];
    const newest = Math.max(...indexes);
    let settledUpTo = 0;
    let tornBytes = 0;
    let damagedBytes = 0;
    for (const index of indexes.sort((a, b) => a - b)) {
      const found = await OutboxSegment.recover(folder, index);
      const { segment } = found;
      if (segment) segments.push(segment);
      settledUpTo = Math.max(settledUpTo, found.settledUpTo);
      if (index === newest) tornBytes += found.lostBytes;
      else damagedBytes += found.lostBytes;
      if (segment && index === newest && found.lostBytes > 0) await segment.rollBack();
    }
    for (const segment of segments) segment.noteSettled(await segment.countUpTo(settledUpTo));
    const messages = segments.reduce((sum, segment) => sum + segment.unsettledMessages, 0);
    return new SegmentList(folder, segments, settledUpTo, { messages, tornBytes, damagedBytes });
  }

  /** Sequence up to which every message has been acknowledged, rejected, dropped or lost. */
  get settledUpTo(): number {
    return this.#settledUpTo;
  }

  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes, 0);
  }

  get messages(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.unsettledMessages, 0);
  }

  get lastSequence(): number {
    return Math.max(this.#settledUpTo, ...this.#segments.map((segment) => segment.lastSequence));
  }

  /** The segment that receives appends. */
  get active(): OutboxSegment | undefined {
    return this.#segments.at(-1);
  }

  /** The oldest segment after this one. */
  after(segment: OutboxSegment | null): OutboxSegment | undefined {
    return this.#segments.find(({ index }) => index > (segment?.index ?? -1));
  }

  has(segment: OutboxSegment): boolean {
    return this.#segments.includes(segment);
  }

  /** Begins a new segment. Its header has the settled mark, so older segments may be deleted. */
  async rotate(epoch: Uint8Array): Promise<OutboxSegment> {
    const index = (this.active?.index ?? 0) + 1;
    const header = { epoch, settledUpTo: this.#settledUpTo };
    const segment = await OutboxSegment.create(this.#folder, index, header);
    this.#segments.push(segment);
    return segment;
  }

  /** Messages are settled one by one in the order of their sequences. */
  settle(sequence: number): void {
    this.#settledUpTo = sequence;
    this.#segments.find(({ lastSequence }) => lastSequence >= sequence)?.noteSettled(1);
  }

  /** Gives up the oldest segment. null if only the active one is left. */
  dropOldest(): { messages: number; upTo: number } | null {
    const oldest = this.#segments[0];
    if (!oldest || oldest === this.active) return null;
    const messages = oldest.unsettledMessages;
    this.#settledUpTo = Math.max(this.#settledUpTo, oldest.lastSequence);
    this.#segments.shift();
    this.#garbage.push(oldest);
    return { messages, upTo: this.#settledUpTo };
  }

  /** True if `deleteSettled` has something to do. */
  get hasSettled(): boolean {
    const oldest = this.#segments[0];
    return this.#garbage.length > 0 || (oldest !== undefined && this.#isSettled(oldest));
  }

  #isSettled(segment: OutboxSegment): boolean {
    return segment !== this.active && segment.lastSequence <= this.#settledUpTo;
  }

  /** Only a prefix is ever deleted, so a settled mark always outlives the messages that it covers. */
  async deleteSettled(): Promise<void> {
    for (let oldest = this.#segments[0]; oldest && this.#isSettled(oldest); oldest = this.#segments[0]) {
      this.#segments.shift();
      this.#garbage.push(oldest);
    }
    for (let segment = this.#garbage[0]; segment; segment = this.#garbage[0]) {
      await segment.delete();
      this.#garbage.shift();
    }
  }

  async close(): Promise<void> {
    for (const segment of [...this.#garbage, ...this.#segments]) await segment.close();
  }
}
