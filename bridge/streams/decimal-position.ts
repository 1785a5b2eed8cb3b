import { type Position, START_POSITION } from "./stream-log.ts";

const digits = 20;

/** Position of the embedded stream: the entry's number in its partition, 1, 2, … without holes, as 20 decimal digits. */
export function positionOf(entryNumber: number): Position {
  return entryNumber === 0 ? START_POSITION : String(entryNumber).padStart(digits, "0");
}

/** The entry's number, 0 for START_POSITION; null where the text is no position of the embedded stream. */
export function entryNumberOf(position: Position): number | null {
  if (position === START_POSITION) return 0;
  if (!isDecimalPosition(position)) return null;
  const entryNumber = Number(position);
  return Number.isSafeInteger(entryNumber) ? entryNumber : null;
}

/** True for positions that an embedded stream hands out; other streams' positions look otherwise. */
export function isDecimalPosition(position: Position): boolean {
  return position.length === digits && /^\d+$/.test(position);
}

/** Negative, zero or positive, as StreamLog.comparePositions. */
export function compareDecimalPositions(left: Position, right: Position): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
