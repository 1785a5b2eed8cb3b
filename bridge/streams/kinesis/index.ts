export { createKinesisStream } from "./create-stream.ts";
export type { KinesisConfig } from "./kinesis-config.ts";
export { type KinesisStream, openKinesisStream } from "./kinesis-stream.ts";
export type { KinesisTarget } from "./kinesis-url.ts";
export { checkKinesisStreamAgainstLake } from "./lake-check.ts";
export {
  continueInKinesisStream,
  type KinesisStreamRecord,
  readKinesisStreamRecord,
} from "./stream-record.ts";
