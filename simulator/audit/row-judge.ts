import type { AuditExamples } from "./audit-examples.ts";
import type { RowCursor } from "./row-cursor.ts";
import { RowPlaces } from "./row-places.ts";
import type { RunBook } from "./run-book.ts";
import { runOf } from "./run-of-row.ts";

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
    const found = runOf(this.#books, row);
    found?.book.judge(row, found.source, found.idAt, this.#examples);
  }
}
