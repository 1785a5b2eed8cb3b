import type { Logger } from "pino";
import { Registry } from "prom-client";
import { type LakeState, partitionKey, START_POSITION } from "../../bridge/index.ts";
import { GatewayError } from "../errors.ts";
import { loadLakeState } from "../roles/lake.ts";
import { startConsumer } from "../roles/start-consumer.ts";
import type { ConsumerProcessStatus } from "../supervisor/gateway-status.ts";
import type { MigrationSource, StreamEnds } from "./migration-source.ts";

const pollMs = 200;

/**
 * Files everything that a stream holds, as its own consumer would. No gateway may run on it. Resolves with how many messages were filed,
 * and up to where; throws STREAM_NOT_DRAINED where some can't be, and whatever made the consumer end.
 */
export async function drainStream(
  source: MigrationSource,
  options: { readonly logger: Logger; readonly onProgress: (lagBytes: number) => void },
): Promise<{ messages: number; ends: StreamEnds }> {
  const { config } = source;
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
  const ends = await source.ends();
  checkDrained(source.name, ends, lake);
  return { messages: readMessages(lake) - before, ends };
}

function lagBytesOf(status: ConsumerProcessStatus): number {
  return status.partitions.reduce((sum, { lagBytes }) => sum + (lagBytes ?? 0), 0);
}

/** By all streams' books. */
function readMessages(lake: LakeState): number {
  const books = [...lake.moves.values(), ...lake.past.values()];
  return books.reduce((sum, { counters }) => sum + counters.read, 0);
}

function checkDrained(
  name: string,
  { streamId, highest, comparePositions }: StreamEnds,
  lake: LakeState,
): void {
  for (const [partition, end] of highest.entries()) {
    const committed = lake.moves.get(partitionKey(streamId, partition))?.to ?? START_POSITION;
    // One that ends before what the lake has was restored from an older copy: what it lacks would be given up unseen.
    if (comparePositions(end, committed) === 0) continue;
    throw new GatewayError(
      "STREAM_NOT_DRAINED",
      `Partition ${partition} of ${name} could not be filed beyond ${committed || "its start"} (it goes to ${end}). Start the gateway on it with \`tidegate up\`, see in \`tidegate status\` why the partition stopped and what resumes it, then migrate again.`,
      { retryable: false, details: { partition, committed, highest: end } },
    );
  }
}
