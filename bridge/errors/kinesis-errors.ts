import type { ErrorEntry } from "../../devices/protocol/error-entry.ts";

/** A stream in Kinesis. */
export const kinesisErrors = {
  KINESIS_URL_INVALID: {
    meaning: "The URL names no Kinesis stream.",
    retry: "no",
    remedy: "Write `kinesis://REGION/STREAM`, with `?endpoint=URL` for a local server.",
  },
  KINESIS_UNAVAILABLE: {
    meaning:
      "Kinesis gave no answer that makes sense. Whether it stored the block is unknown; the block is appended again.",
    retry: "yes",
    remedy: "Nothing, if it passes. Otherwise check network, region and endpoint.",
  },
  KINESIS_THROTTLED: {
    meaning: "More was asked of a shard or of the account than it takes.",
    retry: "yes",
    remedy: "Nothing for short peaks. If it lasts, divide the stream into more shards (`UpdateShardCount`).",
  },
  KINESIS_DENIED: {
    meaning: "Credentials, rights, encryption key or clock are wrong.",
    retry: "no",
    remedy:
      "Follow the message: it names the permission, the key or the clock. Restart the gateway after a change of credentials.",
  },
  KINESIS_REFUSED: {
    meaning: "Kinesis does not accept the arguments of a call.",
    retry: "no",
    remedy: "Check the stream's name and `kinesis.*` settings. Report the message if they are right.",
  },
  KINESIS_UNSUPPORTED: {
    meaning:
      "Tidegate can't work with a setting of the stream, or with the number of shards that it has had.",
    retry: "no",
    remedy:
      "Set the record distribution strategy to USER_PARTITION_KEY. With too many past shards, create another stream and run `tidegate stream new`.",
  },
} as const satisfies Record<string, ErrorEntry>;
