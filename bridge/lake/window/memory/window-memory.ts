import { type ForgettingPlan, type IdSamples, planForgetting } from "./forgetting-plan.ts";
import { windowClasses } from "./id-segment.ts";

/** Enough to find the oldest sixteenth to within a tenth, and a device that has a sixty-fourth. */
const sampledSlots = 4096;
/** Segments to search for room at once. More would block the process for too long. */
const sweptSegmentsMax = 16;
const roomAttemptsMax = 8;

/** The ids of one partition. */
export interface ForgettingTable {
  readonly bytes: number;
  readonly slots: number;
  /** Adds some of the table's ids to the sample, each with equal probability. */
  sample(into: { ages: number[]; devices: number[] }, share: number): void;
  /** Marks ids as forgotten by this plan; ages are those of `sample`. Rebuilding segments removes them. */
  forget(plan: ForgettingPlan): void;
  /** Rebuilds the segment of this turn if that frees enough. */
  shrink(turn: number): void;
}

/**
 * The memory that all partitions of a window share. If it is full, the oldest ids by stream time are
 * forgotten, across all partitions, and no more than necessary.
 *
 * An id's age is its distance from its partition's newest id, and the time for which the partition has been
 * idle since. Partitions may be hours apart, because blocks are read late or windows are being seeded. So the
 * progress of one says nothing about the ids of another.
 */
export class WindowMemory {
  readonly maxBytes: number;
  readonly windows = new WindowClasses();
  /** Bytes of devices in exact mode, which take precedence over ids. */
  epochBytes = 0;
  readonly #tables: ForgettingTable[] = [];
  #sweepNext = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  add(table: ForgettingTable): void {
    this.#tables.push(table);
  }

  remove(table: ForgettingTable): void {
    this.#tables.splice(this.#tables.indexOf(table), 1);
  }

  get bytes(): number {
    return this.#tables.reduce((sum, { bytes }) => sum + bytes, this.epochBytes);
  }

  hasRoom(bytes: number): boolean {
    return bytes <= 0 || this.bytes + bytes <= this.maxBytes;
  }

  /** Rebuilds segments that are mostly empty. Returns whether there is room for `bytes` now. */
  sweep(bytes: number): boolean {
    for (let swept = 0; swept < sweptSegmentsMax && !this.hasRoom(bytes); swept++) {
      const turn = this.#sweepNext++;
      const table = this.#tables[turn % this.#tables.length];
      table?.shrink(Math.floor(turn / this.#tables.length));
    }
    return this.hasRoom(bytes);
  }

  /**
   * Sweeps and forgets until there is room for `bytes`, within a bounded number of attempts. Returns whether
   * there is.
   */
  makeRoom(bytes: number): boolean {
    for (let attempt = 0; attempt < roomAttemptsMax; attempt++) {
      if (this.sweep(bytes)) return true;
      this.forgetMore();
    }
    return this.hasRoom(bytes);
  }

  /** Makes tables forget the next part of their ids. Rebuilding segments frees the memory. */
  forgetMore(): void {
    const plan = planForgetting(this.#sample());
    for (const table of this.#tables) table.forget(plan);
  }

  #sample(): IdSamples {
    const samples = { ages: [] as number[], devices: [] as number[] };
    const slots = this.#tables.reduce((sum, table) => sum + table.slots, 0);
    for (const table of this.#tables) table.sample(samples, Math.min(1, sampledSlots / slots));
    return samples;
  }
}

/** Numbers the lengths of dedupe windows (s), because a slot has only 8 bits for the length. */
class WindowClasses {
  readonly #seconds: number[] = [];
  #last = 0;

  secondsOf(windowClass: number): number {
    return this.#seconds[windowClass] as number;
  }

  get longestSeconds(): number {
    return Math.max(0, ...this.#seconds);
  }

  /**
   * The number of this length; if there are too many lengths, the number of the nearest one. Then only the
   * age of its ids is a little wrong.
   */
  classOf(seconds: number): number {
    if (this.#seconds[this.#last] === seconds) return this.#last;
    const known = this.#seconds.indexOf(seconds);
    this.#last = known >= 0 ? known : this.#classOfNew(seconds);
    return this.#last;
  }

  #classOfNew(seconds: number): number {
    if (this.#seconds.length < windowClasses) return this.#seconds.push(seconds) - 1;
    const distances = this.#seconds.map((each) => Math.abs(each - seconds));
    return distances.indexOf(Math.min(...distances));
  }
}
