import type { ErrorEntry } from "../../devices/protocol/error-entry.ts";

/** Blocks, streams and the producer that fills them. */
export const streamErrors = {
  BLOCK_CORRUPT: {
    meaning: "A block of the stream is damaged. Its partition stops before it.",
    retry: "no",
    remedy:
      "Restore the stream from a copy. Or give the block up with `tidegate stream accept-gap PARTITION`; its messages are counted as unaccounted.",
  },
  BLOCK_VERSION: {
    meaning: "A newer Tidegate wrote the block. Its partition stops before it.",
    retry: "no",
    remedy: "Upgrade the consumer and restart it. Upgrade consumers before brokers.",
  },
  STREAM_TIMEOUT: {
    meaning:
      "The stream did not answer in time. Whether it stored the block is unknown; the block is appended again.",
    retry: "yes",
    remedy: "Nothing, if it passes. Otherwise check the disk, Redis or Kinesis for load and latency.",
  },
  STREAM_FULL: {
    meaning:
      "The stream takes no more: its disk, its budget or its server's memory is used up. Publishers wait.",
    retry: "yes",
    remedy:
      "See in `tidegate status` why the consumer does not file. Otherwise free disk space, or raise `stream.maxBytes` or the server's `maxmemory`.",
  },
  STREAM_FLUSH_FAILED: {
    meaning: "The disk failed during a commit of the stream. The process exits and starts again.",
    retry: "no",
    remedy: "Check the disk. Nothing that was acknowledged depends on the failed commit.",
  },
  STREAM_GAP: {
    meaning:
      "The stream no longer holds blocks that it had confirmed. The partition, or the whole stream, stops: acknowledged messages may be missing.",
    retry: "depends",
    remedy:
      "Restore the newest copy of the stream. Or give up what is missing with the command in `tidegate status`: `stream accept-gap` or `stream new`.",
  },
  STREAM_VERSION: {
    meaning: "A newer Tidegate wrote the stream.",
    retry: "no",
    remedy: "Run the newer version again.",
  },
  STREAM_CLOSED: {
    meaning: "The stream was used after the gateway closed it, usually while it shuts down.",
    retry: "no",
    remedy: "Nothing: devices send again to the next process.",
  },
  STREAM_MISSING: {
    meaning: "There is no stream where the configuration names one, or it is still being created.",
    retry: "depends",
    remedy: "Correct `stream.url`. On Kinesis create the stream, or start the gateway with `--create`.",
  },
  STREAM_EXISTS: {
    meaning: "A new stream can't be made here, because one is there already or was made at the same moment.",
    retry: "no",
    remedy: "Use the stream that exists, or name another one. The message says which.",
  },
  STREAM_MOVED: {
    meaning: "`tidegate migrate` moved this stream elsewhere and closed it.",
    retry: "no",
    remedy: "Start the gateway with the `--stream` that the message names.",
  },
  STREAM_IN_USE: {
    meaning: "Somebody appended to the stream while it was being moved. It stays open.",
    retry: "yes",
    remedy: "Stop every gateway on the stream, then run the command again.",
  },
  STREAM_DAMAGED: {
    meaning: "The stream's own records are cut, missing or written by somebody else.",
    retry: "no",
    remedy:
      "Restore the stream from a copy. Or give up what was not filed with `tidegate stream new`. On Redis another application may use the name: choose another `?prefix=NAME`.",
  },
  STREAM_PARTITIONS: {
    meaning: "The stream has another number of partitions than `stream.partitionCount` says.",
    retry: "no",
    remedy: "Set `stream.partitionCount` to the stream's number. It is fixed when a stream is created.",
  },
  STREAM_PARTITION_CLOSED: {
    meaning:
      "A Kinesis shard takes no more, because the stream was resharded. Its messages go to other shards.",
    retry: "no",
    remedy: "Nothing: the producer moves the messages by itself.",
  },
  PRODUCER_FULL: {
    meaning:
      "Too many messages wait for the stream. QoS 0 messages are dropped and counted; QoS 1 and 2 messages are not acknowledged.",
    retry: "yes",
    remedy: "Find out why the stream is slow. Raise `producer.inFlightMaxBytes` only for short peaks.",
  },
  MESSAGE_TOO_LARGE: {
    meaning: "The message does not fit into a block, or the block does not fit into a Kinesis record.",
    retry: "no",
    remedy: "Send smaller messages. Limit the topic with `tidegate topics update NAME --max-payload-bytes`.",
  },
  PRODUCER_DEADLINE: {
    meaning:
      "The stream did not store the messages within `producer.deadlineMs`. Their connections close without an acknowledgement.",
    retry: "yes",
    remedy: "Bring the stream back. Devices resend by themselves.",
  },
  PRODUCER_CLOSED: {
    meaning: "The gateway shuts down and takes no more messages.",
    retry: "yes",
    remedy: "Nothing: devices send again to the next process.",
  },
} as const satisfies Record<string, ErrorEntry>;
