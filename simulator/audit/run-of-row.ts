import type { FiledRow } from "./filed-row.ts";
import type { RunBook } from "./run-book.ts";

/** The columns by which a row is found. */
export type IdentifiedRow = Pick<FiledRow, "messageId" | "payload">;

export interface RunOfRow {
  readonly book: RunBook;
  /** The id begins at `idAt` of `source`. */
  readonly source: Uint8Array;
  readonly idAt: number;
}

/** The run whose id prefix is in the row's id, or in its payload if it has no id; null = none of them. */
export function runOf(books: readonly RunBook[], { messageId, payload }: IdentifiedRow): RunOfRow | null {
  if (messageId) {
    for (const book of books)
      if (startsWith(messageId, book.idPrefix)) return { book, source: messageId, idAt: 0 };
    return null;
  }
  if (!(payload instanceof Uint8Array)) return null;
  for (const book of books) {
    const idAt = indexOf(payload, book.idPrefix);
    if (idAt >= 0) return { book, source: payload, idAt };
  }
  return null;
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  if (bytes.length < prefix.length) return false;
  for (let at = 0; at < prefix.length; at++) if (bytes[at] !== prefix[at]) return false;
  return true;
}

function indexOf(bytes: Uint8Array, text: Uint8Array): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf(text);
}
