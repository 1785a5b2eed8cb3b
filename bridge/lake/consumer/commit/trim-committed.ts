import { CodedError } from "../../../../devices/protocol/coded-error.ts";
import { startPosition } from "../../../streams/stream-log.ts";
import type { ConsumerContext } from "../consumer-ports.ts";
import type { PartitionCursor } from "../partitions/partition-cursor.ts";

/** Lets the stream forget committed blocks. After a failure, the next commit trims further. */
export async function trimCommitted(context: ConsumerContext, cursor: PartitionCursor): Promise<void> {
  const { partition, committed } = cursor;
  if (committed === startPosition) return;
  try {
    await context.trim(partition, committed);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    context.metrics.failed("trim");
    const fields = { code: error.code, partition, upTo: committed, err: error };
    context.logger.warn(
      { event: "consumer.trim.failed", ...fields },
      "trimming failed; the next commit retries",
    );
  }
}
