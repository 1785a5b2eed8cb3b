import type { WindowEntries, WindowHits } from "../dedup-window.ts";
import type { ForgettingPlan } from "./forgetting-plan.ts";
import { IdSegment, KEY_WORDS, type KeptIds, keyWords, SLOT_BYTES, STEPS_PER_SECOND } from "./id-segment.ts";
import type { ForgettingTable, WindowMemory } from "./window-memory.ts";

/** Segments are rebuilt one at a time, so that growing or forgetting never stops the process for longer than one of them takes. */
const SEGMENTS_MAX = 256;
/** Bytes that a segment of a full window has at least: those of less vary too much in what they hold. */
const SEGMENT_BYTES_MIN = 65_536;
const SLOTS_MIN = 16;
const LOAD_MAX = 0.75;
const LOAD_AFTER_REBUILD_MIN = 0.5;
const LOAD_AFTER_REBUILD_SPREAD = 0.2;
/** Where there is no room to grow: as many ids as possible, but no rebuilding for a few of them. */
const LOAD_AFTER_REBUILD_FULL = 0.7;
/** Times that room is looked for before a segment forgets by itself. */
const ROOM_ATTEMPTS_MAX = 8;
/** Stream time in which the sweep passes over the whole table. */
const SWEEP_SECONDS = 60;
const SWEPT_SEGMENTS_MAX = 32;
const SWEPT_SHARE_MIN = 1 / 8;
/** Of its bytes, what a segment must give back to be rebuilt for the room. */
const SHRUNK_SHARE_MIN = 1 / 32;

/**
 * Ids of one partition, split into segments by key. Nothing is ever deleted in place: a segment that fills up, or holds enough ids that
 * have expired or are to be forgotten, is rebuilt from the others.
 */
export class IdTable implements ForgettingTable {
  readonly #memory: WindowMemory;
  readonly #segmentCount: number;
  #segments: (IdSegment | undefined)[] = [];
  #sweepNext = 0;
  #sweptAtSeconds = 0;
  #nowSeconds = 0;
  #bytes = 0;
  #ids = 0;
  #newestFiledSeconds = 0;
  /** When the newest id of any partition was filed, as of this one's newest. */
  #newestElsewhereSeconds = 0;
  /** In steps: ids filed before are forgotten. */
  #limit = 0;
  /** The same for devices over their share. */
  #deviceLimits = new Map<number, number>();

  constructor(memory: WindowMemory, partitionCount: number) {
    this.#memory = memory;
    const segments = memory.maxBytes / Math.max(1, partitionCount) / SEGMENT_BYTES_MIN;
    this.#segmentCount = Math.max(
      1,
      Math.min(SEGMENTS_MAX, 2 ** Math.floor(Math.log2(Math.max(1, segments)))),
    );
  }

  get bytes(): number {
    return this.#bytes;
  }

  get slots(): number {
    return this.#bytes / SLOT_BYTES;
  }

  get ids(): number {
    return this.#ids;
  }

  /** Nothing was ever added. */
  get isNew(): boolean {
    return this.#newestFiledSeconds === 0;
  }

  /** True while ids of whatever device are missing that have not expired. */
  get isShort(): boolean {
    return this.#isMissing(this.#limit);
  }

  /** Ids filed within so much stream time before the newest are known, those of devices over their share aside; 0 = none is sure to be. */
  get spanSeconds(): number {
    const longest = this.#memory.windows.longestSeconds;
    const sinceLimit = this.#ageZeroSeconds - Math.ceil(this.#limit / STEPS_PER_SECOND);
    return Math.max(0, Math.min(longest, sinceLimit));
  }

  /** Devices of which ids are missing since they are over their share. */
  get devicesOverShare(): number[] {
    return [...this.#deviceLimits].flatMap(([device, limit]) => (this.#isMissing(limit) ? [device] : []));
  }

  clear(): void {
    this.#segments = [];
    this.#bytes = 0;
    this.#ids = 0;
    this.#sweepNext = 0;
    this.#sweptAtSeconds = 0;
    this.#nowSeconds = 0;
    this.#newestFiledSeconds = 0;
    this.#newestElsewhereSeconds = 0;
    this.#limit = 0;
    this.#deviceLimits.clear();
  }

  find(keys: Uint8Array): Omit<WindowHits, "known"> {
    const words = keyWords(keys);
    const length = words.length / KEY_WORDS;
    const contentHashes = new Uint32Array(length);
    const expiresAtSeconds = new Uint32Array(length);
    for (let index = 0, at = 0; index < length; index++, at += KEY_WORDS) {
      const k1 = words[at + 1] as number;
      const segment = this.#segments[k1 % this.#segmentCount];
      if (!segment) continue;
      const slot = segment.slotOf(words[at] as number, k1, words[at + 2] as number);
      contentHashes[index] = segment.contentHashAt(slot);
      expiresAtSeconds[index] = segment.expiryAt(slot);
    }
    return { contentHashes, expiresAtSeconds };
  }

  /** Where an id is known already, the later expiry wins, so that the order of adding makes no difference. */
  add(entries: WindowEntries): void {
    const { windows } = this.#memory;
    const words = keyWords(entries.keys);
    for (let index = 0, at = 0; index < entries.length; index++, at += KEY_WORDS) {
      const expiresAtSeconds = entries.expiresAtSeconds[index] as number;
      const filedAtSeconds = entries.filedAtSeconds[index] as number;
      if (expiresAtSeconds <= this.#nowSeconds) continue;
      this.#filed(filedAtSeconds);
      const k0 = words[at] as number;
      const k1 = words[at + 1] as number;
      const k2 = words[at + 2] as number;
      const segment = this.#roomySegment(k1 % this.#segmentCount);
      const slot = segment.slotOf(k0, k1, k2);
      const known = segment.expiryAt(slot);
      if (known >= expiresAtSeconds) continue;
      if (known === 0) {
        segment.used += 1;
        this.#ids += 1;
      }
      segment.write(slot, k0, k1, k2, {
        contentHash: entries.contentHashes[index] as number,
        expiresAtSeconds,
        windowClass: windows.classOf(expiresAtSeconds - filedAtSeconds),
        device: entries.devices[index] as number,
      });
    }
  }

  /** Moves stream time on and frees a bounded part of what has expired. */
  advance(streamTimeMs: number): void {
    const seconds = Math.floor(streamTimeMs / 1000);
    if (seconds <= this.#nowSeconds) return;
    if (this.#nowSeconds === 0) this.#sweptAtSeconds = seconds;
    this.#nowSeconds = seconds;
    for (const [device, limit] of this.#deviceLimits)
      if (!this.#isMissing(limit)) this.#deviceLimits.delete(device);
    const elapsed = seconds - this.#sweptAtSeconds;
    const due = Math.floor((elapsed * this.#segmentCount) / SWEEP_SECONDS);
    if (due === 0) return;
    this.#sweptAtSeconds = seconds;
    for (let count = Math.min(due, SWEPT_SEGMENTS_MAX); count > 0; count--) this.#sweepOne();
  }

  sample(into: { ages: number[]; devices: number[] }, share: number): void {
    const newest = (this.#ageZeroSeconds + 1) * STEPS_PER_SECOND;
    for (const segment of this.#segments) {
      if (!segment) continue;
      for (const slot of segment.slotsOf(this.#kept(segment), Math.ceil(segment.slots * share))) {
        into.ages.push(newest - this.#stepsAt(segment, slot));
        into.devices.push(segment.deviceAt(slot));
      }
    }
  }

  forget({ age, deviceAges }: ForgettingPlan): void {
    if (this.#ids === 0) return;
    const newest = (this.#ageZeroSeconds + 1) * STEPS_PER_SECOND;
    this.#limit = Math.max(this.#limit, newest - age + 1);
    for (const [device, deviceAge] of deviceAges)
      this.#deviceLimits.set(device, Math.max(this.#deviceLimits.get(device) ?? 0, newest - deviceAge + 1));
  }

  shrink(turn: number): void {
    const index = turn % this.#segmentCount;
    const segment = this.#segments[index];
    if (!segment) return;
    const kept = this.#countKept(segment);
    const slots = slotsFor(kept + 1, LOAD_AFTER_REBUILD_FULL);
    if (segment.slots - slots >= segment.slots * SHRUNK_SHARE_MIN) this.#replace(index, segment, slots);
  }

  get #ageZeroSeconds(): number {
    const elapsedElsewhere = this.#memory.newestFiledSeconds - this.#newestElsewhereSeconds;
    return this.#newestFiledSeconds + elapsedElsewhere;
  }

  #filed(seconds: number): void {
    const memory = this.#memory;
    if (seconds > memory.newestFiledSeconds) memory.newestFiledSeconds = seconds;
    if (seconds <= this.#newestFiledSeconds) return;
    this.#newestFiledSeconds = seconds;
    this.#newestElsewhereSeconds = memory.newestFiledSeconds;
    // It aged with the others while nothing came, and goes on where it was: of what comes from here on, nothing is missing.
    const steps = seconds * STEPS_PER_SECOND;
    if (steps >= this.#limit) return;
    this.#limit = steps;
    for (const [device, limit] of this.#deviceLimits) this.#deviceLimits.set(device, Math.min(limit, steps));
  }

  #isMissing(limit: number): boolean {
    return limit > 0 && limit / STEPS_PER_SECOND + this.#memory.windows.longestSeconds > this.#nowSeconds;
  }

  #stepsAt(segment: IdSegment, slot: number): number {
    const windowSeconds = this.#memory.windows.secondsOf(segment.windowClassAt(slot));
    return (segment.expiryAt(slot) - windowSeconds) * STEPS_PER_SECOND + segment.stepAt(slot);
  }

  #kept(segment: IdSegment): KeptIds {
    const isAnyForgotten = this.#limit > 0 || this.#deviceLimits.size > 0;
    const among = isAnyForgotten ? (slot: number) => this.#isWithinLimits(segment, slot) : null;
    return { expiringAfter: this.#nowSeconds, among };
  }

  #isWithinLimits(segment: IdSegment, slot: number): boolean {
    const steps = this.#stepsAt(segment, slot);
    return steps >= this.#limit && steps >= (this.#deviceLimits.get(segment.deviceAt(slot)) ?? 0);
  }

  #countKept(segment: IdSegment): number {
    return segment.count(this.#kept(segment));
  }

  #sweepOne(): void {
    const index = this.#sweepNext;
    this.#sweepNext = (index + 1) % this.#segmentCount;
    const segment = this.#segments[index];
    if (!segment) return;
    const kept = this.#countKept(segment);
    if (segment.used - kept < segment.used * SWEPT_SHARE_MIN) return;
    const slots = slotsFor(kept + 1, loadAfterRebuild(index, this.#segmentCount));
    this.#replace(index, segment, Math.min(segment.slots, slots));
  }

  #roomySegment(index: number): IdSegment {
    const segment = this.#segments[index];
    if (segment && segment.used < segment.slots * LOAD_MAX) return segment;
    if (segment) return this.#rebuild(index);
    const first = new IdSegment(SLOTS_MIN);
    this.#memory.makeRoom(first.bytes);
    this.#segments[index] = first;
    this.#bytes += first.bytes;
    return first;
  }

  /** Makes room for one id at least: by what has expired, by growing, and by forgetting, in this order. */
  #rebuild(index: number): IdSegment {
    const memory = this.#memory;
    for (let attempt = 0; ; attempt++) {
      // Looking for room may have rebuilt it.
      const old = this.#segments[index] as IdSegment;
      const kept = this.#countKept(old);
      const roomy = slotsFor(kept + 1, loadAfterRebuild(index, this.#segmentCount));
      if (memory.hasRoom((roomy - old.slots) * SLOT_BYTES)) return this.#replace(index, old, roomy);
      if (kept < old.slots * LOAD_AFTER_REBUILD_FULL) return this.#replace(index, old, old.slots);
      const tight = slotsFor(kept + 1, LOAD_AFTER_REBUILD_FULL);
      const bytes = (tight - old.slots) * SLOT_BYTES;
      if (memory.hasRoom(bytes)) return this.#replace(index, old, tight);
      if (attempt === ROOM_ATTEMPTS_MAX) return this.#forgetAlone(index, old);
      if (!memory.sweep(bytes)) memory.forgetMore();
    }
  }

  /** Where nothing else has helped, as in a window of a few kilobytes: the oldest ids of the segment go. */
  #forgetAlone(index: number, old: IdSegment): IdSegment {
    const kept = [...old.slotsOf(this.#kept(old))];
    const steps = Float64Array.from(kept, (slot) => this.#stepsAt(old, slot)).sort();
    const surplus = Math.max(1, kept.length - Math.floor(old.slots * LOAD_AFTER_REBUILD_FULL));
    this.#limit = Math.max(this.#limit, (steps[surplus - 1] ?? 0) + 1);
    return this.#replace(index, old, old.slots);
  }

  #replace(index: number, old: IdSegment, slots: number): IdSegment {
    const fresh = old.rebuilt(slots, this.#kept(old));
    this.#bytes += fresh.bytes - old.bytes;
    this.#ids += fresh.used - old.used;
    this.#segments[index] = fresh;
    return fresh;
  }
}

function slotsFor(ids: number, load: number): number {
  return Math.max(SLOTS_MIN, Math.ceil(ids / load));
}

/** Different for each segment, or all of them would fill up, and be rebuilt, at the same time. */
function loadAfterRebuild(segment: number, segments: number): number {
  return LOAD_AFTER_REBUILD_MIN + (LOAD_AFTER_REBUILD_SPREAD * segment) / segments;
}
