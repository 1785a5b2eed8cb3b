export { eventTimeBoundLimits, eventTimeBoundsOf } from "./event-time-bounds.ts";
export type { TopicVersion, TypedColumn } from "./topic-catalog.ts";
