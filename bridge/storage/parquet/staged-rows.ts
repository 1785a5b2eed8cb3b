import type { ColumnType, TopicVersion, TypedColumn } from "../../consumer/topic-catalog.ts";
import type { ColumnValue, QuarantineFacts, Row } from "../batch-writer.ts";
import type { StagedColumn, StagedType } from "./staging-table.ts";

/** A row with what the writer adds to it: which block it came in, and which partition of its table it goes to. */
export interface StagedRow {
  readonly row: Row;
  readonly blockNumber: number;
  /** Whole hours since the epoch. */
  readonly partitionHour: number;
  readonly values: readonly ColumnValue[];
  readonly facts: QuarantineFacts | null;
}

/** Where one block's rows stand in the stream: staged once per block, not per row. */
export interface StagedBlock {
  readonly number: number;
  readonly streamId: string;
  readonly partition: number;
  readonly position: string;
  readonly ingestTimeMs: number;
}

export const blockTableColumns: readonly StagedColumn<StagedBlock>[] = [
  { name: "block", type: "integer", value: (block) => block.number },
  { name: "stream", type: "string", value: (block) => block.streamId },
  { name: "partition", type: "string", value: (block) => String(block.partition) },
  { name: "position", type: "string", value: (block) => block.position },
  { name: "ingest_ms", type: "milliseconds", value: (block) => block.ingestTimeMs },
];

const rowColumns: readonly StagedColumn<StagedRow>[] = [
  { name: "device_id", type: "string", value: ({ row }) => row.deviceId },
  { name: "topic", type: "string", value: ({ row }) => row.topicName },
  { name: "message_id", type: "bytes", value: ({ row }) => blob(row.messageId) },
  { name: "event_ms", type: "milliseconds", value: ({ row }) => row.eventTimeMs },
  { name: "payload", type: "bytes", value: ({ row }) => blob(row.payload) },
  { name: "payload_crc", type: "integer", value: ({ row }) => row.payloadCrc },
  { name: "event_time_outside", type: "boolean", value: ({ row }) => row.eventTimeOutside },
  { name: "block", type: "integer", value: ({ blockNumber }) => blockNumber },
  { name: "_index", type: "integer", value: ({ row }) => row.index },
  { name: "partition_hour", type: "integer", value: ({ partitionHour }) => partitionHour },
];

const factColumns: readonly StagedColumn<StagedRow>[] = [
  { name: "reason", type: "string", value: ({ facts }) => facts?.reason ?? null },
  { name: "detail", type: "string", value: ({ facts }) => facts?.detail ?? null },
  { name: "topic_id", type: "string", value: ({ facts }) => facts?.topicId ?? null },
  { name: "topic_version", type: "integer", value: ({ facts }) => facts?.topicVersion ?? null },
];

const stagedTypes: Record<ColumnType, StagedType> = {
  boolean: "boolean",
  long: "long",
  double: "double",
  string: "string",
  timestamp: "milliseconds",
};

// DuckDB's binding wants this shape for a BLOB; a DuckDBBlobValue would cost one more object per row.
function blob(bytes: Uint8Array | null): { bytes: Uint8Array } | null {
  return bytes === null ? null : { bytes };
}

/** Name under which the nth typed column of a version is staged: it can't meet one of ours. */
export function typedColumnName(index: number): string {
  return `typed_${index}`;
}

function typedColumn(column: TypedColumn, index: number): StagedColumn<StagedRow> {
  const value = ({ values }: StagedRow): ColumnValue => {
    const cell = values[index] ?? null;
    return column.type === "long" && typeof cell === "number" ? BigInt(cell) : cell;
  };
  return { name: typedColumnName(index), type: stagedTypes[column.type], value };
}

export function topicStagingColumns(topic: TopicVersion): readonly StagedColumn<StagedRow>[] {
  return [...rowColumns, ...topic.columns.map(typedColumn)];
}

export const quarantineStagingColumns: readonly StagedColumn<StagedRow>[] = [...rowColumns, ...factColumns];
