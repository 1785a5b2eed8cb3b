import { BridgeError } from "../errors.ts";
import type { PartitionState, StreamLog } from "../streams/stream-log.ts";

/** null where the partition is gone: the next read of it says so and halts it, and nothing else has to end for that. */
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
