import { randomUUID } from "node:crypto";
import { BridgeError } from "../../errors.ts";
import { partitionColumns, type TableColumn } from "../../topics/table-columns.ts";
import type { MetaDataAction, ProtocolAction, SchemaField, TableHead } from "./delta-actions.ts";
import { appendFault, namingFault, readFault } from "./delta-features.ts";

/** Protocol versions of a new table. */
export const readerVersion = 1;
export const writerVersion = 2;

/** How to undo another writer's change to a table. `restore` returns to the version before. */
export type Undo =
  | { readonly kind: "restore" }
  | { readonly kind: "drop-constraints"; readonly constraints: readonly string[] }
  | { readonly kind: "drop-not-null"; readonly column: string }
  | { readonly kind: "allow-removes" };

const restore: Undo = { kind: "restore" };

/** @param undo How to undo the change; becomes part of the error's details. */
export function tableConflict(table: string, fault: string, undo: Undo = restore): BridgeError {
  return new BridgeError(
    "TABLE_CONFLICT",
    `another writer changed table ${table} so that Tidegate's rows don't fit: ${fault}`,
    { retryable: false, details: { table, undo } },
  );
}

/** Throws TABLE_CONFLICT if our SQL would misread the table. */
export function checkReadable(table: string, protocol: ProtocolAction, metaData: MetaDataAction): void {
  const fault = readFault(protocol, metaData);
  if (fault !== null)
    throw new BridgeError("TABLE_CONFLICT", `table ${table} can't be read: ${fault}`, {
      retryable: false,
      details: { table },
    });
}

/** Throws TABLE_CONFLICT if the log may name files in a way that we do not know. */
export function checkFilesNamed(table: string, protocol: ProtocolAction): void {
  const fault = namingFault(protocol);
  if (fault !== null) throw tableConflict(table, fault);
}

/**
 * Throws TABLE_CONFLICT if the table can't take rows with these columns, so that it is parked, and
 * TABLE_APPEND_ONLY if it forbids to remove rows. Whole files may be removed whatever else it demands: change data
 * feeds, too, are read from the log then.
 */
export function checkRemove(
  table: string,
  head: Pick<TableHead, "protocol" | "metaData">,
  columns: readonly TableColumn[],
): void {
  checkAppend(table, head, columns);
  if (head.metaData.configuration?.["delta.appendOnly"]?.toLowerCase() !== "true") return;
  const undo: Undo = { kind: "allow-removes" };
  throw new BridgeError(
    "TABLE_APPEND_ONLY",
    `table ${table} forbids to remove rows: another writer set its property delta.appendOnly`,
    { retryable: false, details: { table, undo } },
  );
}

/**
 * The metadata that an append of files with these columns needs: the table's own, extended by missing
 * columns. Null if none is missing. Throws TABLE_CONFLICT if such files cannot be appended.
 */
export function checkAppend(
  table: string,
  { protocol, metaData }: Pick<TableHead, "protocol" | "metaData">,
  columns: readonly TableColumn[],
): MetaDataAction | null {
  const extended = extendMetaData(table, metaData, columns);
  const asked = appendFault(protocol, metaData, schemaFields(table, metaData));
  if (asked === null) return extended;
  const { fault, constraints } = asked;
  throw tableConflict(table, fault, constraints ? { kind: "drop-constraints", constraints } : restore);
}

/** Throws TABLE_CONFLICT if a file has, or may have, nulls in a column that another writer made NOT NULL. */
export function checkNulls(
  table: string,
  metaData: MetaDataAction,
  files: readonly { readonly stats: string }[],
): void {
  const partitions = new Set(metaData.partitionColumns);
  const filled = schemaFields(table, metaData).filter(
    ({ name, nullable }) => nullable === false && !partitions.has(name),
  );
  if (filled.length === 0) return;
  for (const { stats } of files) {
    const { nullCount } = JSON.parse(stats) as { nullCount?: Readonly<Record<string, number>> };
    const column = filled.find(({ name }) => nullCount?.[name] !== 0)?.name;
    if (column !== undefined)
      throw tableConflict(table, `column ${column} may not be null, and rows have no value for it`, {
        kind: "drop-not-null",
        column,
      });
  }
}

export function schemaFields(table: string, metaData: MetaDataAction): SchemaField[] {
  try {
    const schema: unknown = JSON.parse(metaData.schemaString);
    if (typeof schema === "object" && schema !== null && "fields" in schema && Array.isArray(schema.fields))
      return schema.fields as SchemaField[];
  } catch {
    // The error follows below.
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
 * The table's metadata, extended by those of `columns` that it lacks; null if it has them all. Throws
 * TABLE_CONFLICT if a column has another type, or if the table is partitioned in another way.
 */
function extendMetaData(
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
      throw tableConflict(
        table,
        `column ${field.name} may not be null, and Tidegate writes no value for it`,
        {
          kind: "drop-not-null",
          column: field.name,
        },
      );
    wanted.delete(field.name.toLowerCase());
  }
  if (wanted.size === 0) return null;
  return { ...metaData, schemaString: encodeSchema([...fields, ...[...wanted.values()].map(newField)]) };
}
