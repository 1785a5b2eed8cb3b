import type { Logger } from "pino";
import { Registry } from "prom-client";
import type { LakeState } from "../../bridge/lake/index.ts";
import { partitionKey, startPosition } from "../../bridge/streams/index.ts";
import { GatewayError } from "../errors.ts";
import { loadLakeState } from "../lakes/gateway-lake.ts";
import { startConsumer } from "../roles/start-consumer.ts";
import type { ConsumerProcessStatus } from "../status/gateway-status.ts";
import type { MigrationSource, StreamEnds } from "../streams/migration-source.ts";

const pollMs = 200;

/**
 * Files all messages of a stream, as its own consumer would. No gateway may run on the stream. Resolves with
 * the number of filed messages and the ends of the stream. Throws STREAM_NOT_DRAINED if some cannot be filed,
 * and the error of the consumer if it ends.
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

/** Sum over the books of all streams. */
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
    const committed = lake.moves.get(partitionKey(streamId, partition))?.to ?? startPosition;
    // A stream that ends before the committed position was restored from an older copy: its losses must not
    // go unnoticed.
    if (comparePositions(end, committed) === 0) continue;
    throw new GatewayError(
      "STREAM_NOT_DRAINED",
      `Partition ${partition} of ${name} could not be filed beyond ${committed || "its start"} (it goes to ${end}). Start the gateway on it with \`tidegate up\`, find in \`tidegate status\` why the partition stopped and what resumes it, then migrate again.`,
      { retryable: false, details: { partition, committed, highest: end } },
    );
  }
}
