import type { Row } from "../row.ts";

const hourMs = 3_600_000;

/** DuckDB's own row group size, and the bytes that one may hold: the writer keeps a whole group in memory. */
const rowGroupRowsMax = 122_880;
const rowGroupBytesMax = 16 * 1024 * 1024;
/** The engine sorts and encodes whole vectors of 2,048 rows, so rows larger than this make a file's memory grow beyond its bytes. */
const largeRowBytes = 4096;

/** One file to be written: an event hour of a table, or a part of one where its rows are large. */
export interface PlannedFile {
  readonly number: number;
  /** UTC, `YYYY-MM-DD`. */
  readonly eventDate: string;
  readonly eventHour: number;
  /** `event_date=…/event_hour=…` */
  readonly folder: string;
  rows: number;
  /** Uncompressed. */
  bytes: number;
  readonly ingest: TimeRange;
  readonly stream: TimeRange;
}

interface TimeRange {
  minMs: number;
  maxMs: number;
}

function planFile(number: number, hour: number): PlannedFile {
  const start = new Date(hour * hourMs);
  const eventDate = start.toISOString().slice(0, 10);
  const eventHour = start.getUTCHours();
  const folder = `event_date=${eventDate}/event_hour=${String(eventHour).padStart(2, "0")}`;
  return { number, eventDate, eventHour, folder, rows: 0, bytes: 0, ingest: noTime(), stream: noTime() };
}

function noTime(): TimeRange {
  return { minMs: Number.POSITIVE_INFINITY, maxMs: Number.NEGATIVE_INFINITY };
}

function include(range: TimeRange, timeMs: number): void {
  if (timeMs < range.minMs) range.minMs = timeMs;
  if (timeMs > range.maxMs) range.maxMs = timeMs;
}

function isFull({ rows, bytes }: PlannedFile): boolean {
  return bytes >= rowGroupBytesMax && bytes / rows >= largeRowBytes;
}

/** Which row of a table goes to which file. */
export class FilePlan {
  readonly #files: PlannedFile[] = [];
  readonly #openByHour = new Map<number, PlannedFile>();

  /** Counts the row in, and answers with its file's number. Rows of dead clocks go to the hour of their ingest. */
  place(
    row: Pick<Row, "ingestTimeMs" | "streamTimeMs" | "eventTimeMs" | "eventTimeOutside">,
    bytes: number,
  ): number {
    const { ingestTimeMs } = row;
    const hour = Math.floor((row.eventTimeOutside ? ingestTimeMs : row.eventTimeMs) / hourMs);
    let file = this.#openByHour.get(hour);
    if (!file || isFull(file)) {
      file = planFile(this.#files.length, hour);
      this.#files.push(file);
      this.#openByHour.set(hour, file);
    }
    file.rows++;
    file.bytes += bytes;
    include(file.ingest, ingestTimeMs);
    include(file.stream, row.streamTimeMs);
    return file.number;
  }

  /** By event hour. */
  inOrder(): PlannedFile[] {
    return [...this.#files].sort((left, right) =>
      left.folder < right.folder ? -1 : left.folder > right.folder ? 1 : left.number - right.number,
    );
  }
}

/** Rows of a row group of the file. */
export function rowGroupRows({ rows, bytes }: PlannedFile): number {
  const fitting = Math.floor(rowGroupBytesMax / (bytes / rows));
  return Math.max(1, Math.min(rowGroupRowsMax, fitting));
}
