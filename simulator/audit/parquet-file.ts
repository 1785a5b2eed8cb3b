import {
  type AsyncBuffer,
  type DecodedArray,
  type FileMetaData,
  type ParquetParsers,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetScan,
  parquetSchema,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import type { LakeFile } from "./lake-files.ts";

/** Rows of one row group, by column. */
export interface RowGroup {
  readonly rows: number;
  /** `values[column][row]`. */
  readonly values: Readonly<Record<string, DecodedArray>>;
  /** The bounds in the file, for the columns that have them. */
  readonly bounds: Readonly<Record<string, { readonly min: unknown; readonly max: unknown }>>;
  /** Delta's names of the types; types that the gateway does not write keep Parquet's names. */
  readonly types: Readonly<Record<string, string>>;
}

/** Times become µs since the epoch: numbers while those are exact (to the year 2255), bigints beyond. */
const parsers: Partial<ParquetParsers> = {
  timestampFromMilliseconds: (ms) => exactly(ms * 1000n),
  timestampFromMicroseconds: exactly,
  timestampFromNanoseconds: (ns) => Number(ns) / 1000,
};

function exactly(us: bigint): number | bigint {
  const number = Number(us);
  return Number.isSafeInteger(number) ? number : us;
}

function asBuffer(file: LakeFile): AsyncBuffer {
  return { byteLength: file.bytes, slice: (start, end) => file.slice(start, end ?? file.bytes) };
}

/**
 * The row groups of a Parquet file, one at a time, with all columns that are not nested. Byte columns are
 * Uint8Array, text columns string.
 */
export async function* readRowGroups(file: LakeFile): AsyncGenerator<RowGroup> {
  const buffer = asBuffer(file);
  const metadata = await parquetMetadataAsync(buffer, { parsers });
  const scan = await parquetScan({ file: buffer, metadata, compressors, parsers, utf8: false });
  const elements = parquetSchema(metadata).children.filter(({ children }) => children.length === 0);
  const types = Object.fromEntries(elements.map(({ element }) => [element.name, typeOf(element)]));
  for (const [index, { rowStart, rowEnd }] of scan.ranges.entries()) {
    const values: Record<string, DecodedArray> = {};
    for (const column of Object.keys(types))
      values[column] = await scan.readColumn({ column, rowStart, rowEnd });
    yield { rows: rowEnd - rowStart, values, bounds: boundsOf(metadata.row_groups[index]), types };
  }
}

const plainTypes: Readonly<Record<string, string>> = {
  BOOLEAN: "boolean",
  INT32: "integer",
  INT64: "long",
  DOUBLE: "double",
  BYTE_ARRAY: "binary",
  UTF8: "string",
  TIMESTAMP_MICROS: "timestamp",
  DATE: "date",
  INT_32: "integer",
  INT_64: "long",
};

function typeOf({ name, type, converted_type }: FileMetaData["schema"][number]): string {
  const written = converted_type ?? type ?? name;
  return plainTypes[written] ?? written;
}

function boundsOf(group: FileMetaData["row_groups"][number] | undefined): RowGroup["bounds"] {
  const bounds: Record<string, { min: unknown; max: unknown }> = {};
  for (const { meta_data } of group?.columns ?? []) {
    const { min_value, max_value } = meta_data?.statistics ?? {};
    const name = meta_data?.path_in_schema.join(".") ?? "";
    bounds[name] = { min: whole(min_value), max: whole(max_value) };
  }
  return bounds;
}

/** A text that was cut within a character is not comparable. */
function whole(bound: unknown): unknown {
  return typeof bound === "string" && bound.includes("\ufffd") ? undefined : bound;
}

/** All rows of a small Parquet file (a checkpoint) as objects. Missing columns are left out. */
export async function readObjects(
  file: LakeFile,
  columns: readonly string[],
): Promise<Record<string, unknown>[]> {
  const buffer = asBuffer(file);
  const metadata = await parquetMetadataAsync(buffer);
  const present = new Set(parquetSchema(metadata).children.map(({ element }) => element.name));
  const known = columns.filter((column) => present.has(column));
  return parquetReadObjects({ file: buffer, metadata, compressors, columns: known });
}

/** Columns of one row group after another; `values[column][row]`. Throws if the file lacks one. */
export async function* readColumns(
  file: LakeFile,
  columns: readonly string[],
): AsyncGenerator<Readonly<Record<string, DecodedArray>>> {
  const buffer = asBuffer(file);
  const metadata = await parquetMetadataAsync(buffer);
  const scan = await parquetScan({ file: buffer, metadata, compressors, utf8: false });
  for (const { rowStart, rowEnd } of scan.ranges) {
    const values: Record<string, DecodedArray> = {};
    for (const column of columns) values[column] = await scan.readColumn({ column, rowStart, rowEnd });
    yield values;
  }
}
