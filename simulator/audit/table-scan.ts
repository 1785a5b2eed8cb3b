import { SimulatorError } from "../errors.ts";
import type { AuditExamples } from "./audit-examples.ts";
import type { DataFile } from "./delta-actions.ts";
import { DeltaTable, tableNames } from "./delta-table.ts";
import type { LakeFiles } from "./lake-files.ts";
import { type RowGroup, readRowGroups } from "./parquet-file.ts";
import type { FiledRow, RunBook } from "./run-book.ts";

const quarantineTable = "_quarantine";
const columns = ["device_id", "topic", "message_id", "event_time", "payload"] as const;

/** How far the clocks of the fleet and of the stream may be apart before files of the run could be taken for older ones. */
const clockSkewMaxMs = 3_600_000;

/** Brings the rows of all tables before the books, each file once. */
export class TableScan {
  /** What could not be read at the last poll. */
  faults: SimulatorError[] = [];
  filesRead = 0;
  readonly #lake: LakeFiles;
  readonly #books: readonly RunBook[];
  readonly #examples: AuditExamples;
  readonly #tables = new Map<string, DeltaTable>();
  readonly #read = new Set<string>();
  /** Rows of a file were judged, and then the file was removed from its table or turned out to be damaged. */
  #mustStartAgain = false;
  #lastChangeAtMs = 0;

  constructor(lake: LakeFiles, books: readonly RunBook[], examples: AuditExamples) {
    this.#lake = lake;
    this.#books = books;
    this.#examples = examples;
  }

  /** When the newest file of the tables was made. */
  get lastChangeAtMs(): number {
    return this.#lastChangeAtMs;
  }

  /** Reads what is new. The ledgers are read after the logs of the tables, so that no row is older than what the ledger knows. */
  async poll(): Promise<void> {
    this.faults = [];
    const files = await this.#liveFiles();
    for (const book of this.#books) book.ledger.refresh();
    for (const path of this.#read) if (!files.has(path)) this.#mustStartAgain = true;
    if (this.#mustStartAgain) this.#startAgain();
    for (const file of files.values()) {
      if (this.#read.has(file.path)) continue;
      this.#lastChangeAtMs = Math.max(
        this.#lastChangeAtMs,
        Math.min(Date.now(), file.modifiedAtMs || Date.now()),
      );
      if (this.#mayHoldRows(file)) await this.#scan(file);
      else this.#read.add(file.path);
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

  /** What can't be read now may be readable at the next look; until then it stands among the faults. */
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
    this.filesRead = 0;
    this.#examples.clear();
    for (const book of this.#books) book.reset();
  }

  /** False for files that were complete before the first run began. Event times say nothing: devices may lie about them. */
  #mayHoldRows({ maxIngestMs }: DataFile): boolean {
    const startedAtMs = Math.min(...this.#books.map(({ ledger }) => ledger.header.startedAtMs));
    return maxIngestMs === null || maxIngestMs >= startedAtMs - clockSkewMaxMs;
  }

  async #scan(file: DataFile): Promise<void> {
    try {
      const source = await this.#lake.open(file.path);
      if (!source) throw new Error("it is not there");
      try {
        for await (const group of readRowGroups(source, columns)) {
          this.#mustStartAgain = true;
          this.#judgeRows(file, group);
        }
        this.#mustStartAgain = false;
      } finally {
        await source.close();
      }
      this.#read.add(file.path);
      this.filesRead++;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const text = `the data file ${file.path}, which its table names, can't be read: ${reason}`;
      this.faults.push(new SimulatorError("AUDIT_FILE_UNREADABLE", text, { retryable: true, cause: error }));
    }
  }

  #judgeRows(file: DataFile, { rows, values }: RowGroup): void {
    const missing = columns.filter((column) => !values[column]);
    if (missing.length > 0) throw new Error(`it has no column ${missing.join(", ")}`);
    const { device_id, topic, message_id, event_time, payload } = values as Required<typeof values>;
    const isQuarantined = file.path.startsWith(`${quarantineTable}/`);
    for (let row = 0; row < rows; row++) {
      const messageId = bytesOrNull(message_id?.[row]);
      this.#judge({
        isQuarantined,
        deviceId: device_id?.[row],
        topic: topic?.[row],
        messageId,
        eventTimeUs: event_time?.[row],
        payload: payload?.[row],
        file: file.path,
      });
    }
  }

  #judge(row: FiledRow): void {
    for (const book of this.#books) {
      const source = row.messageId ?? bytesOrNull(row.payload);
      if (!source) return;
      const idAt = row.messageId
        ? startsWith(source, book.idPrefix)
          ? 0
          : -1
        : indexOf(source, book.idPrefix);
      if (idAt < 0) continue;
      book.judge(row, source, idAt, this.#examples);
      return;
    }
  }
}

function bytesOrNull(value: unknown): Uint8Array | null {
  return value instanceof Uint8Array ? value : null;
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  if (bytes.length < prefix.length) return false;
  for (let at = 0; at < prefix.length; at++) if (bytes[at] !== prefix[at]) return false;
  return true;
}

function indexOf(bytes: Uint8Array, text: Uint8Array): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf(text);
}
