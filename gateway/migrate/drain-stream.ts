import type { Logger } from "pino";
import { Registry } from "prom-client";
import { type LakeState, openEmbeddedStream, partitionKey, START_POSITION } from "../../bridge/index.ts";
import type { GatewayConfig } from "../config.ts";
import { GatewayError } from "../errors.ts";
import { loadLakeState } from "../roles/lake.ts";
import { startConsumer } from "../roles/start-consumer.ts";
import type { ConsumerProcessStatus } from "../supervisor/gateway-status.ts";

const pollMs = 200;

/**
 * Files everything that an embedded stream holds, as its own consumer would. No gateway may run on it. Resolves with how many messages
 * were filed; throws STREAM_NOT_DRAINED where some can't be, and whatever made the consumer end.
 */
export async function drainStream(
  config: GatewayConfig,
  options: { readonly logger: Logger; readonly onProgress: (lagBytes: number) => void },
): Promise<{ messages: number }> {
  const before = readMessages(await loadLakeState(config));
  let fail: (error: unknown) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => {});
  const consumer = await startConsumer({
    config,
    earlierAddress: null,
    logger: options.logger,
    metrics: new Registry(),
    committed: () => {},
    fail: (error) => fail(error),
  });
  const reporting = setInterval(() => {
    void consumer.status().then((status) => options.onProgress(lagBytesOf(status as ConsumerProcessStatus)));
  }, pollMs);
  try {
    await Promise.race([consumer.stop(), failed]);
  } finally {
    clearInterval(reporting);
  }
  const lake = await loadLakeState(config);
  await checkDrained(config, lake);
  return { messages: readMessages(lake) - before };
}

function lagBytesOf(status: ConsumerProcessStatus): number {
  return status.partitions.reduce((sum, { lagBytes }) => sum + (lagBytes ?? 0), 0);
}

/** By all streams' books. */
function readMessages(lake: LakeState): number {
  return [...lake.moves.values()].reduce((sum, { counters }) => sum + counters.read, 0);
}

async function checkDrained(config: GatewayConfig, lake: LakeState): Promise<void> {
  const { maxBytes } = config.stream;
  const stream = await openEmbeddedStream({ mode: "read", folder: config.folders.stream, maxBytes });
  try {
    for (let partition = 0; partition < stream.partitionCount; partition++) {
      const { highest } = await stream.partitionState(partition);
      const committed = lake.moves.get(partitionKey(stream.streamId, partition))?.to ?? START_POSITION;
      if (stream.comparePositions(highest, committed) <= 0) continue;
      throw new GatewayError(
        "STREAM_NOT_DRAINED",
        `Partition ${partition} of the embedded stream could not be filed beyond ${committed || "its start"} (it goes to ${highest}). Start the gateway on it with \`tidegate up\`, see in \`tidegate status\` why the partition stopped and what resumes it, then migrate again.`,
        { retryable: false, details: { partition, committed, highest } },
      );
    }
  } finally {
    await stream.close();
  }
}
