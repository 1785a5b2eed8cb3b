import type { Position, StreamEntry } from "../stream-log.ts";
import { compareSequenceNumbers } from "./sequence-number.ts";

/**
 * The entries of a shard that were read ahead, in order and without gaps, from a position on. Entries that a
 * read returned stay until a later read asks for entries after them.
 */
export class ReadAhead {
  #entries: StreamEntry[] = [];
  #from: Position;
  #bytes = 0;
  /** The last position that a read returned. */
  #handedOut: Position;

  constructor(after: Position) {
    this.#from = after;
    this.#handedOut = after;
  }

  /** Bytes of the buffered blocks. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The position of the last entry read ahead. */
  get last(): Position {
    return this.#entries.at(-1)?.position ?? this.#from;
  }

  /** True if entries are buffered that no read has returned. */
  get hasUnread(): boolean {
    return this.#isUnread(this.last);
  }

  /** How much older the first unread entry is than the last one, ms, at least 1; 0 = all were read. */
  get unreadMs(): number {
    const unread = this.#entries.find(({ position }) => this.#isUnread(position));
    const newest = this.#entries.at(-1);
    return unread && newest ? Math.max(1, newest.appendTimeMs - unread.appendTimeMs) : 0;
  }

  /** True if a read can continue after this position. */
  covers(after: Position): boolean {
    return after === this.#from || this.#entries.some(({ position }) => position === after);
  }

  add(entries: readonly StreamEntry[]): void {
    this.#entries.push(...entries);
    this.#bytes += bytesOf(entries);
  }

  /** The entries after a position, within the limits but at least one if there is one. */
  take(after: Position, { maxBytes, maxEntries }: { maxBytes: number; maxEntries: number }): StreamEntry[] {
    const taken: StreamEntry[] = [];
    let bytes = 0;
    for (const entry of this.#entries) {
      if (compareSequenceNumbers(entry.position, after) <= 0) continue;
      bytes += entry.block.length;
      if (taken.length > 0 && (bytes > maxBytes || taken.length >= maxEntries)) break;
      taken.push(entry);
    }
    const last = taken.at(-1)?.position ?? after;
    if (this.#isUnread(last)) this.#handedOut = last;
    return taken;
  }

  /** Removes the entries up to and including a position. False if there were none. */
  forgetUpTo(after: Position): boolean {
    const kept = this.#entries.findIndex(({ position }) => compareSequenceNumbers(position, after) > 0);
    const forgotten = this.#entries.splice(0, kept === -1 ? this.#entries.length : kept);
    if (forgotten.length === 0) return false;
    this.#from = after;
    this.#bytes -= bytesOf(forgotten);
    return true;
  }

  #isUnread(position: Position): boolean {
    return compareSequenceNumbers(position, this.#handedOut) > 0;
  }
}

export function bytesOf(entries: readonly StreamEntry[]): number {
  return entries.reduce((sum, { block }) => sum + block.length, 0);
}
