import { endPosition, type Position } from "../../streams/stream-log.ts";
import type { Row } from "../../tail/row.ts";

export type StreamPlace = Pick<Row, "streamId" | "partition" | "position" | "index">;

/** Orders messages of a partition as in the stream, and partitions one after another. */
export function comparePlaces(left: StreamPlace, right: StreamPlace): number {
  if (left.streamId !== right.streamId) return left.streamId < right.streamId ? -1 : 1;
  if (left.partition !== right.partition) return left.partition - right.partition;
  if (left.position !== right.position) return comparePositions(left.position, right.position);
  return left.index - right.index;
}

/** Positions of every stream are decimal numbers, or two of them joined by `-`. */
export function comparePositions(left: Position, right: Position): number {
  if (left === right) return 0;
  if (left === endPosition || right === endPosition) return left === endPosition ? 1 : -1;
  const [leftFirst = "", leftSecond = ""] = left.split("-");
  const [rightFirst = "", rightSecond = ""] = right.split("-");
  return compareDigits(leftFirst, rightFirst) || compareDigits(leftSecond, rightSecond);
}

function compareDigits(left: string, right: string): number {
  if (left.length !== right.length) return left.length - right.length;
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
