import type { ErrorEntry } from "../../devices/protocol/error-entry.ts";

/** Errors of blocks, streams and the producer. */
export const streamErrors = {
  BLOCK_CORRUPT: {
    meaning: "A block of the stream is damaged. Its partition stops before the block.",
    retry: "no",
    remedy:
      "Restore the stream from a copy. Or skip the block with `tidegate stream accept-gap PARTITION`, which counts its messages as unaccounted.",
  },
  BLOCK_VERSION: {
    meaning: "A newer Tidegate wrote the block. Its partition stops before the block.",
    retry: "no",
    remedy: "Upgrade the consumer and restart it. Upgrade consumers before brokers.",
  },
  STREAM_TIMEOUT: {
    meaning:
      "The stream did not answer in time. Whether it stored the block is unknown; Tidegate appends the block again.",
    retry: "yes",
    remedy: "Nothing, if the error passes. Otherwise check the disk, Redis or Kinesis for load and latency.",
  },
  STREAM_FULL: {
    meaning: "The stream is full: its disk, its budget or its server's memory is used up. Publishers wait.",
    retry: "yes",
    remedy:
      "`tidegate status` shows why the consumer does not file. If the consumer is well, free disk space, or raise `stream.maxBytes` or the server's `maxmemory`.",
  },
  STREAM_FLUSH_FAILED: {
    meaning: "The disk failed during a commit of the stream. The process exits and starts again.",
    retry: "no",
    remedy: "Check the disk. No acknowledged message depends on the failed commit.",
  },
  STREAM_GAP: {
    meaning:
      "The stream no longer holds blocks that it had confirmed. Acknowledged messages may be missing, so the partition, or the whole stream, stops.",
    retry: "depends",
    remedy:
      "Restore the newest copy of the stream. Or give up the missing blocks with the command in `tidegate status`: `stream accept-gap` or `stream new`.",
  },
  STREAM_VERSION: {
    meaning: "A newer Tidegate wrote the stream.",
    retry: "no",
    remedy: "Run the newer version again.",
  },
  STREAM_CLOSED: {
    meaning: "The stream was used after it was closed, usually while the gateway shuts down.",
    retry: "no",
    remedy: "Nothing: devices resend to the next process.",
  },
  STREAM_MISSING: {
    meaning: "There is no stream at the configured place, or it is still being created.",
    retry: "depends",
    remedy: "Correct `stream.url`. On Kinesis create the stream, or start the gateway with `--create`.",
  },
  STREAM_EXISTS: {
    meaning:
      "A new stream can't be created here, because one exists already or was created at the same moment.",
    retry: "no",
    remedy: "Use the stream that exists, or name another one. The message names the stream.",
  },
  STREAM_MOVED: {
    meaning: "`tidegate migrate` moved this stream to another place and closed it.",
    retry: "no",
    remedy: "Start the gateway with the `--stream` that the message names.",
  },
  STREAM_IN_USE: {
    meaning: "A gateway appended to the stream during the move. The stream stays open.",
    retry: "yes",
    remedy: "Stop every gateway on the stream, then run the command again.",
  },
  STREAM_DAMAGED: {
    meaning: "The stream's own records are cut, missing or written by another application.",
    retry: "no",
    remedy:
      "Restore the stream from a copy. Or give up unfiled messages with `tidegate stream new`. On Redis, another application may use the name: choose another `?prefix=NAME`.",
  },
  STREAM_PARTITIONS: {
    meaning: "The number of partitions of the stream differs from `stream.partitionCount`.",
    retry: "no",
    remedy:
      "Set `stream.partitionCount` to the stream's number. The number is fixed when a stream is created.",
  },
  STREAM_PARTITION_CLOSED: {
    meaning: "A Kinesis shard is closed, because the stream was resharded. Its messages go to other shards.",
    retry: "no",
    remedy: "Nothing: the producer sends the messages to other shards by itself.",
  },
  PRODUCER_FULL: {
    meaning:
      "Too many messages wait for the stream. QoS 0 messages are dropped and counted; QoS 1 and 2 messages are not acknowledged.",
    retry: "yes",
    remedy:
      "Find out why the stream is slow. A higher `producer.inFlightMaxBytes` helps only with short peaks.",
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
    remedy: "Make the stream available again. Devices resend by themselves.",
  },
  PRODUCER_CLOSED: {
    meaning: "The gateway shuts down and accepts no more messages.",
    retry: "yes",
    remedy: "Nothing: devices resend to the next process.",
  },
} as const satisfies Record<string, ErrorEntry>;
