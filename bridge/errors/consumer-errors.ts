import type { ErrorEntry } from "../../devices/protocol/error-entry.ts";

/** The consumer and its leases. */
export const consumerErrors = {
  BLOCK_FOREIGN: {
    meaning: "The partition holds a block of another stream. It stops before that block.",
    retry: "no",
    remedy:
      "Find out who wrote it; streams must not share a prefix. Then skip the block with `tidegate stream accept-gap PARTITION`.",
  },
  BLOCK_POISON: {
    meaning:
      "A block ended the consumer again and again, or can't be read or written because of a fault of Tidegate. Its partition stops before it.",
    retry: "no",
    remedy:
      "Upgrade Tidegate and restart it. Or give the block up with `tidegate stream accept-gap PARTITION`. Report the log's stack.",
  },
  TOPIC_SCHEMA_INVALID: {
    meaning: "The topic's JSON Schema does not compile, or makes no columns.",
    retry: "no",
    remedy: "Correct the schema as the message says, then run the command again.",
  },
  STREAM_NO_GAP: {
    meaning: "The partition does not exist, or has no gap that could be accepted.",
    retry: "no",
    remedy: "See in `tidegate status` which partition stands, and why.",
  },
  CONSUMER_STOPPED: {
    meaning: "The consumer ended or recovered before it could do what it was asked.",
    retry: "yes",
    remedy: "Look at `tidegate status`, then run the command again.",
  },
  CONSUMER_NOT_OWNER: {
    meaning: "Another gateway reads that partition, or no gateway does at the moment.",
    retry: "depends",
    remedy:
      "Run the command on the gateway that the message names, or wait until `tidegate status` names one.",
  },
  FILING_FAILED: {
    meaning:
      "A batch could not be written, for a reason that is not the store's. It is read and written again.",
    retry: "yes",
    remedy:
      "Nothing at first: Tidegate finds the message that causes it and quarantines it. Report the log's stack.",
  },
  LEASES_REPLACED: {
    meaning: "Another consumer process has joined under this one's name.",
    retry: "yes",
    remedy: "Give each gateway a data folder of its own. Stop the copy.",
  },
} as const satisfies Record<string, ErrorEntry>;
