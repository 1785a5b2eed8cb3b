/** The columns of a table according to its log: readers use these, not those of the files. */
export interface TableSchema {
  /** Type by name; nested types are text as well. */
  readonly columns: ReadonlyMap<string, string>;
  readonly partitionColumns: readonly string[];
}

const partitionColumns = { event_date: "date", event_hour: "integer" } as const;

/** null if the log's `schemaString` is not valid. */
export function parseSchema(schemaString: unknown, partitioned: unknown): TableSchema | null {
  try {
    const { fields } = JSON.parse(String(schemaString)) as {
      fields: readonly { name: string; type: unknown }[];
    };
    const columns = fields.map(
      ({ name, type }) => [name, typeof type === "string" ? type : "nested"] as const,
    );
    return {
      columns: new Map(columns),
      partitionColumns: Array.isArray(partitioned) ? partitioned.map(String) : [],
    };
  } catch {
    return null;
  }
}

/**
 * Why readers of the table do not find all data of its files, or not by date and hour. `inFiles`: type by
 * name.
 */
export function schemaFaults(
  table: string,
  schema: TableSchema | null,
  inFiles: ReadonlyMap<string, string>,
): string[] {
  if (!schema) return [`table ${table}: its log has no schema that can be read`];
  const faults: string[] = [];
  if (schema.partitionColumns.join() !== Object.keys(partitionColumns).join())
    faults.push(`table ${table} is divided by ${schema.partitionColumns.join(", ") || "nothing"}`);
  for (const [name, type] of [...Object.entries(partitionColumns), ...inFiles]) {
    const said = schema.columns.get(name);
    if (said === undefined) faults.push(`table ${table}: its schema has no column ${name}`);
    else if (said !== type)
      faults.push(`table ${table}: column ${name} is ${said} in its schema, and ${type}`);
  }
  return faults;
}
