import { DuckDBBlobVector, type DuckDBDataChunk, type DuckDBVector } from "@duckdb/node-api";

/**
 * DuckDB stores values of up to 12 bytes inside its vectors; a longer value costs a native call to read. So
 * texts and ids are selected as their first two pieces of 12 bytes, and whole only if they are longer.
 */
const pieceBytes = 12;
const pieces = 2;
const shortBytesMax = pieceBytes * pieces;

/** SELECT list of one BLOB value, to be read by `PiecedColumn`. */
export function piecedColumn(expression: string): string {
  const parts = Array.from(
    { length: pieces },
    (_, index) => `array_slice(${expression}, ${index * pieceBytes + 1}, ${(index + 1) * pieceBytes})`,
  );
  const whole = `CASE WHEN octet_length(${expression}) > ${shortBytesMax} THEN ${expression} END`;
  return [...parts, whole].join(", ");
}

export const columnsPerPieced = pieces + 1;

function blobVector(chunk: DuckDBDataChunk, column: number): DuckDBBlobVector {
  const vector: DuckDBVector = chunk.getColumnVector(column);
  if (!(vector instanceof DuckDBBlobVector)) throw new TypeError(`column ${column} is no BLOB`);
  return vector;
}

/** Reads the values that `piecedColumn` selected. */
export class PiecedColumn {
  readonly #first: DuckDBBlobVector;
  readonly #second: DuckDBBlobVector;
  readonly #whole: DuckDBBlobVector;
  readonly #scratch = Buffer.allocUnsafeSlow(shortBytesMax);

  constructor(chunk: DuckDBDataChunk, column: number) {
    this.#first = blobVector(chunk, column);
    this.#second = blobVector(chunk, column + 1);
    this.#whole = blobVector(chunk, column + 2);
  }

  /** The value's bytes. Copy or decode them before the next call. */
  bytes(row: number): Buffer {
    const first = this.#first.getItemBytes(row);
    if (first === null) return this.#scratch.subarray(0, 0);
    const scratch = this.#scratch;
    let length = first.length;
    for (let index = 0; index < length; index++) scratch[index] = first[index] as number;
    if (length < pieceBytes) return scratch.subarray(0, length);
    const second = this.#second.getItemBytes(row);
    if (second === null) return scratch.subarray(0, length);
    for (let index = 0; index < second.length; index++) scratch[pieceBytes + index] = second[index] as number;
    length += second.length;
    if (length < shortBytesMax) return scratch.subarray(0, length);
    const whole = this.#whole.getItemBytes(row);
    return whole === null ? scratch : Buffer.from(whole);
  }
}
