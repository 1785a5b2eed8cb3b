import { SimulatorError } from "../errors.ts";
import type { CommitEntry } from "./commit-entry.ts";
import type { CommitLogState } from "./commit-log.ts";
import type { LakeFiles } from "./lake-files.ts";
import type { LakeLook } from "./lake-look.ts";
import { readColumns } from "./parquet-file.ts";
import type { RunBook } from "./run-book.ts";
import { runOf } from "./run-of-row.ts";
import { SeenMessages } from "./seen-messages.ts";
import type { TableScan } from "./table-scan.ts";

export interface CommitWatchOptions {
  readonly lake: LakeFiles;
  readonly look: LakeLook;
  readonly scan: TableScan;
  readonly books: readonly RunBook[];
}

/**
 * Tells which messages are still missing, from the files that commits bring: landing files and table files.
 * Those never change, so each is read once, whatever is settled and compacted meanwhile. Only ids are read,
 * and nothing is judged. In a lake without a commit log, the files of tables are watched.
 */
export class CommitWatch {
  /** Files whose rows were seen. */
  filesRead = 0;
  readonly #options: CommitWatchOptions;
  readonly #seen: ReadonlyMap<RunBook, SeenMessages>;
  readonly #columns: readonly string[];
  /** The rows of commits up to this one were seen. */
  #upTo = 0;
  /** Files of earlier commits that the cut did not read: their tables did not show them. */
  #waiting: readonly string[] = [];
  /** In a lake without a commit log: the table files that were read since the cut. */
  #read = new Set<string>();
  #needsCut = false;
  #lastChangeAtMs = 0;

  constructor(options: CommitWatchOptions) {
    this.#options = options;
    this.#seen = new Map(options.books.map((book) => [book, new SeenMessages(book)]));
    const needsPayload = options.books.some(({ finder }) => finder.needsPayload);
    this.#columns = needsPayload ? ["message_id", "payload"] : ["message_id"];
  }

  /** When the last file came, in ms since the epoch. */
  get lastChangeAtMs(): number {
    return this.#lastChangeAtMs;
  }

  /** True if rows may be in tables that only a cut can see. */
  get needsCut(): boolean {
    return this.#needsCut;
  }

  get seen(): number {
    return [...this.#seen.values()].reduce((sum, { count }) => sum + count, 0);
  }

  /** Number of acknowledged messages without a row. */
  get missing(): number {
    let count = 0;
    for (const seen of this.#seen.values()) for (const _ of seen.missing()) count++;
    return count;
  }

  /** Takes over the rows of a cut that the scan has just read. */
  learn(): void {
    const { scan } = this.#options;
    for (const seen of this.#seen.values()) seen.learn();
    this.#lastChangeAtMs ||= scan.lastChangeAtMs;
    this.#read.clear();
    const { commits } = scan;
    this.#needsCut = scan.faults.length > 0 || commits === null;
    this.#upTo = Math.max(this.#upTo, commits?.upTo ?? 0);
    if (commits) this.#waiting = commits.waiting;
  }

  /** Reads the files that came since. Throws AUDIT_LAKE_UNSUPPORTED. */
  async poll(): Promise<void> {
    const { books, look } = this.#options;
    const log = await look.readLog();
    if (log instanceof SimulatorError) return;
    for (const book of books) book.ledger.refresh();
    const paths = log.lakeId === null ? await this.#tableFiles() : this.#committedFiles(log);
    for (const path of paths) {
      this.#lastChangeAtMs = Date.now();
      await this.#see(path);
    }
  }

  #committedFiles({ entries }: CommitLogState): string[] {
    const paths = this.#waiting;
    this.#waiting = [];
    const news = entries.filter(({ number }) => number > this.#upTo);
    this.#upTo = news.at(-1)?.number ?? this.#upTo;
    return [...paths, ...news.flatMap(pathsOf)];
  }

  async #tableFiles(): Promise<string[]> {
    const { look, scan } = this.#options;
    const sources = await look.take();
    if (look.faults.length > 0) this.#needsCut = true;
    const news = [...sources.keys()].filter((path) => !scan.hasRead(path) && !this.#read.has(path));
    for (const path of news) this.#read.add(path);
    return news;
  }

  async #see(path: string): Promise<void> {
    try {
      const file = await this.#options.lake.open(path);
      if (!file) throw new Error("it is gone");
      try {
        for await (const values of readColumns(file, this.#columns)) this.#take(values);
      } finally {
        await file.close();
      }
      this.filesRead++;
    } catch {
      // Its rows are in other files by now, or the cut says what is wrong with it.
      this.#needsCut = true;
    }
  }

  #take({ message_id, payload }: Readonly<Record<string, ArrayLike<unknown>>>): void {
    const { books } = this.#options;
    for (let at = 0; at < (message_id?.length ?? 0); at++) {
      const row = { messageId: bytesOrNull(message_id?.[at]), payload: payload?.[at] ?? null };
      const found = runOf(books, row);
      if (!found) continue;
      // Whichever of both it is: only its message is asked for.
      const index = found.book.finder.indexOf({ ...row, isQuarantined: true }, found.source, found.idAt);
      if (index !== null) this.#seen.get(found.book)?.add(index);
    }
  }
}

function pathsOf({ landing, tables }: CommitEntry): string[] {
  const files = [...tables.values()].flatMap(({ files: ofTable }) => ofTable.map(({ path }) => path));
  return landing ? [landing.path, ...files] : files;
}

function bytesOrNull(value: unknown): Uint8Array | null {
  return value instanceof Uint8Array ? value : null;
}
