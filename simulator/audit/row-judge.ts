import type { AuditExamples } from "./audit-examples.ts";
import type { RowCursor } from "./row-cursor.ts";
import { RowPlaces } from "./row-places.ts";
import type { RunBook } from "./run-book.ts";

/** Hands rows to the books of their runs. */
export class RowJudge {
  readonly places = new RowPlaces();
  readonly #books: readonly RunBook[];
  readonly #examples: AuditExamples;

  constructor(books: readonly RunBook[], examples: AuditExamples) {
    this.#books = books;
    this.#examples = examples;
  }

  /** Forgets all rows. */
  reset(): void {
    this.places.clear();
    this.#examples.clear();
    for (const book of this.#books) book.reset();
  }

  /** Takes the row at the cursor, unless it belongs to no run of the ledger. */
  take(row: RowCursor): void {
    const { messageId } = row;
    const source = messageId ?? row.payload;
    const book = source && this.#bookOf(source, messageId !== null);
    if (source && book)
      book.judge(row, source, messageId ? 0 : indexOf(source, book.idPrefix), this.#examples);
  }

  /** The run whose id prefix is in the row's id, or in its payload. */
  #bookOf(source: Uint8Array, isId: boolean): RunBook | undefined {
    for (const book of this.#books)
      if (isId ? startsWith(source, book.idPrefix) : indexOf(source, book.idPrefix) >= 0) return book;
    return undefined;
  }
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  if (bytes.length < prefix.length) return false;
  for (let at = 0; at < prefix.length; at++) if (bytes[at] !== prefix[at]) return false;
  return true;
}

function indexOf(bytes: Uint8Array, text: Uint8Array): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf(text);
}
