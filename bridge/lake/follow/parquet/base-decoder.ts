import {
  DuckDBBlobVector,
  type DuckDBDataChunk,
  DuckDBTimestampTZValue,
  type DuckDBValue,
} from "@duckdb/node-api";
import type { ColumnValue } from "../../../topics/column-value.ts";
import { columnsPerPieced, PiecedColumn } from "../../parquet/seed-chunk.ts";
import type { CommittedRow } from "../committed-rows.ts";

const piecedColumns = 4 * columnsPerPieced;
/** Columns of `baseSelection` in a result; other columns come after them. */
export const baseSelected = piecedColumns + 11;
/** Payload bytes of a slice: a chunk of the engine has 2,048 rows, whose payloads may be large. */
const sliceBytesMax = 4 * 1024 * 1024;

/** What is no base column of a row. */
export type Filing = Pick<CommittedRow, "table" | "values" | "quarantine">;

/** Rows of a chunk whose first columns are `baseSelection`, by their numbers in the chunk. */
export function baseDecoder(chunk: DuckDBDataChunk): (row: number, filing: Filing) => CommittedRow {
  const [devices, ids, topics, positions] = [0, 1, 2, 3].map(
    (column) => new PiecedColumn(chunk, column * columnsPerPieced),
  ) as [PiecedColumn, PiecedColumn, PiecedColumn, PiecedColumn];
  const fixed = Array.from({ length: baseSelected - piecedColumns }, (_, index) =>
    chunk.getColumnVector(piecedColumns + index),
  );
  const item = (column: number, row: number) => fixed[column]?.getItem(row) ?? null;
  const [, , , , payloads] = fixed;
  if (!(payloads instanceof DuckDBBlobVector)) throw new TypeError("payloads are bytes");
  return (row, { table, values, quarantine }) => ({
    table,
    deviceId: devices.bytes(row).toString("utf8"),
    topicName: topics.bytes(row).toString("utf8"),
    messageId: item(3, row) === true ? null : Uint8Array.from(ids.bytes(row)),
    eventTimeMs: Number(item(6, row)),
    eventTimeMicros: Number(item(7, row)),
    eventTimeOutside: item(8, row) === true,
    ingestTimeMs: Number(item(9, row)),
    streamTimeMs: Number(item(10, row)),
    payload: Uint8Array.from(payloads.getItemBytes(row) ?? []),
    payloadCrc: Number(item(5, row)),
    streamId: String(item(0, row)),
    partition: Number(item(1, row)),
    position: positions.bytes(row).toString("latin1"),
    index: Number(item(2, row)),
    values,
    quarantine,
  });
}

/** All rows of a chunk in slices of bounded size. */
export function* slicesOf(
  { rowCount }: DuckDBDataChunk,
  decode: (row: number) => CommittedRow,
): Generator<CommittedRow[]> {
  let rows: CommittedRow[] = [];
  let bytes = 0;
  for (let index = 0; index < rowCount; index++) {
    const row = decode(index);
    rows.push(row);
    bytes += row.payload.length;
    if (bytes < sliceBytesMax) continue;
    yield rows;
    rows = [];
    bytes = 0;
  }
  yield rows;
}

export function columnValue(value: DuckDBValue): ColumnValue {
  if (value === null || typeof value === "boolean" || typeof value === "number") return value;
  if (typeof value === "string") return value;
  if (typeof value === "bigint") return exact(value);
  return value instanceof DuckDBTimestampTZValue ? exact(value.micros) : String(value);
}

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
