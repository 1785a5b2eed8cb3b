import { DEDUP_KEY_BYTES, type WindowEntries, type WindowHits } from "../dedup-window.ts";

/** A slot: three words of key, the content hash, and the expiry, where 0 means that the slot is empty. */
const SLOT_WORDS = 5;
export const SLOT_BYTES = SLOT_WORDS * 4;
const KEY_WORDS = DEDUP_KEY_BYTES / 4;
/** Segments are rebuilt one at a time, so that growing or forgetting never stops the process for longer than one of them takes. */
const SEGMENTS = 256;
const SLOTS_MIN = 16;
const LOAD_MAX = 0.75;
const LOAD_AFTER_REBUILD_MIN = 0.5;
const LOAD_AFTER_REBUILD_SPREAD = 0.2;
/** Stream time in which the sweep passes over the whole table. */
const SWEEP_SECONDS = 60;
const SWEPT_SEGMENTS_MAX = 32;
const SWEPT_SHARE_MIN = 1 / 8;

interface Segment {
  words: Uint32Array;
  slots: number;
  used: number;
}

/**
 * Ids of one partition: open addressing with linear probing in typed arrays, split into segments by key.
 * Nothing is ever deleted in place: a segment that fills up, or holds enough expired ids, is rebuilt from its living ones.
 * Keys are parts of a SHA-256, hence evenly spread.
 */
export class IdTable {
  readonly #maxBytes: () => number;
  #bytes = 0;
  #segments: (Segment | undefined)[] = [];
  #sweepNext = 0;
  #sweptAtSeconds = 0;
  #nowSeconds = 0;
  #ids = 0;
  #newestExpirySeconds = 0;
  #forgottenUpToSeconds = 0;

  /** @param options.maxBytes Asked anew whenever it grows. */
  constructor(options: { maxBytes: () => number }) {
    this.#maxBytes = options.maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get ids(): number {
    return this.#ids;
  }

  /** Ids up to this expiry were forgotten before their time; past while it is below stream time. */
  get isShort(): boolean {
    return this.#forgottenUpToSeconds > this.#nowSeconds;
  }

  /** Between the oldest expiry that is surely known and the newest one. */
  get spanSeconds(): number {
    return Math.max(0, this.#newestExpirySeconds - Math.max(this.#forgottenUpToSeconds, this.#nowSeconds));
  }

  clear(): void {
    this.#segments = [];
    this.#bytes = 0;
    this.#sweepNext = 0;
    this.#sweptAtSeconds = 0;
    this.#nowSeconds = 0;
    this.#ids = 0;
    this.#newestExpirySeconds = 0;
    this.#forgottenUpToSeconds = 0;
  }

  find(keys: Uint8Array): Omit<WindowHits, "known"> {
    const words = keyWords(keys);
    const length = words.length / KEY_WORDS;
    const contentHashes = new Uint32Array(length);
    const expiresAtSeconds = new Uint32Array(length);
    for (let index = 0, at = 0; index < length; index++, at += KEY_WORDS) {
      const k0 = words[at] as number;
      const k1 = words[at + 1] as number;
      const segment = this.#segments[k1 % SEGMENTS];
      if (!segment) continue;
      const slot = slotOf(segment, k0, k1, words[at + 2] as number);
      contentHashes[index] = segment.words[slot + 3] as number;
      expiresAtSeconds[index] = segment.words[slot + 4] as number;
    }
    return { contentHashes, expiresAtSeconds };
  }

  /** Where an id is known already, the later expiry wins, so that the order of adding makes no difference. */
  add(entries: WindowEntries): void {
    const words = keyWords(entries.keys);
    for (let index = 0, at = 0; index < entries.length; index++, at += KEY_WORDS) {
      const expiry = entries.expiresAtSeconds[index] as number;
      if (expiry <= this.#nowSeconds) continue;
      if (expiry > this.#newestExpirySeconds) this.#newestExpirySeconds = expiry;
      const k0 = words[at] as number;
      const k1 = words[at + 1] as number;
      const k2 = words[at + 2] as number;
      const segment = this.#roomySegment(k1 % SEGMENTS);
      const slot = slotOf(segment, k0, k1, k2);
      const known = segment.words[slot + 4] as number;
      if (known >= expiry) continue;
      if (known === 0) {
        segment.used += 1;
        this.#ids += 1;
      }
      write(segment.words, slot, k0, k1, k2, entries.contentHashes[index] as number, expiry);
    }
  }

  /** Moves stream time on and frees a bounded part of what has expired. */
  advance(streamTimeMs: number): void {
    const seconds = Math.floor(streamTimeMs / 1000);
    if (seconds <= this.#nowSeconds) return;
    if (this.#nowSeconds === 0) this.#sweptAtSeconds = seconds;
    this.#nowSeconds = seconds;
    const elapsed = seconds - this.#sweptAtSeconds;
    const due = Math.floor((elapsed * SEGMENTS) / SWEEP_SECONDS);
    if (due === 0) return;
    this.#sweptAtSeconds = seconds;
    for (let count = Math.min(due, SWEPT_SEGMENTS_MAX); count > 0; count--) this.#sweepOne();
  }

  #sweepOne(): void {
    const index = this.#sweepNext;
    this.#sweepNext = (index + 1) % SEGMENTS;
    const segment = this.#segments[index];
    if (!segment) return;
    const living = countLiving(segment, this.#nowSeconds);
    if (segment.used - living >= segment.used * SWEPT_SHARE_MIN) this.#rebuild(index, segment, living);
  }

  #roomySegment(index: number): Segment {
    const segment = this.#segments[index];
    if (segment && segment.used < segment.slots * LOAD_MAX) return segment;
    if (segment) return this.#rebuild(index, segment, countLiving(segment, this.#nowSeconds));
    const first = { words: new Uint32Array(SLOTS_MIN * SLOT_WORDS), slots: SLOTS_MIN, used: 0 };
    this.#segments[index] = first;
    this.#bytes += first.words.byteLength;
    return first;
  }

  #rebuild(index: number, old: Segment, living: number): Segment {
    const allowedBytes = this.#maxBytes() - this.#bytes + old.words.byteLength;
    const slotsMax = Math.max(SLOTS_MIN, Math.floor(allowedBytes / SLOT_BYTES));
    const load = loadAfterRebuild(index);
    const slotsWanted = Math.max(SLOTS_MIN, Math.ceil((living + 1) / load));
    const slots = Math.min(slotsWanted, slotsMax);
    const kept = Math.min(living, Math.floor(slots * load));
    const words = new Uint32Array(slots * SLOT_WORDS);
    const segment = { words, slots, used: 0 };
    this.#copyLiving(old, segment, living - kept);
    this.#bytes += words.byteLength - old.words.byteLength;
    this.#ids += segment.used - old.used;
    this.#segments[index] = segment;
    return segment;
  }

  /** Copies all ids that have not expired but the `forget` oldest ones. */
  #copyLiving(from: Segment, to: Segment, forget: number): void {
    const now = this.#nowSeconds;
    const threshold = forget > 0 ? nthSmallestExpiry(from, now, forget) : 0;
    let forgettable = forget;
    if (forget > 0) forgettable = forget - countBelow(from, now, threshold);
    if (threshold > this.#forgottenUpToSeconds) this.#forgottenUpToSeconds = threshold;
    const { words } = from;
    for (let at = 0; at < words.length; at += SLOT_WORDS) {
      const expiry = words[at + 4] as number;
      if (expiry <= now || expiry < threshold) continue;
      if (expiry === threshold && forgettable > 0) {
        forgettable -= 1;
        continue;
      }
      const k0 = words[at] as number;
      const k1 = words[at + 1] as number;
      const k2 = words[at + 2] as number;
      write(to.words, slotOf(to, k0, k1, k2), k0, k1, k2, words[at + 3] as number, expiry);
      to.used += 1;
    }
  }
}

/** Different for each segment, or all of them would fill up, and be rebuilt, at the same time. */
function loadAfterRebuild(segment: number): number {
  return LOAD_AFTER_REBUILD_MIN + (LOAD_AFTER_REBUILD_SPREAD * segment) / SEGMENTS;
}

/** Offset of the slot that holds the key, or of the empty slot where it belongs. A segment always has an empty slot. */
function slotOf(segment: Segment, k0: number, k1: number, k2: number): number {
  const { words } = segment;
  let at = Math.floor((k0 * segment.slots) / 0x1_0000_0000) * SLOT_WORDS;
  while (words[at + 4] !== 0) {
    if (words[at] === k0 && words[at + 1] === k1 && words[at + 2] === k2) return at;
    at += SLOT_WORDS;
    if (at === words.length) at = 0;
  }
  return at;
}

function write(
  words: Uint32Array,
  at: number,
  k0: number,
  k1: number,
  k2: number,
  contentHash: number,
  expiry: number,
): void {
  words[at] = k0;
  words[at + 1] = k1;
  words[at + 2] = k2;
  words[at + 3] = contentHash;
  words[at + 4] = expiry;
}

function countLiving(segment: Segment, nowSeconds: number): number {
  const { words } = segment;
  let living = 0;
  for (let at = 4; at < words.length; at += SLOT_WORDS) if ((words[at] as number) > nowSeconds) living += 1;
  return living;
}

function countBelow(segment: Segment, nowSeconds: number, threshold: number): number {
  const { words } = segment;
  let below = 0;
  for (let at = 4; at < words.length; at += SLOT_WORDS) {
    const expiry = words[at] as number;
    if (expiry > nowSeconds && expiry < threshold) below += 1;
  }
  return below;
}

function nthSmallestExpiry(segment: Segment, nowSeconds: number, nth: number): number {
  const expiries = new Uint32Array(segment.used);
  let length = 0;
  for (let at = 4; at < segment.words.length; at += SLOT_WORDS) {
    const expiry = segment.words[at] as number;
    if (expiry > nowSeconds) expiries[length++] = expiry;
  }
  return expiries.subarray(0, length).sort()[nth - 1] ?? 0;
}

/** The keys as words; copied only where they do not lie on a word boundary. */
function keyWords(keys: Uint8Array): Uint32Array {
  const aligned = keys.byteOffset % 4 === 0 ? keys : keys.slice();
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}
