import { eventTimeBoundLimits } from "../../bridge/topics/event-time-bounds.ts";

/**
 * The event time of all messages of the SDK's devices. Their topic's bounds are so wide that no row is flagged,
 * whatever the clocks do: a look-up of an old id must find each row by its event time.
 */
export const sdkEventTimeMs = 1_700_000_000_000;
export const widestBounds = {
  eventPastMs: eventTimeBoundLimits.maxMs,
  eventAheadMs: eventTimeBoundLimits.maxMs,
} as const;

const start = new Date(sdkEventTimeMs);

/** The partition of the hour in which all rows are filed. */
export const eventHour = {
  event_date: start.toISOString().slice(0, 10),
  event_hour: String(start.getUTCHours()),
} as const;
export const eventHourFolder = `event_date=${eventHour.event_date}/event_hour=${eventHour.event_hour.padStart(2, "0")}`;
