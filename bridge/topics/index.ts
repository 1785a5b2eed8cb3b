export { eventTimeBoundLimits, eventTimeBoundsOf } from "./event-time-bounds.ts";
export { retentionLimits } from "./retention.ts";
export type { TopicVersion, TypedColumn } from "./topic-catalog.ts";
