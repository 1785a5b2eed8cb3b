import { randomUUID } from "node:crypto";
import { BridgeError } from "../../errors.ts";
import { partitionColumns, type TableColumn } from "../table-columns.ts";
import type { MetaDataAction, ProtocolAction } from "./delta-actions.ts";

/** What we write, and the most that we understand. */
export const READER_VERSION = 1;
export const WRITER_VERSION = 2;

/** A field of a Delta schema; foreign ones may have a nested type. */
export interface SchemaField {
  readonly name: string;
  readonly type: unknown;
  readonly nullable: boolean;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export function tableConflict(table: string, fault: string): BridgeError {
  return new BridgeError(
    "TABLE_CONFLICT",
    `another writer changed table ${table} so that our rows don't fit: ${fault}. Undo that change, or move the table's folder away; nothing is filed in it until then`,
    { retryable: false, details: { table } },
  );
}

/** Refuses a table that asks for more than reader 1, or for more than writer 2 where we are to write. */
export function checkProtocol(table: string, protocol: ProtocolAction, use: "read" | "write"): void {
  const { minReaderVersion, minWriterVersion } = protocol;
  if (minReaderVersion > READER_VERSION)
    throw tableConflict(table, `it needs Delta reader ${minReaderVersion}, ours is ${READER_VERSION}`);
  if (use === "write" && minWriterVersion > WRITER_VERSION)
    throw tableConflict(table, `it needs Delta writer ${minWriterVersion}, ours is ${WRITER_VERSION}`);
}

export function schemaFields(table: string, metaData: MetaDataAction): SchemaField[] {
  try {
    const schema: unknown = JSON.parse(metaData.schemaString);
    if (typeof schema === "object" && schema !== null && "fields" in schema && Array.isArray(schema.fields))
      return schema.fields as SchemaField[];
  } catch {
    // Told below.
  }
  throw tableConflict(table, "its schema can't be read");
}

function newField({ name, type }: TableColumn): SchemaField {
  return { name, type, nullable: true, metadata: {} };
}

function encodeSchema(fields: readonly SchemaField[]): string {
  return JSON.stringify({ type: "struct", fields });
}

export function newMetaData(table: string, columns: readonly TableColumn[], nowMs: number): MetaDataAction {
  return {
    id: randomUUID(),
    name: table,
    format: { provider: "parquet", options: {} },
    schemaString: encodeSchema([...columns, ...partitionColumns].map(newField)),
    partitionColumns: partitionColumns.map(({ name }) => name),
    configuration: {},
    createdTime: nowMs,
  };
}

/**
 * The table's metadata with those of `columns` added that it lacks; null where it has them all.
 * Throws TABLE_CONFLICT where a column has another type, or the partitioning is not ours any more.
 */
export function extendMetaData(
  table: string,
  metaData: MetaDataAction,
  columns: readonly TableColumn[],
): MetaDataAction | null {
  const ours = partitionColumns.map(({ name }) => name).join(", ");
  if (metaData.partitionColumns.join(", ") !== ours)
    throw tableConflict(
      table,
      `it is partitioned by (${metaData.partitionColumns.join(", ")}), not (${ours})`,
    );
  const fields = schemaFields(table, metaData);
  const wanted = new Map(
    [...columns, ...partitionColumns].map((column) => [column.name.toLowerCase(), column]),
  );
  for (const field of fields) {
    const column = wanted.get(field.name.toLowerCase());
    if (column && column.type !== field.type)
      throw tableConflict(table, `column ${field.name} is ${JSON.stringify(field.type)}, not ${column.type}`);
    if (!column && field.nullable === false)
      throw tableConflict(table, `column ${field.name} may not be null, and we have no value for it`);
    wanted.delete(field.name.toLowerCase());
  }
  if (wanted.size === 0) return null;
  return { ...metaData, schemaString: encodeSchema([...fields, ...[...wanted.values()].map(newField)]) };
}
