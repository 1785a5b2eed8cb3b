import { BridgeError } from "../../errors.ts";
import { endPosition, type Position } from "../stream-log.ts";
import { exceptionOf } from "./kinesis-error.ts";
import { type Shard, shardIdOf } from "./shard.ts";

/** The answer of a read is not one of Kinesis. */
export function incomplete(): BridgeError {
  const text = "kinesis:GetRecords: the answer is incomplete: another service than Kinesis answers";
  return new BridgeError("KINESIS_UNAVAILABLE", text, { retryable: true });
}

/** Kinesis keeps a shard as long as its youngest record, so unread records are lost with it. */
export function forgotten(partition: number, after: Position): BridgeError {
  const shard = { partition, shardId: shardIdOf(partition) };
  return gap(shard, after, "Kinesis has deleted the shard and its unread records", endPosition);
}

/** @param resumeAfter The position after which reading works again; absent if unknown. */
export function gap(
  { partition, shardId }: Pick<Shard, "partition" | "shardId">,
  after: Position,
  why: string,
  resumeAfter?: Position,
): BridgeError {
  const text = `${shardId} cannot be read after "${after}": ${why}. Acknowledged messages may be missing`;
  return new BridgeError("STREAM_GAP", text, {
    retryable: false,
    details: { partition, after, ...(resumeAfter === undefined ? {} : { resumeAfter }) },
  });
}

/**
 * True if Kinesis does not accept the position of a read. Kinesis reports an invalid argument; kinesis-local
 * reports that the record does not exist.
 */
export function isAboutPosition(error: BridgeError): boolean {
  const isAsked = error.details["api"] === "GetShardIterator";
  return isAsked && (exceptionOf(error) === "InvalidArgumentException" || error.code === "STREAM_MISSING");
}
