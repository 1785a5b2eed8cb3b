import { type Position, startPosition } from "./stream-log.ts";

const digits = 20;

/**
 * Position in an embedded stream: the number of the entry in its partition (1, 2, … without gaps) as 20
 * decimal digits.
 */
export function positionOf(entryNumber: number): Position {
  return entryNumber === 0 ? startPosition : String(entryNumber).padStart(digits, "0");
}

/**
 * The number of the entry, 0 for startPosition; null if the text is not a position of an embedded stream.
 */
export function entryNumberOf(position: Position): number | null {
  if (position === startPosition) return 0;
  if (!isDecimalPosition(position)) return null;
  const entryNumber = Number(position);
  return Number.isSafeInteger(entryNumber) ? entryNumber : null;
}

/** True for positions of an embedded stream. Positions of other kinds have another form. */
export function isDecimalPosition(position: Position): boolean {
  return position.length === digits && /^\d+$/.test(position);
}

/** Negative, zero or positive, like StreamLog.comparePositions. */
export function compareDecimalPositions(left: Position, right: Position): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
