export { type Consumer, createConsumer } from "./consumer.ts";
export type { ConsumerStatus, PartitionStatus } from "./consumer-status.ts";
export type { AcceptedGap } from "./gaps/accept-gap.ts";
export { createAttemptFile } from "./guard/attempt-file.ts";
export type { RecoveryStatus } from "./recovery-progress.ts";
