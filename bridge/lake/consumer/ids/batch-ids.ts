import { dedupKeyBytes, type WindowEntries } from "../../window/dedup-window.ts";
import { columnsPart, copyColumns, windowColumns } from "../../window/window-columns.ts";
import { ExactIdColumns } from "./exact-id-columns.ts";

const wordsPerKey = dedupKeyBytes / 4;
const slotsFirst = 128;

/** What a window keeps with an id's key. */
export interface IdFacts {
  readonly contentHash: number;
  readonly expiresAtSeconds: number;
  readonly filedAtSeconds: number;
  readonly device: number;
}

/** Ids of one partition in the open batch: columns in filing order, and an index over them. */
export class BatchIds {
  #length = 0;
  #columns = windowColumns(slotsFirst / 2);
  /** The key column as words. */
  #keys = new Uint32Array(this.#columns.keys.buffer);
  /** Row + 1, open addressing; 0 = empty. At most half full. */
  #slots = new Int32Array(slotsFirst);
  /** Exact ids among them. */
  readonly exact = new ExactIdColumns();

  get length(): number {
    return this.#length;
  }

  /** Row of the key at `keys[at]`, or -1. */
  find(keys: Uint32Array, at: number): number {
    return (this.#slots[this.#slotOf(keys, at)] as number) - 1;
  }

  contentHash(row: number): number {
    return this.#columns.contentHashes[row] as number;
  }

  expiresAtSeconds(row: number): number {
    return this.#columns.expiresAtSeconds[row] as number;
  }

  /** Adds the key at `keys[at]`, or updates its facts. */
  set(keys: Uint32Array, at: number, facts: IdFacts): void {
    let row = this.find(keys, at);
    if (row < 0) {
      if ((this.#length + 1) * 2 > this.#slots.length) this.#grow();
      const slot = this.#slotOf(keys, at);
      row = this.#append(keys, at);
      this.#slots[slot] = row + 1;
    }
    this.#columns.contentHashes[row] = facts.contentHash;
    this.#columns.expiresAtSeconds[row] = facts.expiresAtSeconds;
    this.#columns.filedAtSeconds[row] = facts.filedAtSeconds;
    this.#columns.devices[row] = facts.device;
  }

  /** Views, valid until the next change. */
  entries(): WindowEntries {
    const exact = this.exact.ids();
    return { ...columnsPart(this.#columns, 0, this.#length), ...(exact && { exact }) };
  }

  #append(keys: Uint32Array, at: number): number {
    const row = this.#length++;
    this.#keys[row * wordsPerKey] = keys[at] as number;
    this.#keys[row * wordsPerKey + 1] = keys[at + 1] as number;
    this.#keys[row * wordsPerKey + 2] = keys[at + 2] as number;
    return row;
  }

  /** The slot with this key, or the empty slot for it. */
  #slotOf(keys: Uint32Array, at: number): number {
    const k0 = keys[at] as number;
    const k1 = keys[at + 1] as number;
    const k2 = keys[at + 2] as number;
    const mask = this.#slots.length - 1;
    let slot = k0 & mask;
    for (;;) {
      const row = (this.#slots[slot] as number) - 1;
      if (row < 0) return slot;
      const start = row * wordsPerKey;
      if (this.#keys[start] === k0 && this.#keys[start + 1] === k1 && this.#keys[start + 2] === k2)
        return slot;
      slot = (slot + 1) & mask;
    }
  }

  #grow(): void {
    const slots = this.#slots.length * 2;
    const columns = windowColumns(slots / 2);
    copyColumns(columns, this.#columns);
    this.#columns = columns;
    this.#keys = new Uint32Array(columns.keys.buffer);
    this.#slots = new Int32Array(slots);
    for (let row = 0; row < this.#length; row++)
      this.#slots[this.#slotOf(this.#keys, row * wordsPerKey)] = row + 1;
  }
}
