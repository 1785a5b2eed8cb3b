import type { Row } from "../../tail/row.ts";
import { hourMs, hourOf } from "../landing/lane.ts";

/** DuckDB's default row group size, and our bound of its bytes: the writer keeps a whole group in memory. */
const rowGroupRowsMax = 122_880;
const rowGroupBytesMax = 16 * 1024 * 1024;
/**
 * The engine sorts and encodes whole vectors of 2,048 rows. With larger rows, a file's memory exceeds its
 * bytes.
 */
const largeRowBytes = 4096;

/** One file to write: an event hour of a table, or a part of that hour if its rows are large. */
export interface PlannedFile {
  readonly number: number;
  /** UTC, `YYYY-MM-DD`. */
  readonly eventDate: string;
  readonly eventHour: number;
  /** Partition folder: `event_date=…/event_hour=…` */
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

/** A file without rows, of an hour since the epoch. */
export function planFile(number: number, hour: number): PlannedFile {
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

/** A file of large rows ends early: its memory while it is written exceeds its bytes. */
export function isFull({ rows, bytes }: PlannedFile): boolean {
  return bytes >= rowGroupBytesMax && bytes / rows >= largeRowBytes;
}

/** Assigns each row of a table to a file. */
export class FilePlan {
  readonly #files: PlannedFile[] = [];
  readonly #openByHour = new Map<number, PlannedFile>();

  /** Counts the row, and returns its file. */
  place(
    row: Pick<Row, "ingestTimeMs" | "streamTimeMs" | "eventTimeMs" | "eventTimeOutside">,
    bytes: number,
  ): PlannedFile {
    const { ingestTimeMs } = row;
    const hour = hourOf(row);
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
    return file;
  }

  /** Ordered by event hour. */
  inOrder(): PlannedFile[] {
    return [...this.#files].sort((left, right) =>
      left.folder < right.folder ? -1 : left.folder > right.folder ? 1 : left.number - right.number,
    );
  }
}

/** How many rows a row group of a file with so many rows and uncompressed bytes gets. */
export function rowGroupRows({ rows, bytes }: Pick<PlannedFile, "rows" | "bytes">): number {
  const fitting = Math.floor(rowGroupBytesMax / (bytes / rows));
  return Math.max(1, Math.min(rowGroupRowsMax, fitting));
}
