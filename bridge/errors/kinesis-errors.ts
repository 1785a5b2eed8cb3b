import type { ErrorEntry } from "../../devices/protocol/error-entry.ts";

/** Errors of a stream in Kinesis. */
export const kinesisErrors = {
  KINESIS_URL_INVALID: {
    meaning: "The URL names no Kinesis stream.",
    retry: "no",
    remedy: "Write `kinesis://REGION/STREAM`, with `?endpoint=URL` for a local server.",
  },
  KINESIS_UNAVAILABLE: {
    meaning:
      "Kinesis gave no valid answer. Whether it stored the block is unknown; Tidegate appends the block again.",
    retry: "yes",
    remedy: "Nothing, if it passes. Otherwise check network, region and endpoint.",
  },
  KINESIS_THROTTLED: {
    meaning: "Tidegate exceeded the throughput of a shard, or the request rate of the account.",
    retry: "yes",
    remedy:
      "Nothing for short peaks. If throttling lasts, divide the stream into more shards (`UpdateShardCount`).",
  },
  KINESIS_DENIED: {
    meaning: "Credentials, rights, encryption key or clock are wrong.",
    retry: "no",
    remedy:
      "The message names the permission, the key or the clock. Restart the gateway after a change of credentials.",
  },
  KINESIS_REFUSED: {
    meaning: "Kinesis does not accept the arguments of a call.",
    retry: "no",
    remedy: "Check the stream's name and `kinesis.*` settings. Report the message if they are right.",
  },
  KINESIS_UNSUPPORTED: {
    meaning: "Tidegate does not support a setting of the stream, or the stream has had too many shards.",
    retry: "no",
    remedy:
      "Set the record distribution strategy to USER_PARTITION_KEY. If the stream has had too many shards, create another stream and run `tidegate stream new`.",
  },
} as const satisfies Record<string, ErrorEntry>;
