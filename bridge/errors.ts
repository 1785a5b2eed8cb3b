import { CodedError } from "../devices/protocol/coded-error.ts";
import { consumerErrors } from "./errors/consumer-errors.ts";
import { kinesisErrors } from "./errors/kinesis-errors.ts";
import { lakeErrors } from "./errors/lake-errors.ts";
import { redisErrors } from "./errors/redis-errors.ts";
import { s3Errors } from "./errors/s3-errors.ts";
import { streamErrors } from "./errors/stream-errors.ts";

/** All error codes of this folder. */
export const bridgeErrors = {
  ...streamErrors,
  ...lakeErrors,
  ...s3Errors,
  ...consumerErrors,
  ...redisErrors,
  ...kinesisErrors,
} as const;

export type BridgeErrorCode = keyof typeof bridgeErrors;

export class BridgeError extends CodedError<BridgeErrorCode> {}
