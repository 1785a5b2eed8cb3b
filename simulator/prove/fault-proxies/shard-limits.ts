import { createHash } from "node:crypto";
import type { EntryPick, PutEntry } from "./put-records-faults.ts";

/** Hash keys of one shard; both ends included. */
export interface HashRange {
  readonly first: bigint;
  readonly last: bigint;
}

/** The limits of Kinesis for one shard. */
const recordsPerS = 1_000;
const bytesPerS = 1_048_576;

interface Bucket {
  records: number;
  bytes: number;
  filledMs: number;
}

/**
 * Entries beyond the limits of their shard, for `failEntries(…, "ProvisionedThroughputExceededException")`:
 * local servers have no limits. Each shard saves up the amount of one second at most.
 *
 * @param shards The open ones at the time of a call.
 * @param nowMs Of a clock that never goes back.
 */
export function overShardLimits(
  shards: () => readonly HashRange[],
  nowMs: () => number = () => performance.now(),
): EntryPick {
  const buckets = new Map<bigint, Bucket>();
  return (_index, entry) => {
    const hashKey = hashKeyOf(entry);
    const shard = shards().find(({ first, last }) => hashKey >= first && hashKey <= last);
    if (!shard) return false;
    const bucket = filled(buckets.get(shard.first), nowMs());
    buckets.set(shard.first, bucket);
    const bytes = Buffer.byteLength(entry.Data, "base64") + Buffer.byteLength(entry.PartitionKey);
    if (bucket.records < 1 || bucket.bytes < bytes) return true;
    bucket.records--;
    bucket.bytes -= bytes;
    return false;
  };
}

function filled(bucket: Bucket | undefined, nowMs: number): Bucket {
  if (!bucket) return { records: recordsPerS, bytes: bytesPerS, filledMs: nowMs };
  const passedS = (nowMs - bucket.filledMs) / 1000;
  return {
    records: Math.min(recordsPerS, bucket.records + passedS * recordsPerS),
    bytes: Math.min(bytesPerS, bucket.bytes + passedS * bytesPerS),
    filledMs: nowMs,
  };
}

/** Kinesis hashes partition keys with MD5. */
function hashKeyOf({ ExplicitHashKey, PartitionKey }: PutEntry): bigint {
  if (ExplicitHashKey !== undefined) return BigInt(ExplicitHashKey);
  return BigInt(`0x${createHash("md5").update(PartitionKey).digest("hex")}`);
}
