import { join } from "node:path";
import { openBootClock } from "../../bridge/boot-clock.ts";
import {
  type Consumer,
  type ConsumerStatus,
  createAttemptFile,
  createConsumer,
} from "../../bridge/lake/consumer/index.ts";
import {
  createSeedSource,
  createTablePublisher,
  loadParquet,
  openTopicCatalog,
} from "../../bridge/lake/index.ts";
import { openGatewayCommitLog } from "../lakes/open-commit-log.ts";
import { openLakeStore } from "../lakes/open-lake-store.ts";
import type { RoleContext, RunningRole } from "../processes/run-child.ts";
import type { ConsumerProcessStatus } from "../status/gateway-status.ts";
import { streamBackend } from "../streams/stream-kinds.ts";
import { streamStatus } from "../streams/stream-status.ts";
import { openWindow } from "../windows/open-window.ts";
import { stuckError } from "./stuck-error.ts";
import { WorkWatch } from "./work-watch.ts";

/** Stream → lake. */
export async function startConsumer(context: RoleContext): Promise<RunningRole> {
  const { config, logger, metrics: registry } = context;
  const end = await (await streamBackend(config)).openForReading(context);
  const { stream, leases } = end;
  const watch = new WorkWatch({
    limitMs: config.supervision.stuckMs,
    mayTakeLong: () => mayTakeLong(consumer.status()),
    stuck: (doing) => context.fail(stuckError("consumer", config.supervision.stuckMs, doing)),
  });
  const bootClock = openBootClock();
  const clock = { elapsedMs: () => bootClock.elapsedMs() };
  const lake = await openLakeParts(context, { watch, clock });
  const { commitLog } = lake;
  const window = watch.port("window", await openWindow(context, { lakeId: commitLog.lakeId, stream }));
  const consumer = createConsumer({
    stream,
    leases,
    window,
    ...lake,
    onStep: () => watch.step(),
    trim: (partition, upTo) => end.trim(partition, upTo),
    isUnderPressure: () => end.isUnderPressure(),
    attempts: createAttemptFile(join(config.folders.data, "consumer-attempt.json")),
    config: config.consumer,
    logger,
    registry,
    now: Date.now,
    ...clock,
    random: Math.random,
  });
  consumer.run().catch(context.fail);
  watch.begin();
  return {
    listening: null,
    status: async (): Promise<ConsumerProcessStatus> => ({
      ...(await consumer.lookedUp()),
      ...streamStatus(config, end.status()),
    }),
    acceptGap: (partition) => consumer.acceptGap(partition),
    stop: async () => {
      end.stopWatching();
      watch.end();
      await drain(consumer, end.drainMaxMs);
      await stream.close();
      await window.close();
    },
  };
}

/** The parts of the consumer that work on the lake. */
async function openLakeParts(
  { config, logger, metrics: registry }: RoleContext,
  { watch, clock }: { readonly watch: WorkWatch; readonly clock: { elapsedMs(): number } },
) {
  const store = watch.port("store", await openLakeStore(config, { access: "write", logger, registry }));
  const commitLog = await openGatewayCommitLog(store, config);
  const topics = await openTopicCatalog(store);
  const { createParquetBatchWriter } = await loadParquet();
  const options = { store, commitLog, logger, registry };
  return {
    commitLog,
    topics,
    publisher: createTablePublisher({ ...options, topics, ...clock, ...config.tables }),
    batch: createParquetBatchWriter({ store, ...config.tables, directBytes: 0 }),
    seeds: createSeedSource(options),
  };
}

/** Seeding reads files of any size, and the pause between attempts is a setting. */
function mayTakeLong({ state, recovery }: ConsumerStatus): boolean {
  return state === "backing-off" || recovery?.step === "seeding";
}

/** The next process reads the open batch again, and knows that this process ended with it. */
/**
 * Files the messages in the stream. If other gateways append to the stream, files as many as the time allows.
 */
async function drain(consumer: Consumer, maxMs: number | null): Promise<void> {
  const timer = maxMs === null ? null : setTimeout(() => void consumer.stop({ drain: false }), maxMs);
  await consumer.stop({ drain: true });
  if (timer) clearTimeout(timer);
}
