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
