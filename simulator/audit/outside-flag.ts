import type { EventTimeBounds } from "./topic-definitions.ts";

/** The times of a row, in µs since the epoch. */
export interface RowTimes {
  readonly eventUs: number;
  readonly ingestUs: number;
}

/**
 * Whether `event_time_outside` may be true, and whether it may be false, by the bounds of the versions that
 * may have judged the row. Rows of one version have one correct value. An exception is the first millisecond
 * after the bound ahead: earlier versions of the gateway compared whole milliseconds.
 */
export function mayBeFlagged(
  { eventUs, ingestUs }: RowTimes,
  bounds: readonly EventTimeBounds[],
): { readonly asOutside: boolean; readonly asWithin: boolean } {
  const beyond = bounds.map(({ pastMs, aheadMs }) => ({
    isPast: eventUs < ingestUs - pastMs * 1000,
    aheadByUs: eventUs - ingestUs - aheadMs * 1000,
  }));
  return {
    asOutside: beyond.some(({ isPast, aheadByUs }) => isPast || aheadByUs > 0),
    asWithin: beyond.some(({ isPast, aheadByUs }) => !isPast && aheadByUs < 1000),
  };
}
