import { endPosition, type Position, startPosition } from "../stream-log.ts";

/** True for a sequence number of Kinesis: a decimal number of up to 128 digits, without leading zeros. */
export function isSequenceNumber(text: unknown): text is string {
  return typeof text === "string" && /^(0|[1-9]\d{0,127})$/.test(text);
}

/** Negative, zero or positive, like StreamLog.comparePositions. */
export function compareSequenceNumbers(left: Position, right: Position): number {
  if (left === right) return 0;
  if (left === endPosition || right === startPosition) return 1;
  if (right === endPosition || left === startPosition) return -1;
  if (left.length !== right.length) return left.length - right.length;
  return left < right ? -1 : 1;
}
