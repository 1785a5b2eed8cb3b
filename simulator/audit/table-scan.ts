import { SimulatorError } from "../errors.ts";
import type { AuditExamples } from "./audit-examples.ts";
import type { DataFile } from "./delta-actions.ts";
import { DeltaTable, tableNames } from "./delta-table.ts";
import { FileCheck } from "./file-check.ts";
import type { LakeFiles } from "./lake-files.ts";
import { type RowGroup, readRowGroups } from "./parquet-file.ts";
import { RowCursor } from "./row-cursor.ts";
import { RowPlaces } from "./row-places.ts";
import type { RunBook } from "./run-book.ts";
import { schemaFaults } from "./table-schema.ts";
import { TopicColumns } from "./topic-columns.ts";

const quarantineTable = "_quarantine";
/**
 * The largest difference between the clocks of fleet and stream. Beyond it, files of the run could be taken
 * for older ones.
 */
const clockSkewMaxMs = 3_600_000;

/** Reads the rows of all tables, each file once, and passes them to the books. */
export class TableScan {
  /** The parts that could not be read at the last poll. */
  faults: SimulatorError[] = [];
  filesRead = 0;
  /** Files about which their table's log is wrong. */
  misstated = 0;
  readonly places = new RowPlaces();
  readonly #topics: TopicColumns;
  readonly #lake: LakeFiles;
  readonly #books: readonly RunBook[];
  readonly #examples: AuditExamples;
  readonly #tables = new Map<string, DeltaTable>();
  /** By path: the one stream of its rows. */
  /** By table: type by name of the columns that its files have. */
  readonly #columns = new Map<string, Map<string, string>>();
  readonly #read = new Map<string, string | null>();
  /**
   * True if rows of a file were judged, and the file was later removed from its table or found to be damaged.
   */
  #mustStartAgain = false;
  #lastChangeAtMs = 0;

  constructor(lake: LakeFiles, books: readonly RunBook[], examples: AuditExamples) {
    this.#lake = lake;
    this.#topics = new TopicColumns(lake);
    this.#books = books;
    this.#examples = examples;
  }

  /** Files that were complete by this time hold no rows of the runs, in ms since the epoch. */
  get sinceMs(): number {
    return Math.min(...this.#books.map(({ ledger }) => ledger.header.startedAtMs)) - clockSkewMaxMs;
  }

  /** By name, as of the last poll. */
  get tables(): ReadonlyMap<string, DeltaTable> {
    return this.#tables;
  }

  /** The stream of all rows of a file; null = the file has several or none, or was not read. */
  streamOf(path: string): string | null {
    return this.#read.get(path) ?? null;
  }

  /** When the newest file of the tables was made. */
  get lastChangeAtMs(): number {
    return this.#lastChangeAtMs;
  }

  /**
   * Reads new files. The ledgers are read after the logs of the tables, so that the ledger knows every row.
   */
  async poll(): Promise<void> {
    this.faults = [];
    const files = await this.#liveFiles();
    for (const book of this.#books) book.ledger.refresh();
    for (const path of this.#read.keys()) if (!files.has(path)) this.#mustStartAgain = true;
    if (this.#mustStartAgain) this.#startAgain();
    if (files.size > this.#read.size) await this.#topics.refresh();
    for (const file of files.values()) {
      if (this.#read.has(file.path)) continue;
      this.#lastChangeAtMs = Math.max(
        this.#lastChangeAtMs,
        Math.min(Date.now(), file.modifiedAtMs || Date.now()),
      );
      if (await this.#mayHoldRows(file)) await this.#scan(file);
      else this.#read.set(file.path, null);
    }
  }

  async #liveFiles(): Promise<Map<string, DataFile>> {
    const names = await this.#noting(() => tableNames(this.#lake));
    for (const name of names ?? [])
      if (!this.#tables.has(name)) this.#tables.set(name, new DeltaTable(this.#lake, name));
    const files = new Map<string, DataFile>();
    for (const table of this.#tables.values()) {
      await this.#noting(() => table.refresh());
      for (const [path, file] of table.files) files.set(path, file);
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
    this.places.clear();
    this.#examples.clear();
    for (const book of this.#books) book.reset();
  }

  /**
   * False for files that were complete before the first run began, by their log and by the clock of the
   * store. The log alone could hide rows. Event times do not count, because devices may report wrong ones.
   */
  async #mayHoldRows({ path, maxIngestMs }: DataFile): Promise<boolean> {
    const { sinceMs } = this;
    if (maxIngestMs === null || maxIngestMs >= sinceMs) return true;
    const modifiedAtMs = await this.#lake.modifiedAtMs(path);
    return modifiedAtMs === null || modifiedAtMs >= sinceMs;
  }

  async #scan(file: DataFile): Promise<void> {
    try {
      const source = await this.#lake.open(file.path);
      if (!source) throw new Error("it is not there");
      const check = new FileCheck(file);
      try {
        for await (const group of readRowGroups(source)) {
          this.#mustStartAgain = true;
          this.#note(file, group);
          check.takeGroup(group);
          this.#judgeRows(file, group, check);
        }
        this.#mustStartAgain = false;
        this.#state(file, check.fault(source.bytes));
      } finally {
        await source.close();
      }
      this.#read.set(file.path, check.stream);
      this.filesRead++;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const text = `the data file ${file.path}, which its table names, can't be read: ${reason}`;
      this.faults.push(new SimulatorError("AUDIT_FILE_UNREADABLE", text, { retryable: true, cause: error }));
    }
  }

  #note({ path }: DataFile, { types }: RowGroup): void {
    const columns = this.#columns.get(tableOf(path)) ?? new Map<string, string>();
    for (const [name, type] of Object.entries(types)) columns.set(name, type);
    this.#columns.set(tableOf(path), columns);
  }

  /** Contradictions between the schemas of tables and the columns of files that were read. */
  schemaFaults(): string[] {
    return [...this.#columns].flatMap(([table, columns]) =>
      schemaFaults(table, this.#tables.get(table)?.schema ?? null, columns),
    );
  }

  #state(file: DataFile, fault: string | null): void {
    if (fault === null) return;
    this.misstated++;
    this.#examples.add("misstated", `${file.path}: ${fault}`);
  }

  #judgeRows({ path }: DataFile, group: RowGroup, check: FileCheck): void {
    const table = tableOf(path);
    const row = new RowCursor(group, {
      file: path,
      isQuarantine: table === quarantineTable,
      check,
      places: this.places,
      inEachVersion: this.#topics.inEachVersion(table),
    });
    for (let at = 0; at < group.rows; at++) {
      row.moveTo(at);
      const { messageId } = row;
      const source = messageId ?? row.payload;
      const book = source && this.#bookOf(source, messageId !== null);
      if (source && book)
        book.judge(row, source, messageId ? 0 : indexOf(source, book.idPrefix), this.#examples);
    }
  }

  /** The run whose id prefix is in the row's id, or in its payload. */
  #bookOf(source: Uint8Array, isId: boolean): RunBook | undefined {
    for (const book of this.#books)
      if (isId ? startsWith(source, book.idPrefix) : indexOf(source, book.idPrefix) >= 0) return book;
    return undefined;
  }
}

function tableOf(path: string): string {
  return path.slice(0, path.indexOf("/"));
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  if (bytes.length < prefix.length) return false;
  for (let at = 0; at < prefix.length; at++) if (bytes[at] !== prefix[at]) return false;
  return true;
}

function indexOf(bytes: Uint8Array, text: Uint8Array): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf(text);
}
