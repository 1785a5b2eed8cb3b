import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";

// Reads tables without the code under test: the entries of their logs, and their files with hyparquet.

interface LogAction {
  readonly add?: { readonly path: string };
  readonly remove?: { readonly path: string };
  readonly txn?: { readonly appId: string; readonly version: number };
}

export interface SettledContent {
  /** -1 if the table does not exist. */
  readonly version: number;
  /** Values of one column in all rows of the live files, sorted. */
  readonly values: readonly (string | number)[];
  readonly files: number;
  /** Commits by lane, only lanes with a transaction. */
  readonly lanes: Readonly<Record<string, number>>;
}

/** The table as its log shows it. The log must begin at its first entry. */
export async function settledContent(
  lakeFolder: string,
  table: string,
  columnName: string,
): Promise<SettledContent> {
  const folder = join(lakeFolder, table);
  const entries = logEntries(join(folder, "_delta_log"));
  const live = new Set<string>();
  const lanes: Record<string, number> = {};
  for (const { add, remove, txn } of entries.flat()) {
    if (add) live.add(decodeURIComponent(add.path));
    if (remove) live.delete(decodeURIComponent(remove.path));
    if (txn) lanes[txn.appId.split("/")[2] ?? "direct"] = txn.version;
  }
  const values: (string | number)[] = [];
  for (const path of live)
    for (const row of await rowsOf(join(folder, path))) values.push(plainValue(row[columnName]));
  return { version: entries.length - 1, values: values.sort(), files: live.size, lanes };
}

function logEntries(folder: string): LogAction[][] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /^\d{20}\.json$/.test(name))
    .sort()
    .map((name) => readFileSync(join(folder, name), "utf8").trim().split("\n"))
    .map((lines) => lines.map((line) => JSON.parse(line) as LogAction));
}

async function rowsOf(path: string): Promise<Record<string, unknown>[]> {
  const bytes = readFileSync(path);
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
  return parquetReadObjects({ file, compressors, utf8: false });
}

function plainValue(value: unknown): string | number {
  if (typeof value === "bigint" || typeof value === "number") return Number(value);
  return value instanceof Uint8Array ? Buffer.from(value).toString() : String(value);
}
