import {
  type AsyncBuffer,
  type DecodedArray,
  type ParquetParsers,
  parquetReadObjects,
  parquetScan,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import type { LakeFile } from "./lake-files.ts";

/** Rows of one row group, by column. `values[column][row]`. */
export interface RowGroup {
  readonly rows: number;
  readonly values: Readonly<Record<string, DecodedArray>>;
}

/** Times become µs since the epoch as numbers: exact until the year 2255. */
const parsers: Partial<ParquetParsers> = {
  timestampFromMilliseconds: (ms) => Number(ms) * 1000,
  timestampFromMicroseconds: (us) => Number(us),
  timestampFromNanoseconds: (ns) => Number(ns) / 1000,
};

function asBuffer(file: LakeFile): AsyncBuffer {
  return { byteLength: file.bytes, slice: (start, end) => file.slice(start, end ?? file.bytes) };
}

/** The row groups of a Parquet file, one at a time. Byte columns are Uint8Array, text columns string. Columns that it lacks are left out. */
export async function* readRowGroups(file: LakeFile, columns: readonly string[]): AsyncGenerator<RowGroup> {
  const scan = await parquetScan({ file: asBuffer(file), compressors, parsers, utf8: false });
  const present = scan.metadata.schema.map(({ name }) => name).filter((name) => columns.includes(name));
  for (const { rowStart, rowEnd } of scan.ranges) {
    const values: Record<string, DecodedArray> = {};
    for (const column of present) values[column] = await scan.readColumn({ column, rowStart, rowEnd });
    yield { rows: rowEnd - rowStart, values };
  }
}

/** All rows of a small Parquet file as objects: checkpoints. */
export function readObjects(file: LakeFile, columns: readonly string[]): Promise<Record<string, unknown>[]> {
  return parquetReadObjects({ file: asBuffer(file), compressors, columns: [...columns] });
}
