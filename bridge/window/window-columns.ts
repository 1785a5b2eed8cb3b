import { DEDUP_KEY_BYTES, type WindowEntries } from "./dedup-window.ts";

/** WindowEntries to be filled; those of exact ids aside. */
export type WindowColumns = {
  readonly [Name in keyof Omit<WindowEntries, "exact" | "length">]: WindowEntries[Name];
};

export function windowColumns(length: number): WindowColumns {
  return {
    keys: new Uint8Array(length * DEDUP_KEY_BYTES),
    contentHashes: new Uint32Array(length),
    expiresAtSeconds: new Uint32Array(length),
    filedAtSeconds: new Uint32Array(length),
    devices: new Uint16Array(length),
  };
}

/** Rows `start` to `end`: views. */
export function columnsPart(
  columns: WindowColumns,
  start: number,
  end: number,
): WindowColumns & { length: number } {
  return {
    length: end - start,
    keys: columns.keys.subarray(start * DEDUP_KEY_BYTES, end * DEDUP_KEY_BYTES),
    contentHashes: columns.contentHashes.subarray(start, end),
    expiresAtSeconds: columns.expiresAtSeconds.subarray(start, end),
    filedAtSeconds: columns.filedAtSeconds.subarray(start, end),
    devices: columns.devices.subarray(start, end),
  };
}

/** Writes `from` into `to`, from row `start` on. */
export function copyColumns(to: WindowColumns, from: WindowColumns, start = 0): void {
  to.keys.set(from.keys, start * DEDUP_KEY_BYTES);
  to.contentHashes.set(from.contentHashes, start);
  to.expiresAtSeconds.set(from.expiresAtSeconds, start);
  to.filedAtSeconds.set(from.filedAtSeconds, start);
  to.devices.set(from.devices, start);
}
