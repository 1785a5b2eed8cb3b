import type { ErrorEntry } from "../../devices/protocol/error-entry.ts";

/** Errors of the consumer and its leases. */
export const consumerErrors = {
  BLOCK_FOREIGN: {
    meaning: "The partition holds a block of another stream. It stops before that block.",
    retry: "no",
    remedy:
      "Find out who wrote the block; streams must not share a prefix. Then skip it with `tidegate stream accept-gap PARTITION`.",
  },
  BLOCK_POISON: {
    meaning:
      "A block ended the consumer several times, or a fault of Tidegate keeps it from being read or filed. The partition stops before the block.",
    retry: "no",
    remedy:
      "Upgrade and restart Tidegate. Or skip the block with `tidegate stream accept-gap PARTITION`. Report the stack in the log.",
  },
  TOPIC_SCHEMA_INVALID: {
    meaning: "The topic's JSON Schema does not compile, or one of its properties can't be a column.",
    retry: "no",
    remedy: "Correct the schema as the message says, then run the command again.",
  },
  STREAM_NO_GAP: {
    meaning: "The partition does not exist, or has no gap to accept.",
    retry: "no",
    remedy: "`tidegate status` shows which partition is halted, and why.",
  },
  CONSUMER_STOPPED: {
    meaning: "The consumer ended or recovered before it could carry out the command.",
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
      "A batch could not be written, and the object store is not the reason. Tidegate reads and writes the batch again.",
    retry: "yes",
    remedy:
      "Nothing at first: Tidegate finds the message that causes the fault and quarantines it. Report the stack in the log.",
  },
  LEASES_REPLACED: {
    meaning: "Another consumer process joined under the name of this one.",
    retry: "yes",
    remedy: "Stop the copy. Give each gateway a data folder of its own.",
  },
} as const satisfies Record<string, ErrorEntry>;
