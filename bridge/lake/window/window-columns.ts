import { dedupKeyBytes, type WindowEntries } from "./dedup-window.ts";

/** The columns of WindowEntries, to be filled; without exact ids. */
export type WindowColumns = {
  readonly [Name in keyof Omit<WindowEntries, "exact" | "length">]: WindowEntries[Name];
};

export function windowColumns(length: number): WindowColumns {
  return {
    keys: new Uint8Array(length * dedupKeyBytes),
    contentHashes: new Uint32Array(length),
    expiresAtSeconds: new Uint32Array(length),
    filedAtSeconds: new Uint32Array(length),
    devices: new Uint16Array(length),
  };
}

/** Views of the rows from `start` to `end`. */
export function columnsPart(
  columns: WindowColumns,
  start: number,
  end: number,
): WindowColumns & { length: number } {
  return {
    length: end - start,
    keys: columns.keys.subarray(start * dedupKeyBytes, end * dedupKeyBytes),
    contentHashes: columns.contentHashes.subarray(start, end),
    expiresAtSeconds: columns.expiresAtSeconds.subarray(start, end),
    filedAtSeconds: columns.filedAtSeconds.subarray(start, end),
    devices: columns.devices.subarray(start, end),
  };
}

/** Copies all rows of `from` into `to`, starting at row `start`. */
export function copyColumns(to: WindowColumns, from: WindowColumns, start = 0): void {
  to.keys.set(from.keys, start * dedupKeyBytes);
  to.contentHashes.set(from.contentHashes, start);
  to.expiresAtSeconds.set(from.expiresAtSeconds, start);
  to.filedAtSeconds.set(from.filedAtSeconds, start);
  to.devices.set(from.devices, start);
}
