import { Bitmap } from "../ledger/bitmap.ts";
import type { RunBook } from "./run-book.ts";

/** The messages of a run of which a row was seen at any time. One bit for each. */
export class SeenMessages {
  readonly #book: RunBook;
  readonly #seen: Bitmap;

  constructor(book: RunBook) {
    this.#book = book;
    this.#seen = new Bitmap(book.messages);
  }

  get count(): number {
    return this.#seen.count;
  }

  add(index: number): void {
    this.#seen.add(index);
  }

  /** Takes over the rows of a cut. */
  learn(): void {
    this.#book.addFiledTo(this.#seen);
  }

  /** Acknowledged messages without any row that retention may have removed, in order. */
  *missing(): Generator<number> {
    for (const index of this.#book.ledger.acked.without(this.#seen))
      if (!this.#book.isExpired(index)) yield index;
  }
}
