import { END_POSITION, type Position, START_POSITION } from "../stream-log.ts";

/** Kinesis' own name of a record: a decimal number of up to 128 digits, without leading zeros. */
export function isSequenceNumber(text: unknown): text is string {
  return typeof text === "string" && /^(0|[1-9]\d{0,127})$/.test(text);
}

/** Negative, zero or positive, as StreamLog.comparePositions. */
export function compareSequenceNumbers(left: Position, right: Position): number {
  if (left === right) return 0;
  if (left === END_POSITION || right === START_POSITION) return 1;
  if (right === END_POSITION || left === START_POSITION) return -1;
  if (left.length !== right.length) return left.length - right.length;
  return left < right ? -1 : 1;
}
