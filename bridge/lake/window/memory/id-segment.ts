import { dedupKeyBytes } from "../dedup-window.ts";

/**
 * A slot: three words of key, the content hash, and the expiry (0 = the slot is empty). The low bits of the
 * second and third word are not part of the key; they hold the class of the id's window, and its device. The
 * rest of the key and the choice of the segment amount to 80 of the key's 96 bits. Among 10 million ids, two
 * are confused once in 10^17 look-ups.
 */
const slotWords = 5;
export const slotBytes = slotWords * 4;
export const wordsPerKey = dedupKeyBytes / 4;
const classMask = 0xff;
const deviceMask = 0xffff;
/** Number of window lengths that are distinguished. */
export const windowClasses = classMask + 1;
/** Steps per second, chosen by bits of the key, so that a part of one second's ids can be forgotten. */
export const stepsPerSecond = 256;

/** The content of a slot apart from its key. */
export interface SlotFacts {
  readonly contentHash: number;
  readonly expiresAtSeconds: number;
  readonly windowClass: number;
  readonly device: number;
}

/**
 * Selects ids that expire after this stream time, in seconds; if `among` is not null, only slots for which it
 * returns true.
 */
export interface KeptIds {
  readonly expiringAfter: number;
  readonly among: ((slot: number) => boolean) | null;
}

/**
 * Open addressing with linear probing; always has an empty slot. Keys are parts of a SHA-256, so they are
 * evenly spread.
 */
export class IdSegment {
  readonly words: Uint32Array;
  readonly slots: number;
  used = 0;

  constructor(slots: number) {
    this.words = new Uint32Array(slots * slotWords);
    this.slots = slots;
  }

  get bytes(): number {
    return this.words.byteLength;
  }

  /** Offset of the slot with this key, or of the empty slot for it. */
  slotOf(k0: number, k1: number, k2: number): number {
    const { words } = this;
    let at = this.#firstSlotOf(k0);
    while (words[at + 4] !== 0) {
      if (words[at] === k0 && isSame(words[at + 1], k1, classMask) && isSame(words[at + 2], k2, deviceMask))
        return at;
      at += slotWords;
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
    return (this.words[slot + 2] as number) & deviceMask;
  }

  windowClassAt(slot: number): number {
    return (this.words[slot + 1] as number) & classMask;
  }

  /** 0 to stepsPerSecond − 1, evenly spread. */
  stepAt(slot: number): number {
    return (this.words[slot + 2] as number) >>> 24;
  }

  write(slot: number, k0: number, k1: number, k2: number, facts: SlotFacts): void {
    const { words } = this;
    words[slot] = k0;
    words[slot + 1] = (k1 & ~classMask) | facts.windowClass;
    words[slot + 2] = (k2 & ~deviceMask) | facts.device;
    words[slot + 3] = facts.contentHash;
    words[slot + 4] = facts.expiresAtSeconds;
  }

  /**
   * Offsets of the kept ids among the first `slotsMax` slots. Slots do not depend on time, so this is a fair
   * sample.
   */
  *slotsOf(kept: KeptIds, slotsMax = this.slots): Generator<number> {
    const end = Math.min(slotsMax, this.slots) * slotWords;
    for (let at = 0; at < end; at += slotWords) if (isKept(this.words, at, kept)) yield at;
  }

  count(kept: KeptIds): number {
    const { words } = this;
    let count = 0;
    for (let at = 0; at < words.length; at += slotWords) if (isKept(words, at, kept)) count += 1;
    return count;
  }

  /** A copy with this many slots and only the kept ids, which must fit. */
  rebuilt(slots: number, kept: KeptIds): IdSegment {
    const { words } = this;
    const fresh = new IdSegment(slots);
    const to = fresh.words;
    for (let at = 0; at < words.length; at += slotWords) {
      if (!isKept(words, at, kept)) continue;
      const target = fresh.#emptySlotOf(words[at] as number);
      for (let word = 0; word < slotWords; word++) to[target + word] = words[at + word] as number;
      fresh.used += 1;
    }
    return fresh;
  }

  #firstSlotOf(k0: number): number {
    return Math.floor((k0 * this.slots) / 0x1_0000_0000) * slotWords;
  }

  #emptySlotOf(k0: number): number {
    const { words } = this;
    let at = this.#firstSlotOf(k0);
    while (words[at + 4] !== 0) {
      at += slotWords;
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

/** The keys as words; copied only if they are not aligned to words. */
export function keyWords(keys: Uint8Array): Uint32Array {
  const aligned = keys.byteOffset % 4 === 0 ? keys : keys.slice();
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}
