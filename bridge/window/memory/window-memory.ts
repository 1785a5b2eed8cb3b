import { type ForgettingPlan, type IdSamples, planForgetting } from "./forgetting-plan.ts";
import { WINDOW_CLASSES } from "./id-segment.ts";

/** Enough to find the oldest sixteenth to within a tenth, and a device that has a sixty-fourth. */
const SAMPLED_SLOTS = 4096;
/** Segments that are looked through for room at once: more would stop the process for too long. */
const SWEPT_SEGMENTS_MAX = 16;
const ROOM_ATTEMPTS_MAX = 8;

/** The ids of one partition. */
export interface ForgettingTable {
  readonly bytes: number;
  readonly slots: number;
  /** Adds some of its ids, each with the same likelihood. */
  sample(into: { ages: number[]; devices: number[] }, share: number): void;
  /** Ids are to be forgotten by this plan, whose ages are as `sample` gives them; done as segments are rebuilt. */
  forget(plan: ForgettingPlan): void;
  /** Rebuilds one of its segments, each in its turn, if that frees enough. */
  shrink(turn: number): void;
}

/**
 * The room that the partitions of a window in memory share, and what is forgotten where it does not suffice: the oldest ids by stream
 * time, of whatever partition, and only as many as it takes.
 *
 * Age is how much earlier than its partition's newest id an id was filed. A partition to which nothing comes while others go on ages
 * with them; one that lags, since its blocks are read late, does not.
 */
export class WindowMemory {
  readonly maxBytes: number;
  readonly windows = new WindowClasses();
  /** When the newest id of any partition was filed, s. */
  newestFiledSeconds = 0;
  /** Of devices in exact mode, which go first. */
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

  /** Rebuilds segments that hold much less than they could. Answers whether there is room for so many bytes now. */
  sweep(bytes: number): boolean {
    for (let swept = 0; swept < SWEPT_SEGMENTS_MAX && !this.hasRoom(bytes); swept++) {
      const turn = this.#sweepNext++;
      const table = this.#tables[turn % this.#tables.length];
      table?.shrink(Math.floor(turn / this.#tables.length));
    }
    return this.hasRoom(bytes);
  }

  /** By whatever it takes; answers whether there is room now. */
  makeRoom(bytes: number): boolean {
    for (let attempt = 0; attempt < ROOM_ATTEMPTS_MAX; attempt++) {
      if (this.sweep(bytes)) return true;
      this.forgetMore();
    }
    return this.hasRoom(bytes);
  }

  /** Lets tables forget the next part of their ids. They do so as their segments are rebuilt. */
  forgetMore(): void {
    const plan = planForgetting(this.#sample());
    for (const table of this.#tables) table.forget(plan);
  }

  #sample(): IdSamples {
    const samples = { ages: [] as number[], devices: [] as number[] };
    const slots = this.#tables.reduce((sum, table) => sum + table.slots, 0);
    for (const table of this.#tables) table.sample(samples, Math.min(1, SAMPLED_SLOTS / slots));
    return samples;
  }
}

/** Lengths of dedupe windows, s, by a number that fits a slot. */
class WindowClasses {
  readonly #seconds: number[] = [];
  #last = 0;

  secondsOf(windowClass: number): number {
    return this.#seconds[windowClass] as number;
  }

  get longestSeconds(): number {
    return Math.max(0, ...this.#seconds);
  }

  /** Where there are too many, the nearest one: only the age of its ids is then a little wrong. */
  classOf(seconds: number): number {
    if (this.#seconds[this.#last] === seconds) return this.#last;
    const known = this.#seconds.indexOf(seconds);
    this.#last = known >= 0 ? known : this.#classOfNew(seconds);
    return this.#last;
  }

  #classOfNew(seconds: number): number {
    if (this.#seconds.length < WINDOW_CLASSES) return this.#seconds.push(seconds) - 1;
    const distances = this.#seconds.map((each) => Math.abs(each - seconds));
    return distances.indexOf(Math.min(...distances));
  }
}
