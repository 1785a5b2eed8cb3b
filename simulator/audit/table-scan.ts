import { SimulatorError } from "../errors.ts";
import type { AuditExamples } from "./audit-examples.ts";
import { CommitLog, type CommitLogState } from "./commit-log.ts";
import { DeltaTable, tableNames } from "./delta-table.ts";
import { Expiry } from "./expiry.ts";
import { type FileSource, landingSource, liveSource, unsettledSource } from "./file-source.ts";
import type { LakeFiles } from "./lake-files.ts";
import { type Cut, unsettledRows } from "./live-rows.ts";
import { type RowGroup, readRowGroups } from "./parquet-file.ts";
import { retentionBounds } from "./retention-bounds.ts";
import { RowJudge } from "./row-judge.ts";
import type { RowPlaces } from "./row-places.ts";
import type { RunBook } from "./run-book.ts";
import { tableOfPath } from "./table-file.ts";
import { schemaFaults } from "./table-schema.ts";
import { TopicDefinitions } from "./topic-definitions.ts";

/**
 * The largest difference between the clocks of fleet and stream. Beyond it, files of the run could be taken
 * for older ones.
 */
const clockSkewMaxMs = 3_600_000;

/** Reads all rows that count as filed, each file once, and passes them to the books. */
export class TableScan {
  /** The parts that could not be read at the last poll. */
  faults: SimulatorError[] = [];
  filesRead = 0;
  /** Files about which their table's log, their commit, or the file itself is wrong. */
  misstated = 0;
  readonly #topics: TopicDefinitions;
  readonly #lake: LakeFiles;
  readonly #log: CommitLog;
  readonly #books: readonly RunBook[];
  readonly #examples: AuditExamples;
  readonly #judge: RowJudge;
  readonly #tables = new Map<string, DeltaTable>();
  /** By table: type by name of the columns that its files have. */
  readonly #columns = new Map<string, Map<string, string>>();
  /** By key of a source: the one stream of its rows. */
  readonly #read = new Map<string, string | null>();
  #cut: Cut | SimulatorError | undefined;
  /**
   * True if rows of a file were judged that count no more: the file was removed from its table or found to be
   * damaged, or a table shows them now.
   */
  #mustStartAgain = false;
  #lastChangeAtMs = 0;

  constructor(lake: LakeFiles, books: readonly RunBook[], examples: AuditExamples) {
    this.#lake = lake;
    this.#topics = new TopicDefinitions(lake);
    this.#books = books;
    this.#examples = examples;
    this.#judge = new RowJudge(books, examples);
    this.#log = new CommitLog(lake, this.sinceMs);
  }

  /** Files that were complete by this time hold no rows of the runs, in ms since the epoch. */
  get sinceMs(): number {
    return Math.min(...this.#books.map(({ ledger }) => ledger.header.startedAtMs)) - clockSkewMaxMs;
  }

  get places(): RowPlaces {
    return this.#judge.places;
  }

  /** By name, as of the last poll. */
  get tables(): ReadonlyMap<string, DeltaTable> {
    return this.#tables;
  }

  /** The last look at the lake; an error if the commit log could not be read, undefined before the first. */
  get cut(): Cut | SimulatorError | undefined {
    return this.#cut;
  }

  /** The stream of all rows of a file; null = the file has several or none, or was not read. */
  streamOf(path: string): string | null {
    return this.#read.get(path) ?? null;
  }

  /** When the newest file was made. */
  get lastChangeAtMs(): number {
    return this.#lastChangeAtMs;
  }

  /**
   * Looks at the lake, and reads new files. Afterwards, the books have the rows that were filed at this look,
   * and no others. The ledgers are read after the logs, so that the ledger knows every row. Throws
   * AUDIT_LAKE_UNSUPPORTED.
   */
  async poll(): Promise<void> {
    this.faults = [];
    const sources = await this.#look();
    for (const book of this.#books) book.ledger.refresh();
    for (const key of this.#read.keys()) if (!sources.has(key)) this.#mustStartAgain = true;
    if (this.#mustStartAgain) this.#startAgain();
    const expiring = retentionBounds(this.#tables, this.#lakeId);
    if (sources.size > this.#read.size || expiring.size > 0) await this.#topics.refresh();
    for (const book of this.#books) book.look(new Expiry(expiring, this.#topics));
    for (const source of sources.values()) {
      if (this.#read.has(source.key)) continue;
      this.#lastChangeAtMs = Math.max(
        this.#lastChangeAtMs,
        Math.min(Date.now(), source.modifiedAtMs || Date.now()),
      );
      if (await this.#mayHoldRows(source)) await this.#scan(source);
      else this.#read.set(source.key, null);
    }
  }

  /** The files whose rows count, by key. See `Cut` for the order of reading. */
  async #look(): Promise<ReadonlyMap<string, FileSource>> {
    const before = await this.#readLog();
    const sources = await this.#liveFiles();
    const after = await this.#readLog();
    const unread = [before, after].find((state) => state instanceof SimulatorError);
    this.#cut = unread ?? {
      before: before as CommitLogState,
      tables: this.#tables,
      after: after as CommitLogState,
    };
    if (this.#cut instanceof SimulatorError) return sources;
    const { landings, files } = unsettledRows(this.#cut);
    const unsettled = [
      ...files.map((file) => unsettledSource(file, sources.has(file.file.path))),
      ...landings.map(landingSource),
    ];
    for (const source of unsettled) sources.set(source.key, source);
    return sources;
  }

  /** null = it is not known. */
  get #lakeId(): string | null {
    return this.#cut && !(this.#cut instanceof SimulatorError) ? this.#cut.after.lakeId : null;
  }

  async #readLog(): Promise<CommitLogState | SimulatorError> {
    try {
      return await this.#log.read();
    } catch (error) {
      if (!(error instanceof SimulatorError) || !error.retryable) throw error;
      return error;
    }
  }

  async #liveFiles(): Promise<Map<string, FileSource>> {
    const names = await this.#noting(() => tableNames(this.#lake));
    for (const name of names ?? [])
      if (!this.#tables.has(name)) this.#tables.set(name, new DeltaTable(this.#lake, name));
    const files = new Map<string, FileSource>();
    for (const table of this.#tables.values()) {
      await this.#noting(() => table.refresh());
      for (const [path, file] of table.files) files.set(path, liveSource(file));
    }
    return files;
  }

  /** An unreadable part may be readable at the next look; until then it counts as a fault. */
  async #noting<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof SimulatorError)) throw error;
      this.faults.push(error);
      return undefined;
    }
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
    const { sinceMs } = this;
    if (maxIngestMs === null || maxIngestMs >= sinceMs) return true;
    const modifiedAtMs = await this.#lake.modifiedAtMs(path);
    return modifiedAtMs === null || modifiedAtMs >= sinceMs;
  }

  async #scan(source: FileSource): Promise<void> {
    try {
      const file = await this.#lake.open(source.path);
      if (!file) throw new Error("it is not there");
      try {
        const rows = source.rows(this.#topics);
        for await (const group of readRowGroups(file)) {
          this.#mustStartAgain = true;
          if (source.isInTable) this.#note(source.path, group);
          rows.takeGroup(group, this.#judge);
        }
        this.#mustStartAgain = false;
        this.#state(source.path, rows.fault(file.bytes));
        this.#read.set(source.key, rows.stream);
      } finally {
        await file.close();
      }
      this.filesRead++;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const text = `${source.name} can't be read: ${reason}`;
      this.faults.push(new SimulatorError("AUDIT_FILE_UNREADABLE", text, { retryable: true, cause: error }));
    }
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
      schemaFaults(table, this.#tables.get(table)?.schema ?? null, columns),
    );
  }

  #state(path: string, fault: string | null): void {
    if (fault === null) return;
    this.misstated++;
    this.#examples.add("misstated", `${path}: ${fault}`);
  }
}
