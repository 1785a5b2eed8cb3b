import { CodedError } from "../../devices/protocol/coded-error.ts";
import { START_POSITION } from "../streams/stream-log.ts";
import type { ConsumerContext } from "./consumer-ports.ts";
import type { PartitionCursor } from "./partition-cursor.ts";

/** Lets the stream forget what is committed. A failure only delays that: the next commit trims further. */
export async function trimCommitted(context: ConsumerContext, cursor: PartitionCursor): Promise<void> {
  const { partition, committed } = cursor;
  if (committed === START_POSITION) return;
  try {
    await context.trim(partition, committed);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    context.metrics.failed("trim");
    const fields = { code: error.code, partition, upTo: committed, err: error };
    context.logger.warn({ event: "consumer.trim.failed", ...fields }, "trimming is put off");
  }
}
