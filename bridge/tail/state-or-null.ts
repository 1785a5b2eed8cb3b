import { BridgeError } from "../errors.ts";
import type { PartitionState, StreamLog } from "../streams/stream-log.ts";

/**
 * The state of a partition; null if the partition is gone. The next read reports that and halts only this
 * partition.
 */
export async function stateOrNull(
  stream: Pick<StreamLog, "partitionState">,
  partition: number,
): Promise<PartitionState | null> {
  try {
    return await stream.partitionState(partition);
  } catch (error) {
    if (error instanceof BridgeError && error.code === "STREAM_GAP") return null;
    throw error;
  }
}
