import { DEDUP_KEY_BYTES } from "../dedup-window.ts";

/**
 * A slot: three words of key, the content hash, and the expiry, where 0 means that the slot is empty. The low bits of the second and the
 * third word are not the key's: they hold the class of the id's window, and the device that sent it. What is left of a key, together
 * with the segment that it chose, is 80 of its 96 bits: among 10 million ids one is taken for another once in 10^17 look-ups.
 */
const SLOT_WORDS = 5;
export const SLOT_BYTES = SLOT_WORDS * 4;
export const KEY_WORDS = DEDUP_KEY_BYTES / 4;
const CLASS_MASK = 0xff;
const DEVICE_MASK = 0xffff;
/** Windows of different lengths that are told apart. */
export const WINDOW_CLASSES = CLASS_MASK + 1;
/** Steps into which a second is divided, by bits of the key, so that a part of the ids of one second can be forgotten. */
export const STEPS_PER_SECOND = 256;

/** What stands in a slot beside its key. */
export interface SlotFacts {
  readonly contentHash: number;
  readonly expiresAtSeconds: number;
  readonly windowClass: number;
  readonly device: number;
}

/** Ids that expire after a second of stream time, and of those the ones that stand in slots of `among`; null = all. */
export interface KeptIds {
  readonly expiringAfter: number;
  readonly among: ((slot: number) => boolean) | null;
}

/** Open addressing with linear probing; always has an empty slot. Keys are parts of a SHA-256, hence evenly spread. */
export class IdSegment {
  readonly words: Uint32Array;
  readonly slots: number;
  used = 0;

  constructor(slots: number) {
    this.words = new Uint32Array(slots * SLOT_WORDS);
    this.slots = slots;
  }

  get bytes(): number {
    return this.words.byteLength;
  }

  /** Offset of the slot that holds the key, or of the empty slot where it belongs. */
  slotOf(k0: number, k1: number, k2: number): number {
    const { words } = this;
    let at = this.#firstSlotOf(k0);
    while (words[at + 4] !== 0) {
      if (words[at] === k0 && isSame(words[at + 1], k1, CLASS_MASK) && isSame(words[at + 2], k2, DEVICE_MASK))
        return at;
      at += SLOT_WORDS;
      if (at === words.length) at = 0;
    }
    return at;
  }

  contentHashAt(slot: number): number {
    return this.words[slot + 3] as number;
  }

  /** 0 = empty. */
  expiryAt(slot: number): number {
    return this.words[slot + 4] as number;
  }

  deviceAt(slot: number): number {
    return (this.words[slot + 2] as number) & DEVICE_MASK;
  }

  windowClassAt(slot: number): number {
    return (this.words[slot + 1] as number) & CLASS_MASK;
  }

  /** 0 to STEPS_PER_SECOND − 1, evenly spread. */
  stepAt(slot: number): number {
    return (this.words[slot + 2] as number) >>> 24;
  }

  write(slot: number, k0: number, k1: number, k2: number, facts: SlotFacts): void {
    const { words } = this;
    words[slot] = k0;
    words[slot + 1] = (k1 & ~CLASS_MASK) | facts.windowClass;
    words[slot + 2] = (k2 & ~DEVICE_MASK) | facts.device;
    words[slot + 3] = facts.contentHash;
    words[slot + 4] = facts.expiresAtSeconds;
  }

  /** Offsets of the slots of kept ids, among the first so many slots: of no time more than of another. */
  *slotsOf(kept: KeptIds, slotsMax = this.slots): Generator<number> {
    const end = Math.min(slotsMax, this.slots) * SLOT_WORDS;
    for (let at = 0; at < end; at += SLOT_WORDS) if (isKept(this.words, at, kept)) yield at;
  }

  count(kept: KeptIds): number {
    const { words } = this;
    let count = 0;
    for (let at = 0; at < words.length; at += SLOT_WORDS) if (isKept(words, at, kept)) count += 1;
    return count;
  }

  /** A segment of so many slots with what is to be kept; it must have room. */
  rebuilt(slots: number, kept: KeptIds): IdSegment {
    const { words } = this;
    const fresh = new IdSegment(slots);
    const to = fresh.words;
    for (let at = 0; at < words.length; at += SLOT_WORDS) {
      if (!isKept(words, at, kept)) continue;
      const target = fresh.#emptySlotOf(words[at] as number);
      for (let word = 0; word < SLOT_WORDS; word++) to[target + word] = words[at + word] as number;
      fresh.used += 1;
    }
    return fresh;
  }

  #firstSlotOf(k0: number): number {
    return Math.floor((k0 * this.slots) / 0x1_0000_0000) * SLOT_WORDS;
  }

  #emptySlotOf(k0: number): number {
    const { words } = this;
    let at = this.#firstSlotOf(k0);
    while (words[at + 4] !== 0) {
      at += SLOT_WORDS;
      if (at === words.length) at = 0;
    }
    return at;
  }
}

function isKept(words: Uint32Array, slot: number, { expiringAfter, among }: KeptIds): boolean {
  return (words[slot + 4] as number) > expiringAfter && (among === null || among(slot));
}

function isSame(word: number | undefined, key: number, mask: number): boolean {
  return (((word as number) ^ key) & ~mask) === 0;
}

/** The keys as words; copied only where they do not lie on a word boundary. */
export function keyWords(keys: Uint8Array): Uint32Array {
  const aligned = keys.byteOffset % 4 === 0 ? keys : keys.slice();
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}
