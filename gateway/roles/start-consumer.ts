import { join } from "node:path";
import {
  type Consumer,
  type ConsumerStatus,
  createAttemptFile,
  createConsumer,
  createSeedSource,
  createTablePublisher,
  loadParquet,
  openBootClock,
  openCommitLog,
  openTopicCatalog,
} from "../../bridge/index.ts";
import { GatewayError } from "../errors.ts";
import { keepLakeTidy } from "../lake-housekeeping.ts";
import { streamBackend } from "../streams/stream-kinds.ts";
import { streamStatus } from "../streams/stream-status.ts";
import type { ConsumerProcessStatus } from "../supervisor/gateway-status.ts";
import type { RoleContext, RunningRole } from "../supervisor/run-child.ts";
import { openWindow } from "../windows/open-window.ts";
import { openLakeStore } from "./lake-store.ts";
import { WorkWatch } from "./work-watch.ts";

/** Stream → lake. */
export async function startConsumer(context: RoleContext): Promise<RunningRole> {
  const { config, logger, metrics: registry } = context;
  const end = await (await streamBackend(config)).openForReading(context);
  const { stream, leases } = end;
  const watch = new WorkWatch({
    limitMs: config.supervision.stuckMs,
    mayTakeLong: () => mayTakeLong(consumer.status()),
    stuck: (doing) => context.fail(stuck(config.supervision.stuckMs, doing)),
  });
  const lakeStore = await openLakeStore(config, { access: "write", logger, registry });
  const store = watch.port("store", lakeStore);
  const { snapshotEntries, commitRetentionMs } = config.tables;
  const commitLog = await openCommitLog(store, {
    create: false,
    entriesPerSnapshot: snapshotEntries,
    retentionMs: commitRetentionMs,
  });
  const topics = await openTopicCatalog(store);
  const window = watch.port("window", await openWindow(context, { lakeId: commitLog.lakeId, stream }));
  const bootClock = openBootClock();
  const { createParquetBatchWriter } = await loadParquet();
  const consumer = createConsumer({
    stream,
    leases,
    window,
    commitLog,
    publisher: createTablePublisher({
      store,
      commitLog,
      topics,
      logger,
      registry,
      elapsedMs: () => bootClock.elapsedMs(),
      ...config.tables,
    }),
    onStep: () => watch.step(),
    batch: createParquetBatchWriter({ store, ...config.tables }),
    seeds: createSeedSource({ store, commitLog, logger, registry }),
    topics,
    trim: (partition, upTo) => end.trim(partition, upTo),
    isUnderPressure: () => end.isUnderPressure(),
    attempts: createAttemptFile(join(config.folders.data, "consumer-attempt.json")),
    config: config.consumer,
    logger,
    registry,
    now: Date.now,
    elapsedMs: () => bootClock.elapsedMs(),
    random: Math.random,
  });
  consumer.run().catch(context.fail);
  watch.begin();
  const { vacuumIntervalMs: intervalMs, vacuumAgeMs: ageMs } = config.tables;
  const housekeeping = keepLakeTidy({ store: lakeStore, commitLog, logger, registry, intervalMs, ageMs });
  return {
    listening: null,
    status: async (): Promise<ConsumerProcessStatus> => ({
      ...(await consumer.lookedUp()),
      ...streamStatus(config, end.status()),
      housekeeping: housekeeping.failure(),
    }),
    acceptGap: (partition) => consumer.acceptGap(partition),
    stop: async () => {
      end.stopWatching();
      watch.end();
      housekeeping.stop();
      await drain(consumer, end.drainMaxMs);
      await stream.close();
      await window.close();
    },
  };
}

/** Files are read in pieces of any size; and a wait between tries is as long as its setting. */
function mayTakeLong({ state, recovery }: ConsumerStatus): boolean {
  return state === "backing-off" || recovery?.step === "seeding";
}

/** What it had open is read again by the next process, which learns that this one ended with it. */
function stuck(limitMs: number, doing: readonly string[]): GatewayError {
  const calls = doing.length > 0 ? doing.join(", ") : "no call";
  return new GatewayError(
    "CONSUMER_STUCK",
    `The consumer took no step for ${Math.round(limitMs / 1000)} s and begins again. Not ended: ${calls}`,
    { retryable: true },
  );
}

/** Files what is in the stream; where that has no end, because others append to it, what it can in time. */
async function drain(consumer: Consumer, maxMs: number | null): Promise<void> {
  const timer = maxMs === null ? null : setTimeout(() => void consumer.stop({ drain: false }), maxMs);
  await consumer.stop({ drain: true });
  if (timer) clearTimeout(timer);
}
