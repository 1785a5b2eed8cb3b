import type { WindowEntries, WindowHits } from "../dedup-window.ts";
import type { ForgettingPlan } from "./forgetting-plan.ts";
import { IdSegment, type KeptIds, keyWords, slotBytes, stepsPerSecond, wordsPerKey } from "./id-segment.ts";
import { loadAfterRebuild, loadAfterRebuildFull, loadMax, slotsFor, slotsMin } from "./segment-load.ts";
import type { ForgettingTable, WindowMemory } from "./window-memory.ts";

/**
 * Segments are rebuilt one at a time, so growing or forgetting never blocks the process for longer than one
 * segment takes.
 */
const segmentsMax = 256;
/**
 * Minimum bytes of a segment in a full window. Smaller segments differ too much in how many ids they hold.
 */
const segmentBytesMin = 65_536;
/** Attempts to find room before a segment forgets its own ids. */
const roomAttemptsMax = 8;
/** Stream time in which the sweep visits all segments. */
const sweepSeconds = 60;
const sweptSegmentsMax = 32;
const sweptShareMin = 1 / 8;
/** Share of its bytes that a rebuild must free. */
const shrunkShareMin = 1 / 32;

/**
 * Ids of one partition, split into segments by key. Ids are never deleted in place. A segment that is full,
 * or has enough expired or forgotten ids, is rebuilt from the other ids.
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
  /** The times of the first and the last `idle` after the newest id; null = none. */
  #idle: { readonly fromMs: number; readonly toMs: number } | null = null;
  /** In steps: ids filed before this are forgotten. */
  #limit = 0;
  /** The same limit for each device over its share. */
  #deviceLimits = new Map<number, number>();

  constructor(memory: WindowMemory, partitionCount: number) {
    this.#memory = memory;
    const segments = memory.maxBytes / Math.max(1, partitionCount) / segmentBytesMin;
    const powerOfTwo = 2 ** Math.floor(Math.log2(Math.max(1, segments)));
    this.#segmentCount = Math.min(segmentsMax, powerOfTwo);
  }

  get bytes(): number {
    return this.#bytes;
  }

  get slots(): number {
    return this.#bytes / slotBytes;
  }

  get ids(): number {
    return this.#ids;
  }

  /** Whether no id was ever added. */
  get isNew(): boolean {
    return this.#newestFiledSeconds === 0;
  }

  /** Whether unexpired ids are missing, apart from those of devices over their share. */
  get isShort(): boolean {
    return this.#isMissing(this.#limit);
  }

  /**
   * Span before the newest id in which all ids are known, except those of devices over their share; 0 = no
   * span.
   */
  get spanSeconds(): number {
    const longest = this.#memory.windows.longestSeconds;
    const sinceLimit = this.#ageZeroSeconds - Math.ceil(this.#limit / stepsPerSecond);
    return Math.max(0, Math.min(longest, sinceLimit));
  }

  /** Devices with missing ids because they are over their share. */
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
    this.#idle = null;
    this.#limit = 0;
    this.#deviceLimits.clear();
  }

  find(keys: Uint8Array): Omit<WindowHits, "known"> {
    const words = keyWords(keys);
    const length = words.length / wordsPerKey;
    const contentHashes = new Uint32Array(length);
    const expiresAtSeconds = new Uint32Array(length);
    for (let index = 0, at = 0; index < length; index++, at += wordsPerKey) {
      const k1 = words[at + 1] as number;
      const segment = this.#segments[k1 % this.#segmentCount];
      if (!segment) continue;
      const slot = segment.slotOf(words[at] as number, k1, words[at + 2] as number);
      contentHashes[index] = segment.contentHashAt(slot);
      expiresAtSeconds[index] = segment.expiryAt(slot);
    }
    return { contentHashes, expiresAtSeconds };
  }

  /** If an id is known already, the later expiry wins, so the order of adding does not matter. */
  add(entries: WindowEntries): void {
    const { windows } = this.#memory;
    const words = keyWords(entries.keys);
    for (let index = 0, at = 0; index < entries.length; index++, at += wordsPerKey) {
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

  /** Advances stream time, and frees a bounded part of the expired ids. */
  advance(streamTimeMs: number): void {
    const seconds = Math.floor(streamTimeMs / 1000);
    if (seconds <= this.#nowSeconds) return;
    if (this.#nowSeconds === 0) this.#sweptAtSeconds = seconds;
    this.#nowSeconds = seconds;
    for (const [device, limit] of this.#deviceLimits)
      if (!this.#isMissing(limit)) this.#deviceLimits.delete(device);
    const elapsed = seconds - this.#sweptAtSeconds;
    const due = Math.floor((elapsed * this.#segmentCount) / sweepSeconds);
    if (due === 0) return;
    this.#sweptAtSeconds = seconds;
    for (let count = Math.min(due, sweptSegmentsMax); count > 0; count--) this.#sweepOne();
  }

  /** All appended messages are filed. Until the next id, the ids age by the time between two calls. */
  idle(nowMs: number): void {
    this.#idle = { fromMs: this.#idle?.fromMs ?? nowMs, toMs: nowMs };
  }

  sample(into: { ages: number[]; devices: number[] }, share: number): void {
    const newest = (this.#ageZeroSeconds + 1) * stepsPerSecond;
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
    const newest = (this.#ageZeroSeconds + 1) * stepsPerSecond;
    this.#limit = Math.max(this.#limit, newest - age + 1);
    for (const [device, deviceAge] of deviceAges)
      this.#deviceLimits.set(device, Math.max(this.#deviceLimits.get(device) ?? 0, newest - deviceAge + 1));
  }

  shrink(turn: number): void {
    const index = turn % this.#segmentCount;
    const segment = this.#segments[index];
    if (!segment) return;
    const kept = this.#countKept(segment);
    const slots = slotsFor(kept + 1, loadAfterRebuildFull);
    if (segment.slots - slots >= segment.slots * shrunkShareMin) this.#replace(index, segment, slots);
  }

  /** The least stream time of a new message of this partition, seconds. The age of ids counts from it. */
  get #ageZeroSeconds(): number {
    const idleMs = this.#idle === null ? 0 : this.#idle.toMs - this.#idle.fromMs;
    return this.#newestFiledSeconds + Math.floor(idleMs / 1000);
  }

  #filed(seconds: number): void {
    if (seconds <= this.#newestFiledSeconds) return;
    this.#newestFiledSeconds = seconds;
    this.#idle = null;
    // An idle partition ages with the others, and then continues at its own time: of ids filed from here on,
    // none is missing.
    const steps = seconds * stepsPerSecond;
    if (steps >= this.#limit) return;
    this.#limit = steps;
    for (const [device, limit] of this.#deviceLimits) this.#deviceLimits.set(device, Math.min(limit, steps));
  }

  #isMissing(limit: number): boolean {
    return limit > 0 && limit / stepsPerSecond + this.#memory.windows.longestSeconds > this.#nowSeconds;
  }

  #stepsAt(segment: IdSegment, slot: number): number {
    const windowSeconds = this.#memory.windows.secondsOf(segment.windowClassAt(slot));
    return (segment.expiryAt(slot) - windowSeconds) * stepsPerSecond + segment.stepAt(slot);
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
    if (segment.used - kept < segment.used * sweptShareMin) return;
    const slots = slotsFor(kept + 1, loadAfterRebuild(index, this.#segmentCount));
    this.#replace(index, segment, Math.min(segment.slots, slots));
  }

  #roomySegment(index: number): IdSegment {
    const segment = this.#segments[index];
    if (segment && segment.used < segment.slots * loadMax) return segment;
    if (segment) return this.#rebuild(index);
    const first = new IdSegment(slotsMin);
    this.#memory.makeRoom(first.bytes);
    this.#segments[index] = first;
    this.#bytes += first.bytes;
    return first;
  }

  /**
   * Makes room for at least one id: by dropping expired ids, by growing, and by forgetting, in this order.
   */
  #rebuild(index: number): IdSegment {
    const memory = this.#memory;
    for (let attempt = 0; ; attempt++) {
      // `sweep` or `forgetMore` may have rebuilt the segment.
      const old = this.#segments[index] as IdSegment;
      const kept = this.#countKept(old);
      const roomy = slotsFor(kept + 1, loadAfterRebuild(index, this.#segmentCount));
      if (memory.hasRoom((roomy - old.slots) * slotBytes)) return this.#replace(index, old, roomy);
      if (kept < old.slots * loadAfterRebuildFull) return this.#replace(index, old, old.slots);
      const tight = slotsFor(kept + 1, loadAfterRebuildFull);
      const bytes = (tight - old.slots) * slotBytes;
      if (memory.hasRoom(bytes)) return this.#replace(index, old, tight);
      if (attempt === roomAttemptsMax) return this.#forgetAlone(index, old);
      if (!memory.sweep(bytes)) memory.forgetMore();
    }
  }

  /** The last resort, for example in a window of a few kilobytes: forgets the segment's oldest ids. */
  #forgetAlone(index: number, old: IdSegment): IdSegment {
    const kept = [...old.slotsOf(this.#kept(old))];
    const steps = Float64Array.from(kept, (slot) => this.#stepsAt(old, slot)).sort();
    const surplus = Math.max(1, kept.length - Math.floor(old.slots * loadAfterRebuildFull));
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
