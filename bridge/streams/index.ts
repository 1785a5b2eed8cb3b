export { partitionKey } from "./partition-key.ts";
export { type FixedStreamLog, type Position, type StreamLog, startPosition } from "./stream-log.ts";
export { checkStreamMarks, keepStreamMark, readStreamMarks, type StreamMark } from "./stream-mark.ts";
export { replacementOf, type StreamReplacement, type UnreadRecords } from "./stream-replacement.ts";
