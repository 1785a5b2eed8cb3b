import type { TopicVersion } from "./topic-catalog.ts";

const minuteMs = 60_000;
const dayMs = 86_400_000;

/** How far an event time may be from the ingest time; beyond it, the device's clock is not believed. */
export interface EventTimeBounds {
  /** Before the ingest time, ms. */
  readonly pastMs: number;
  /** After the ingest time, ms. */
  readonly aheadMs: number;
}

/** Of topic versions that do not name them, as all versions before the bounds were settings. */
export const defaultEventTimeBounds: EventTimeBounds = { pastMs: 7 * dayMs, aheadMs: 60 * minuteMs };

/**
 * For both bounds. The lower one is above zero for a reason: a row that is flagged although its event time
 * equals the ingest time is one whose event time could not be read (`content-hash.ts`).
 */
export const eventTimeBoundLimits = { minMs: minuteMs, maxMs: 3650 * dayMs } as const;

export function eventTimeBoundsOf({
  eventPastMs,
  eventAheadMs,
}: Pick<TopicVersion, "eventPastMs" | "eventAheadMs">): EventTimeBounds {
  return {
    pastMs: eventPastMs ?? defaultEventTimeBounds.pastMs,
    aheadMs: eventAheadMs ?? defaultEventTimeBounds.aheadMs,
  };
}

/**
 * Whether an event time is outside of the bounds; one exactly at a bound is not. Ingest times have whole
 * milliseconds, event times microseconds. Four numbers instead of objects: each message is asked.
 */
export function isOutside(ms: number, micros: number, ingestMs: number, bounds: EventTimeBounds): boolean {
  const aheadByMs = ms - ingestMs;
  if (aheadByMs < -bounds.pastMs || aheadByMs > bounds.aheadMs) return true;
  return aheadByMs === bounds.aheadMs && micros > 0;
}
