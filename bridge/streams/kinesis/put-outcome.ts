import type { PutRecordsResultEntry } from "@aws-sdk/client-kinesis";
import { BridgeError } from "../../errors.ts";
import { type Position, startPosition } from "../stream-log.ts";
import { compareSequenceNumbers, isSequenceNumber } from "./sequence-number.ts";
import type { Shard } from "./shard.ts";

/**
 * The outcome of one record of PutRecords: the position of the block, "elsewhere" if the block landed in
 * another shard, or why it does not count as stored.
 * @param newest The newest confirmed position of the shard; startPosition = none.
 */
export function putOutcome(
  shard: Shard,
  newest: Position,
  result: PutRecordsResultEntry,
): Position | "elsewhere" | BridgeError {
  const { SequenceNumber, ShardId, ErrorCode, ErrorMessage } = result;
  const { partition, shardId, firstPosition } = shard;
  if (ErrorCode) return refused(partition, ErrorCode, ErrorMessage ?? "");
  if (!isSequenceNumber(SequenceNumber)) return unknown(partition, "the answer holds no sequence number");
  if (ShardId !== shardId) return "elsewhere";
  const floor = newest === startPosition ? firstPosition : newest;
  const isAbove = compareSequenceNumbers(SequenceNumber, floor) > 0;
  if (isAbove || (newest === startPosition && SequenceNumber === floor)) return SequenceNumber;
  return unknown(partition, `its sequence number ${SequenceNumber} comes before ${floor}`);
}

function refused(partition: number, code: string, message: string): BridgeError {
  const text = `Kinesis did not store a block of partition ${partition}: ${code} ${message}`;
  const isThrottled = code.startsWith("ProvisionedThroughputExceeded");
  return new BridgeError(isThrottled ? "KINESIS_THROTTLED" : "KINESIS_UNAVAILABLE", text, {
    retryable: true,
  });
}

function unknown(partition: number, why: string): BridgeError {
  const text = `whether Kinesis stored a block of partition ${partition} is unknown: ${why}`;
  return new BridgeError("KINESIS_UNAVAILABLE", text, { retryable: true, details: { partition } });
}
