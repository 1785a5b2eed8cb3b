import type { Row } from "../../tail/row.ts";
import type { LandedLane } from "../commit-log/lane-commits.ts";

export const hourMs = 3_600_000;
/** A row is late if its producer took it this long after the end of its hour. */
export const lateAfterMs = 60_000;

type RowTimes = Pick<Row, "eventTimeMs" | "eventTimeOutside" | "ingestTimeMs">;

/**
 * The hour of a row's partition, in hours since the epoch: the hour of its event time, or of its ingest time
 * if the event time is outside of the limits.
 */
export function hourOf({ eventTimeMs, eventTimeOutside, ingestTimeMs }: RowTimes): number {
  return Math.floor((eventTimeOutside ? ingestTimeMs : eventTimeMs) / hourMs);
}

/**
 * The lane of a row. The writer of a landing file says it once, in a column: no reader computes it, so the
 * rule may change with any version.
 */
export function laneOf(row: RowTimes): LandedLane {
  const hour = hourOf(row);
  if ((hour + 1) * hourMs + lateAfterMs <= row.ingestTimeMs) return "late";
  return hour % 2 === 0 ? "even" : "odd";
}
