import type {
  DuckDBBlobValue,
  DuckDBBlobVector,
  DuckDBBooleanVector,
  DuckDBDataChunk,
  DuckDBDoubleVector,
  DuckDBIntegerVector,
  DuckDBVarCharVector,
  DuckDBVector,
} from "@duckdb/node-api";
import type { QuarantineFacts, Row } from "../../tail/row.ts";
import type { ColumnValue } from "../../topics/column-value.ts";
import type { ColumnType, TopicVersion } from "../../topics/topic-catalog.ts";
import type { StagedColumn, StagedShape, StagedType } from "./staging-table.ts";

/** A row, and the block that it came in. */
export interface RowOfBlock {
  readonly row: Row;
  readonly blockNumber: number;
}

/** A row, its block, and the file of its table that it goes to. */
export interface StagedRow extends RowOfBlock {
  readonly fileNumber: number;
  readonly values: readonly ColumnValue[];
  readonly facts: QuarantineFacts | null;
}

/** The place of a block's rows in the stream: staged once per block, not per row. */
export interface StagedBlock {
  readonly number: number;
  readonly streamId: string;
  readonly partition: number;
  readonly position: string;
  readonly ingestTimeMs: number;
  readonly streamTimeMs: number;
}

export const blockShape: StagedShape<StagedBlock> = {
  columns: [
    { name: "block", type: "integer" },
    { name: "stream", type: "string" },
    { name: "partition", type: "string" },
    { name: "position", type: "string" },
    { name: "ingest_ms", type: "milliseconds" },
    { name: "stream_ms", type: "milliseconds" },
  ],
  fill(chunk, blocks) {
    const [number, stream, partition, position, ingest, streamTime] = vectors(chunk);
    for (const [index, block] of blocks.entries()) {
      number?.setItem(index, block.number);
      stream?.setItem(index, block.streamId);
      partition?.setItem(index, String(block.partition));
      position?.setItem(index, block.position);
      ingest?.setItem(index, block.ingestTimeMs);
      streamTime?.setItem(index, block.streamTimeMs);
    }
  },
};

/** The first staging columns of a row, see `fillRows`. */
export const rowColumns: readonly StagedColumn[] = [
  { name: "device_id", type: "string" },
  { name: "topic", type: "string" },
  { name: "message_id", type: "bytes" },
  { name: "event_ms", type: "milliseconds" },
  { name: "event_micros", type: "integer" },
  { name: "payload", type: "bytes" },
  { name: "payload_crc", type: "integer" },
  { name: "event_time_outside", type: "boolean" },
  { name: "block", type: "integer" },
  { name: "_index", type: "integer" },
];

const fileColumns: readonly StagedColumn[] = [...rowColumns, { name: "file", type: "integer" }];

const factColumns: readonly StagedColumn[] = [
  { name: "reason", type: "string" },
  { name: "detail", type: "string" },
  { name: "topic_id", type: "string" },
  { name: "topic_version", type: "integer" },
];

const stagedTypes: Record<ColumnType, StagedType> = {
  boolean: "boolean",
  long: "long",
  double: "double",
  string: "string",
  timestamp: "long",
};

export function vectors(chunk: DuckDBDataChunk): DuckDBVector[] {
  return Array.from({ length: chunk.columnCount }, (_, column) => chunk.getColumnVector(column));
}

/**
 * The hottest lines of the writer: one loop over the rows, each vector by its own class. A loop per column
 * with a function for the value is shorter, but costs 0.7 µs more per row.
 */
export function fillRows(chunk: DuckDBDataChunk, rows: readonly RowOfBlock[]): void {
  const deviceId = chunk.getColumnVector(0) as DuckDBVarCharVector;
  const topic = chunk.getColumnVector(1) as DuckDBVarCharVector;
  const messageId = chunk.getColumnVector(2) as DuckDBBlobVector;
  const eventMs = chunk.getColumnVector(3) as DuckDBDoubleVector;
  const eventMicros = chunk.getColumnVector(4) as DuckDBIntegerVector;
  const payload = chunk.getColumnVector(5) as DuckDBBlobVector;
  const payloadCrc = chunk.getColumnVector(6) as DuckDBIntegerVector;
  const outside = chunk.getColumnVector(7) as DuckDBBooleanVector;
  const block = chunk.getColumnVector(8) as DuckDBIntegerVector;
  const index = chunk.getColumnVector(9) as DuckDBIntegerVector;
  for (let at = 0; at < rows.length; at++) {
    const { row, blockNumber } = rows[at] as RowOfBlock;
    deviceId.setItem(at, row.deviceId);
    topic.setItem(at, row.topicName);
    messageId.setItem(at, row.messageId === null ? null : blob(row.messageId));
    eventMs.setItem(at, row.eventTimeMs);
    eventMicros.setItem(at, row.eventTimeMicros);
    payload.setItem(at, blob(row.payload));
    payloadCrc.setItem(at, row.payloadCrc);
    outside.setItem(at, row.eventTimeOutside);
    block.setItem(at, blockNumber);
    index.setItem(at, row.index);
  }
}

function fillFileRows(chunk: DuckDBDataChunk, rows: readonly StagedRow[]): void {
  fillRows(chunk, rows);
  const file = chunk.getColumnVector(rowColumns.length) as DuckDBIntegerVector;
  for (let at = 0; at < rows.length; at++) file.setItem(at, (rows[at] as StagedRow).fileNumber);
}

/** The vectors read only `bytes`. A DuckDBBlobValue would cost a constructor call for each value. */
function blob(bytes: Uint8Array): DuckDBBlobValue {
  return { bytes } as DuckDBBlobValue;
}

/** Staging name of the nth typed column of a version; no other column has such a name. */
export function typedColumnName(index: number): string {
  return `typed_${index}`;
}

export function topicShape(topic: TopicVersion): StagedShape<StagedRow> {
  const typed = topic.columns.map(({ type }, index) => ({
    name: typedColumnName(index),
    type: stagedTypes[type],
  }));
  return {
    columns: [...fileColumns, ...typed],
    fill(chunk, rows) {
      fillFileRows(chunk, rows);
      for (const [index, { type }] of typed.entries())
        fillTyped(chunk.getColumnVector(fileColumns.length + index), rows, { index, type });
    },
  };
}

function fillTyped(
  vector: DuckDBVector,
  rows: readonly StagedRow[],
  { index, type }: { index: number; type: StagedType },
): void {
  for (let at = 0; at < rows.length; at++) {
    const value = rows[at]?.values[index] ?? null;
    vector.setItem(at, type === "long" && typeof value === "number" ? BigInt(value) : value);
  }
}

export const quarantineShape: StagedShape<StagedRow> = {
  columns: [...fileColumns, ...factColumns],
  fill(chunk, rows) {
    fillFileRows(chunk, rows);
    const [reason, detail, topicId, topicVersion] = vectors(chunk).slice(fileColumns.length);
    for (const [at, { facts }] of rows.entries()) {
      reason?.setItem(at, facts?.reason ?? null);
      detail?.setItem(at, facts?.detail ?? null);
      topicId?.setItem(at, facts?.topicId ?? null);
      topicVersion?.setItem(at, facts?.topicVersion ?? null);
    }
  },
};
