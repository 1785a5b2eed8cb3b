import {
  DuckDBBlobVector,
  type DuckDBDataChunk,
  type DuckDBResult,
  DuckDBTimestampTZValue,
  DuckDBTypeId,
  type DuckDBValue,
} from "@duckdb/node-api";
import { QUARANTINE } from "../commit-log.ts";
import type { CommittedRow, FollowedTable } from "../follow/committed-rows.ts";
import type { FollowedFiles } from "../follow/row-reader.ts";
import type { ColumnValue, QuarantineFacts } from "../row.ts";
import type { TableColumn } from "../table-columns.ts";
import { columnsPerPieced, PiecedColumn } from "./seed-chunk.ts";

/** Of a slice: a chunk of the engine has 2048 rows, whose payloads may be large. */
const sliceBytesMax = 4 * 1024 * 1024;
const piecedColumns = 4 * columnsPerPieced;
const fixedColumns = piecedColumns + 11;
const quarantineColumns = 4;

const columnTypes: Partial<Record<DuckDBTypeId, TableColumn["type"]>> = {
  [DuckDBTypeId.BOOLEAN]: "boolean",
  [DuckDBTypeId.BIGINT]: "long",
  [DuckDBTypeId.DOUBLE]: "double",
  [DuckDBTypeId.TIMESTAMP_TZ]: "timestamp",
};

function firstTyped({ key }: Pick<FollowedFiles, "key">): number {
  return key === QUARANTINE ? fixedColumns + quarantineColumns : fixedColumns;
}

/** The table as the result of `rowQuery` shows it. A column of another writer's type counts as text. */
export function followedTable({ key, name, version }: FollowedFiles, result: DuckDBResult): FollowedTable {
  const types = result.columnTypes();
  const columns = result
    .columnNames()
    .map((column, index) => ({ name: column, type: columnTypes[types[index]?.typeId ?? 0] ?? "string" }))
    .slice(firstTyped({ key }));
  return { key, name, version, columns };
}

/** The rows of a chunk that `rowQuery` selected. */
export function* decodeRows(chunk: DuckDBDataChunk, table: FollowedTable): Generator<CommittedRow[]> {
  const decode = rowDecoder(chunk, table);
  let rows: CommittedRow[] = [];
  let bytes = 0;
  for (let index = 0; index < chunk.rowCount; index++) {
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

function rowDecoder(chunk: DuckDBDataChunk, table: FollowedTable): (row: number) => CommittedRow {
  const [devices, ids, topics, positions] = [0, 1, 2, 3].map(
    (column) => new PiecedColumn(chunk, column * columnsPerPieced),
  ) as [PiecedColumn, PiecedColumn, PiecedColumn, PiecedColumn];
  const fixed = Array.from({ length: fixedColumns - piecedColumns }, (_, index) =>
    chunk.getColumnVector(piecedColumns + index),
  );
  const item = (column: number, row: number) => fixed[column]?.getItem(row) ?? null;
  const [, , , , payloads] = fixed;
  if (!(payloads instanceof DuckDBBlobVector)) throw new TypeError("payloads are bytes");
  const typed = table.columns.map((_, index) => chunk.getColumnValues(firstTyped(table) + index));
  const facts = table.key === QUARANTINE ? factsOf(chunk) : null;
  return (row) => ({
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
    values: typed.map((values) => columnValue(values[row] ?? null)),
    quarantine: facts?.(row) ?? null,
  });
}

function factsOf(chunk: DuckDBDataChunk): (row: number) => QuarantineFacts {
  const columns = [0, 1, 2, 3].map((index) => chunk.getColumnValues(fixedColumns + index));
  const text = (column: number, row: number) => String(columns[column]?.[row] ?? "");
  return (row) => ({
    reason: text(0, row),
    detail: text(1, row),
    topicId: text(2, row),
    topicVersion: Number(columns[3]?.[row] ?? 0),
  });
}

function columnValue(value: DuckDBValue): ColumnValue {
  if (value === null || typeof value === "boolean" || typeof value === "number") return value;
  if (typeof value === "string") return value;
  if (typeof value === "bigint") return exact(value);
  return value instanceof DuckDBTimestampTZValue ? exact(value.micros) : String(value);
}

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
