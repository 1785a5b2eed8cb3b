import { SimulatorError } from "../errors.ts";
import type { AuditExamples } from "./audit-examples.ts";
import { Expiry } from "./expiry.ts";
import type { FileSource } from "./file-source.ts";
import type { LakeFiles } from "./lake-files.ts";
import type { LakeLook } from "./lake-look.ts";
import { unsettledFiles } from "./live-rows.ts";
import { type RowGroup, readRowGroups } from "./parquet-file.ts";
import { retentionBounds } from "./retention-bounds.ts";
import { RowJudge } from "./row-judge.ts";
import type { RowPlaces } from "./row-places.ts";
import type { RunBook } from "./run-book.ts";
import { tableOfPath } from "./table-file.ts";
import { schemaFaults } from "./table-schema.ts";
import { TopicDefinitions } from "./topic-definitions.ts";

/** A cut whose files are gone by the time they are read is taken again, up to this many times in all. */
const cutsMax = 4;

/** What a cut has read of the commit log. */
export interface CommitsOfCut {
  /** Number of its last commit. */
  readonly upTo: number;
  /** Table files of commits that it has not read, because their tables did not show them. */
  readonly waiting: readonly string[];
}

export interface TableScanOptions {
  readonly lake: LakeFiles;
  readonly look: LakeLook;
  readonly books: readonly RunBook[];
  readonly examples: AuditExamples;
  /** Files that were complete by this time hold no rows of the runs, in ms since the epoch. */
  readonly sinceMs: number;
}

/** Reads all rows that count as filed at one look, each file once, and passes them to the books. */
export class TableScan {
  /** The parts that could not be read at the last cut. */
  faults: SimulatorError[] = [];
  /** Of the last cut; null = the commit log could not be read. */
  commits: CommitsOfCut | null = null;
  filesRead = 0;
  /** Files about which their table's log, their commit, or the file itself is wrong. */
  misstated = 0;
  readonly #topics: TopicDefinitions;
  readonly #options: TableScanOptions;
  readonly #judge: RowJudge;
  /** By table: type by name of the columns that its files have. */
  readonly #columns = new Map<string, Map<string, string>>();
  /** By key of a source: the one stream of its rows. */
  readonly #read = new Map<string, string | null>();
  /**
   * True if rows of a file were judged that count no more: the file was removed from its table or found to be
   * damaged, or a table shows them now.
   */
  #mustStartAgain = false;
  #lastChangeAtMs = 0;

  constructor(options: TableScanOptions) {
    this.#options = options;
    this.#topics = new TopicDefinitions(options.lake);
    this.#judge = new RowJudge(options.books, options.examples);
  }

  get places(): RowPlaces {
    return this.#judge.places;
  }

  /** The stream of all rows of a file; null = the file has several or none, or was not read. */
  streamOf(path: string): string | null {
    return this.#read.get(path) ?? null;
  }

  hasRead(key: string): boolean {
    return this.#read.has(key);
  }

  /** When the newest file was made. */
  get lastChangeAtMs(): number {
    return this.#lastChangeAtMs;
  }

  /**
   * Takes one cut of the lake. Afterwards, the books have the rows that were filed at this look, and no others.
   * Files that an earlier cut read are not read again, if all of them still count. The ledgers are read after
   * the logs, so that the ledger knows every row. Throws AUDIT_LAKE_UNSUPPORTED.
   */
  async take(): Promise<void> {
    let missing = new Set<string>();
    for (let cut = 1; ; cut++) {
      const gone = await this.#takeOnce();
      // The next look still named it: nobody has replaced it.
      const isMissing = gone.every(({ key }) => missing.has(key));
      if (isMissing || cut === cutsMax) {
        const why = isMissing ? "it is not there" : `it is gone, and so were files of ${cut - 1} cuts before`;
        for (const source of gone) this.#fail(source, why, undefined);
        return;
      }
      missing = new Set(gone.map(({ key }) => key));
    }
  }

  /** Returns the files of the cut that are not there. */
  async #takeOnce(): Promise<FileSource[]> {
    const { look, books } = this.#options;
    const sources = await look.take();
    this.faults = [...look.faults];
    this.commits = commitsOf(look.cut, sources);
    for (const book of books) book.ledger.refresh();
    for (const key of this.#read.keys()) if (!sources.has(key)) this.#mustStartAgain = true;
    if (this.#mustStartAgain) this.#startAgain();
    const expiring = retentionBounds(look.tables, look.lakeId);
    if (sources.size > this.#read.size || expiring.size > 0) await this.#topics.refresh();
    for (const book of books) book.look(new Expiry(expiring, this.#topics));
    const gone: FileSource[] = [];
    for (const source of sources.values()) {
      if (this.#read.has(source.key)) continue;
      this.#lastChangeAtMs = Math.max(
        this.#lastChangeAtMs,
        Math.min(Date.now(), source.modifiedAtMs || Date.now()),
      );
      if (!(await this.#mayHoldRows(source))) this.#read.set(source.key, null);
      else if ((await this.#scan(source)) === "gone") gone.push(source);
    }
    return gone;
  }

  #startAgain(): void {
    this.#mustStartAgain = false;
    this.#read.clear();
    this.#columns.clear();
    this.filesRead = 0;
    this.misstated = 0;
    this.#judge.reset();
  }

  /**
   * False for files that were complete before the first run began, by their log and by the clock of the
   * store. The log alone could hide rows. Event times do not count, because devices may report wrong ones.
   */
  async #mayHoldRows({ path, maxIngestMs }: FileSource): Promise<boolean> {
    const { lake, sinceMs } = this.#options;
    if (maxIngestMs === null || maxIngestMs >= sinceMs) return true;
    const modifiedAtMs = await lake.modifiedAtMs(path);
    return modifiedAtMs === null || modifiedAtMs >= sinceMs;
  }

  async #scan(source: FileSource): Promise<"read" | "gone" | "unreadable"> {
    const { lake } = this.#options;
    let isJudged = false;
    try {
      const file = await lake.open(source.path);
      if (!file) return "gone";
      try {
        const rows = source.rows(this.#topics);
        for await (const group of readRowGroups(file)) {
          isJudged = true;
          if (source.isInTable) this.#note(source.path, group);
          rows.takeGroup(group, this.#judge);
        }
        this.#state(source.path, rows.fault(file.bytes));
        this.#read.set(source.key, rows.stream);
      } finally {
        await file.close();
      }
      this.filesRead++;
      return "read";
    } catch (error) {
      if (isJudged) this.#mustStartAgain = true;
      if ((await lake.modifiedAtMs(source.path).catch(() => 0)) === null) return "gone";
      this.#fail(source, error instanceof Error ? error.message : String(error), error);
      return "unreadable";
    }
  }

  #fail({ name }: FileSource, reason: string, cause: unknown): void {
    const text = `${name} can't be read: ${reason}`;
    this.faults.push(new SimulatorError("AUDIT_FILE_UNREADABLE", text, { retryable: true, cause }));
  }

  #note(path: string, { types }: RowGroup): void {
    const table = tableOfPath(path);
    const columns = this.#columns.get(table) ?? new Map<string, string>();
    for (const [name, type] of Object.entries(types)) columns.set(name, type);
    this.#columns.set(table, columns);
  }

  /** Contradictions between the schemas of tables and the columns of files that were read. */
  schemaFaults(): string[] {
    return [...this.#columns].flatMap(([table, columns]) =>
      schemaFaults(table, this.#options.look.tables.get(table)?.schema ?? null, columns),
    );
  }

  #state(path: string, fault: string | null): void {
    if (fault === null) return;
    this.misstated++;
    this.#options.examples.add("misstated", `${path}: ${fault}`);
  }
}

function commitsOf(cut: LakeLook["cut"], sources: ReadonlyMap<string, FileSource>): CommitsOfCut | null {
  if (!cut || cut instanceof SimulatorError) return null;
  const paths = unsettledFiles(cut).map(({ file }) => file.path);
  return {
    upTo: cut.after.entries.at(-1)?.number ?? 0,
    waiting: paths.filter((path) => !sources.has(path)),
  };
}
