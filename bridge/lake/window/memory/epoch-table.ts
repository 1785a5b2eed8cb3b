import { dedupKeyBytes, type ExactIds, exactEpochBytes, exactEpochsMax, exactSpan } from "../dedup-window.ts";
import { keyWords as wordsOf } from "./id-segment.ts";
import type { WindowMemory } from "./window-memory.ts";

const wordsPerKey = dedupKeyBytes / 4;
const epochWords = exactEpochBytes / 4;
const bitmapWords = exactSpan / 32;
const epochAt = wordsPerKey;
/** Stream time of the epoch's newest message, in seconds; 0 = the slot is empty. */
const seenAt = epochAt + epochWords;
const highLowAt = seenAt + 1;
const highHighAt = highLowAt + 1;
/** Bit s mod exactSpan stands for the one sequence s in (high − exactSpan, high] with this remainder. */
const bitmapAt = highHighAt + 1;
const slotWords = bitmapAt + bitmapWords;
const epochSlotBytes = slotWords * 4;
/**
 * Segments are rebuilt one at a time, so growing never blocks the process for longer than one segment takes.
 */
const segmentsPerTable = 256;
const slotsMin = 4;
const loadMax = 0.85;
const loadAfterRebuildMin = 0.62;
const loadAfterRebuildSpread = 0.18;
/** Share of a full segment that is forgotten at once, so that the segment is not rebuilt for each device. */
const forgottenShare = 1 / 8;
/**
 * Share of the window's bytes for devices in exact mode, which are never forgotten by time. Ids get the rest.
 */
const epochsShareMax = 1 / 2;

interface Segment {
  words: Uint32Array;
  slots: number;
  used: number;
}

/**
 * Highest sequence and bitmap per device and epoch of one partition: open addressing with linear probing,
 * split into segments by device key. The epochs of a device have the same key and are in one probe sequence.
 */
export class EpochTable {
  readonly #memory: WindowMemory;
  #segments: (Segment | undefined)[] = [];
  #bytes = 0;
  #epochs = 0;
  #hasForgotten = false;

  constructor(memory: WindowMemory) {
    this.#memory = memory;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get epochs(): number {
    return this.#epochs;
  }

  /**
   * Whether devices were forgotten for lack of room. Permanent, because those devices may resend messages of
   * any age.
   */
  get isShort(): boolean {
    return this.#hasForgotten;
  }

  clear(): void {
    this.#segments = [];
    this.#grow(-this.#bytes);
    this.#epochs = 0;
    this.#hasForgotten = false;
  }

  /** One byte per id: 1 = known. */
  find(ids: ExactIds): Uint8Array {
    const keys = wordsOf(ids.deviceKeys);
    const epochs = wordsOf(ids.epochs);
    const known = new Uint8Array(ids.length);
    for (let index = 0; index < ids.length; index++) {
      const segment = this.#segments[(keys[index * wordsPerKey + 1] as number) % segmentsPerTable];
      if (!segment) continue;
      const slot = epochSlot(segment, { keys, epochs }, index);
      if (slot >= 0 && isKnown(segment.words, slot, ids.sequences[index] as number)) known[index] = 1;
    }
    return known;
  }

  add(ids: ExactIds): void {
    const columns = { keys: wordsOf(ids.deviceKeys), epochs: wordsOf(ids.epochs) };
    for (let index = 0; index < ids.length; index++) {
      const segment = this.#roomySegment(
        (columns.keys[index * wordsPerKey + 1] as number) % segmentsPerTable,
      );
      const seenAtSeconds = Math.max(1, ids.seenAtSeconds[index] as number);
      let slot = epochSlot(segment, columns, index);
      if (slot < 0) {
        slot = this.#freshSlot(segment, columns, index, seenAtSeconds);
        if (slot < 0) continue;
      }
      mark(segment.words, slot, ids.sequences[index] as number);
      if (seenAtSeconds > (segment.words[slot + seenAt] as number))
        segment.words[slot + seenAt] = seenAtSeconds;
    }
  }

  /**
   * An empty slot, or the slot of the device's oldest epoch, prepared for this epoch; -1 if all kept epochs
   * are newer.
   */
  #freshSlot(segment: Segment, columns: EpochColumns, index: number, seenAtSeconds: number): number {
    const { words } = segment;
    const { slots, end } = deviceSlots(segment, columns.keys, index * wordsPerKey);
    let slot = end;
    if (slots.length >= exactEpochsMax) {
      slot = slots.reduce((oldest, other) =>
        (words[other + seenAt] as number) < (words[oldest + seenAt] as number) ? other : oldest,
      );
      if ((words[slot + seenAt] as number) > seenAtSeconds) return -1;
    } else {
      segment.used += 1;
      this.#epochs += 1;
    }
    words.fill(0, slot, slot + slotWords);
    for (let word = 0; word < wordsPerKey; word++)
      words[slot + word] = columns.keys[index * wordsPerKey + word] as number;
    for (let word = 0; word < epochWords; word++)
      words[slot + epochAt + word] = columns.epochs[index * epochWords + word] as number;
    words[slot + seenAt] = seenAtSeconds;
    return slot;
  }

  /** A segment with room for one more epoch. */
  #roomySegment(index: number): Segment {
    const segment = this.#segments[index];
    if (segment && segment.used + 1 <= segment.slots * loadMax) return segment;
    if (segment) return this.#rebuild(index, segment);
    const first = { words: new Uint32Array(slotsMin * slotWords), slots: slotsMin, used: 0 };
    this.#segments[index] = first;
    this.#grow(first.words.byteLength);
    return first;
  }

  #rebuild(index: number, old: Segment): Segment {
    const load = loadAfterRebuildMin + (loadAfterRebuildSpread * index) / segmentsPerTable;
    const wanted = Math.max(slotsMin, Math.ceil((old.used + 1) / load));
    const isFull = !this.#hasRoom((wanted - old.slots) * epochSlotBytes);
    const slots = isFull ? old.slots : wanted;
    const segment = { words: new Uint32Array(slots * slotWords), slots, used: 0 };
    const isKept = isFull ? this.#forgetting(old) : (seenAtSeconds: number) => seenAtSeconds > 0;
    for (let at = 0; at < old.words.length; at += slotWords)
      if (isKept(old.words[at + seenAt] as number)) copySlot(old.words, at, segment);
    this.#grow(segment.words.byteLength - old.words.byteLength);
    this.#epochs += segment.used - old.used;
    this.#segments[index] = segment;
    return segment;
  }

  /** Epochs own their share of the memory: ids are forgotten to make room. */
  #hasRoom(bytes: number): boolean {
    const memory = this.#memory;
    if (bytes <= 0) return true;
    if (memory.epochBytes + bytes > memory.maxBytes * epochsShareMax) return false;
    memory.makeRoom(bytes);
    return true;
  }

  #grow(bytes: number): void {
    this.#bytes += bytes;
    this.#memory.epochBytes += bytes;
  }

  /**
   * Returns a function that decides for each epoch in turn whether to keep it. Epochs with the oldest
   * messages go.
   */
  #forgetting(segment: Segment): (seenAtSeconds: number) => boolean {
    this.#hasForgotten = true;
    const seen = new Uint32Array(segment.used);
    let length = 0;
    for (let at = seenAt; at < segment.words.length; at += slotWords)
      if (segment.words[at] !== 0) seen[length++] = segment.words[at] as number;
    seen.sort();
    const gone = Math.ceil(length * forgottenShare);
    const threshold = seen[gone - 1] ?? 0;
    let goneAtThreshold = gone - seen.indexOf(threshold);
    return (seenAtSeconds) => {
      if (seenAtSeconds === 0 || seenAtSeconds < threshold) return false;
      return seenAtSeconds > threshold || goneAtThreshold-- <= 0;
    };
  }
}

interface EpochColumns {
  readonly keys: Uint32Array;
  readonly epochs: Uint32Array;
}

function firstSlot(segment: Segment, k0: number): number {
  return Math.floor((k0 * segment.slots) / 0x1_0000_0000) * slotWords;
}

/** Offset of the slot of this device and epoch; -1 = none. */
function epochSlot(segment: Segment, { keys, epochs }: EpochColumns, index: number): number {
  const { words } = segment;
  const key = index * wordsPerKey;
  const epoch = index * epochWords;
  let at = firstSlot(segment, keys[key] as number);
  while (words[at + seenAt] !== 0) {
    if (
      words[at] === keys[key] &&
      words[at + 1] === keys[key + 1] &&
      words[at + 2] === keys[key + 2] &&
      words[at + epochAt] === epochs[epoch] &&
      words[at + epochAt + 1] === epochs[epoch + 1]
    )
      return at;
    at += slotWords;
    if (at === words.length) at = 0;
  }
  return -1;
}

/** Offsets of all slots of a device, and of the empty slot after them. A segment always has an empty slot. */
function deviceSlots(segment: Segment, keys: Uint32Array, key: number): { slots: number[]; end: number } {
  const { words } = segment;
  const slots: number[] = [];
  let at = firstSlot(segment, keys[key] as number);
  while (words[at + seenAt] !== 0) {
    if (words[at] === keys[key] && words[at + 1] === keys[key + 1] && words[at + 2] === keys[key + 2])
      slots.push(at);
    at += slotWords;
    if (at === words.length) at = 0;
  }
  return { slots, end: at };
}

function copySlot(from: Uint32Array, at: number, to: Segment): void {
  let target = firstSlot(to, from[at] as number);
  while (to.words[target + seenAt] !== 0) {
    target += slotWords;
    if (target === to.words.length) target = 0;
  }
  to.words.set(from.subarray(at, at + slotWords), target);
  to.used += 1;
}

function highOf(words: Uint32Array, slot: number): number {
  return (words[slot + highHighAt] as number) * 2 ** 32 + (words[slot + highLowAt] as number);
}

function isKnown(words: Uint32Array, slot: number, sequence: number): boolean {
  const high = highOf(words, slot);
  if (sequence > high) return false;
  if (sequence <= high - exactSpan) return true;
  const bit = sequence % exactSpan;
  return (((words[slot + bitmapAt + (bit >>> 5)] as number) >>> (bit & 31)) & 1) === 1;
}

/** Sets the sequence's bit. If the sequence is the new highest, clears the bits of those in between. */
function mark(words: Uint32Array, slot: number, sequence: number): void {
  const high = highOf(words, slot);
  const bitmap = slot + bitmapAt;
  if (sequence <= high - exactSpan) return;
  if (sequence >= high + exactSpan) words.fill(0, bitmap, bitmap + bitmapWords);
  else
    for (let between = high + 1; between < sequence; between++) {
      const bit = between % exactSpan;
      words[bitmap + (bit >>> 5)] = (words[bitmap + (bit >>> 5)] as number) & ~(1 << (bit & 31));
    }
  const bit = sequence % exactSpan;
  words[bitmap + (bit >>> 5)] = (words[bitmap + (bit >>> 5)] as number) | (1 << (bit & 31));
  if (sequence <= high) return;
  words[slot + highLowAt] = sequence % 2 ** 32;
  words[slot + highHighAt] = Math.floor(sequence / 2 ** 32);
}
