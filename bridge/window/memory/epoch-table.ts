import {
  DEDUP_KEY_BYTES,
  EXACT_EPOCH_BYTES,
  EXACT_EPOCHS_MAX,
  EXACT_SPAN,
  type ExactIds,
} from "../dedup-window.ts";
import type { WindowMemory } from "./window-memory.ts";

const KEY_WORDS = DEDUP_KEY_BYTES / 4;
const EPOCH_WORDS = EXACT_EPOCH_BYTES / 4;
const BITMAP_WORDS = EXACT_SPAN / 32;
const epochAt = KEY_WORDS;
/** When it was seen last, in seconds of stream time; 0 = the slot is empty. */
const seenAt = epochAt + EPOCH_WORDS;
const highLowAt = seenAt + 1;
const highHighAt = highLowAt + 1;
/** Bit s mod EXACT_SPAN stands for the one sequence s of (high − EXACT_SPAN, high] that has this remainder. */
const bitmapAt = highHighAt + 1;
const SLOT_WORDS = bitmapAt + BITMAP_WORDS;
const EPOCH_SLOT_BYTES = SLOT_WORDS * 4;
/** Segments are rebuilt one at a time, so that growing never stops the process for longer than one of them takes. */
const SEGMENTS = 256;
const SLOTS_MIN = 4;
const LOAD_MAX = 0.85;
const LOAD_AFTER_REBUILD_MIN = 0.62;
const LOAD_AFTER_REBUILD_SPREAD = 0.18;
/** Share of a full segment that is forgotten at once, so that it is not rebuilt for each device. */
const FORGOTTEN_SHARE = 1 / 8;
/** Of the window's bytes, for devices in exact mode, which are never forgotten by time; the rest, and what they leave, is for ids. */
const EPOCHS_SHARE_MAX = 1 / 2;

interface Segment {
  words: Uint32Array;
  slots: number;
  used: number;
}

/**
 * Highest sequence and bitmap per device and epoch of one partition: open addressing with linear probing, split into segments by device
 * key. The epochs of a device have the same key and stand behind one another.
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

  /** Had to forget devices for want of room. They may send again what was filed any time before, so this stays. */
  get isShort(): boolean {
    return this.#hasForgotten;
  }

  clear(): void {
    this.#segments = [];
    this.#grow(-this.#bytes);
    this.#epochs = 0;
    this.#hasForgotten = false;
  }

  /** 1 = known. */
  find(ids: ExactIds): Uint8Array {
    const keys = wordsOf(ids.deviceKeys);
    const epochs = wordsOf(ids.epochs);
    const known = new Uint8Array(ids.length);
    for (let index = 0; index < ids.length; index++) {
      const segment = this.#segments[(keys[index * KEY_WORDS + 1] as number) % SEGMENTS];
      if (!segment) continue;
      const slot = epochSlot(segment, { keys, epochs }, index);
      if (slot >= 0 && isKnown(segment.words, slot, ids.sequences[index] as number)) known[index] = 1;
    }
    return known;
  }

  add(ids: ExactIds): void {
    const columns = { keys: wordsOf(ids.deviceKeys), epochs: wordsOf(ids.epochs) };
    for (let index = 0; index < ids.length; index++) {
      const segment = this.#roomySegment((columns.keys[index * KEY_WORDS + 1] as number) % SEGMENTS);
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

  /** An empty slot, or that of the device's epoch that was seen least lately, now this epoch's; -1 where all of them are newer. */
  #freshSlot(segment: Segment, columns: EpochColumns, index: number, seenAtSeconds: number): number {
    const { words } = segment;
    const { slots, end } = deviceSlots(segment, columns.keys, index * KEY_WORDS);
    let slot = end;
    if (slots.length >= EXACT_EPOCHS_MAX) {
      slot = slots.reduce((oldest, other) =>
        (words[other + seenAt] as number) < (words[oldest + seenAt] as number) ? other : oldest,
      );
      if ((words[slot + seenAt] as number) > seenAtSeconds) return -1;
    } else {
      segment.used += 1;
      this.#epochs += 1;
    }
    words.fill(0, slot, slot + SLOT_WORDS);
    for (let word = 0; word < KEY_WORDS; word++)
      words[slot + word] = columns.keys[index * KEY_WORDS + word] as number;
    for (let word = 0; word < EPOCH_WORDS; word++)
      words[slot + epochAt + word] = columns.epochs[index * EPOCH_WORDS + word] as number;
    words[slot + seenAt] = seenAtSeconds;
    return slot;
  }

  /** With room for one more. */
  #roomySegment(index: number): Segment {
    const segment = this.#segments[index];
    if (segment && segment.used + 1 <= segment.slots * LOAD_MAX) return segment;
    if (segment) return this.#rebuild(index, segment);
    const first = { words: new Uint32Array(SLOTS_MIN * SLOT_WORDS), slots: SLOTS_MIN, used: 0 };
    this.#segments[index] = first;
    this.#grow(first.words.byteLength);
    return first;
  }

  #rebuild(index: number, old: Segment): Segment {
    const load = LOAD_AFTER_REBUILD_MIN + (LOAD_AFTER_REBUILD_SPREAD * index) / SEGMENTS;
    const wanted = Math.max(SLOTS_MIN, Math.ceil((old.used + 1) / load));
    const isFull = !this.#hasRoom((wanted - old.slots) * EPOCH_SLOT_BYTES);
    const slots = isFull ? old.slots : wanted;
    const segment = { words: new Uint32Array(slots * SLOT_WORDS), slots, used: 0 };
    const isKept = isFull ? this.#forgetting(old) : (seenAtSeconds: number) => seenAtSeconds > 0;
    for (let at = 0; at < old.words.length; at += SLOT_WORDS)
      if (isKept(old.words[at + seenAt] as number)) copySlot(old.words, at, segment);
    this.#grow(segment.words.byteLength - old.words.byteLength);
    this.#epochs += segment.used - old.used;
    this.#segments[index] = segment;
    return segment;
  }

  /** Its share of the memory is its own: ids make room. */
  #hasRoom(bytes: number): boolean {
    const memory = this.#memory;
    if (bytes <= 0) return true;
    if (memory.epochBytes + bytes > memory.maxBytes * EPOCHS_SHARE_MAX) return false;
    memory.makeRoom(bytes);
    return true;
  }

  #grow(bytes: number): void {
    this.#bytes += bytes;
    this.#memory.epochBytes += bytes;
  }

  /** Says of each epoch in turn whether it stays: those seen least lately go. */
  #forgetting(segment: Segment): (seenAtSeconds: number) => boolean {
    this.#hasForgotten = true;
    const seen = new Uint32Array(segment.used);
    let length = 0;
    for (let at = seenAt; at < segment.words.length; at += SLOT_WORDS)
      if (segment.words[at] !== 0) seen[length++] = segment.words[at] as number;
    seen.sort();
    const gone = Math.ceil(length * FORGOTTEN_SHARE);
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
  return Math.floor((k0 * segment.slots) / 0x1_0000_0000) * SLOT_WORDS;
}

/** Offset of the slot of this device and epoch, or -1. */
function epochSlot(segment: Segment, { keys, epochs }: EpochColumns, index: number): number {
  const { words } = segment;
  const key = index * KEY_WORDS;
  const epoch = index * EPOCH_WORDS;
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
    at += SLOT_WORDS;
    if (at === words.length) at = 0;
  }
  return -1;
}

/** Offsets of all slots of a device, and of the empty one behind them. A segment always has an empty slot. */
function deviceSlots(segment: Segment, keys: Uint32Array, key: number): { slots: number[]; end: number } {
  const { words } = segment;
  const slots: number[] = [];
  let at = firstSlot(segment, keys[key] as number);
  while (words[at + seenAt] !== 0) {
    if (words[at] === keys[key] && words[at + 1] === keys[key + 1] && words[at + 2] === keys[key + 2])
      slots.push(at);
    at += SLOT_WORDS;
    if (at === words.length) at = 0;
  }
  return { slots, end: at };
}

function copySlot(from: Uint32Array, at: number, to: Segment): void {
  let target = firstSlot(to, from[at] as number);
  while (to.words[target + seenAt] !== 0) {
    target += SLOT_WORDS;
    if (target === to.words.length) target = 0;
  }
  to.words.set(from.subarray(at, at + SLOT_WORDS), target);
  to.used += 1;
}

function highOf(words: Uint32Array, slot: number): number {
  return (words[slot + highHighAt] as number) * 2 ** 32 + (words[slot + highLowAt] as number);
}

function isKnown(words: Uint32Array, slot: number, sequence: number): boolean {
  const high = highOf(words, slot);
  if (sequence > high) return false;
  if (sequence <= high - EXACT_SPAN) return true;
  const bit = sequence % EXACT_SPAN;
  return (((words[slot + bitmapAt + (bit >>> 5)] as number) >>> (bit & 31)) & 1) === 1;
}

/** Sets the sequence's bit; where it is the highest now, those in between are unknown. */
function mark(words: Uint32Array, slot: number, sequence: number): void {
  const high = highOf(words, slot);
  const bitmap = slot + bitmapAt;
  if (sequence <= high - EXACT_SPAN) return;
  if (sequence >= high + EXACT_SPAN) words.fill(0, bitmap, bitmap + BITMAP_WORDS);
  else
    for (let between = high + 1; between < sequence; between++) {
      const bit = between % EXACT_SPAN;
      words[bitmap + (bit >>> 5)] = (words[bitmap + (bit >>> 5)] as number) & ~(1 << (bit & 31));
    }
  const bit = sequence % EXACT_SPAN;
  words[bitmap + (bit >>> 5)] = (words[bitmap + (bit >>> 5)] as number) | (1 << (bit & 31));
  if (sequence <= high) return;
  words[slot + highLowAt] = sequence % 2 ** 32;
  words[slot + highHighAt] = Math.floor(sequence / 2 ** 32);
}

/** Copied only where the bytes do not lie on a word boundary. */
function wordsOf(bytes: Uint8Array): Uint32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}
