import type { OnRedis, RedisTarget } from "../../../bridge/config.ts";
import {
  BridgeError,
  ownEverything,
  type PartitionLeases,
  replacementOf,
  type UnreadRecords,
} from "../../../bridge/index.ts";
import {
  checkKinesisStreamAgainstLake,
  continueInKinesisStream,
  createKinesisStream,
  type KinesisConfig,
  type KinesisStream,
  type KinesisStreamRecord,
  type KinesisTarget,
  openKinesisStream,
  readKinesisStreamRecord,
} from "../../../bridge/streams/kinesis/index.ts";
import type { InKinesis } from "../../../bridge/streams/kinesis/kind.ts";
import { type GatewayConfig, withSections } from "../../gateway-config.ts";
import { createProcessLogger } from "../../process-logger.ts";
import { openLeases, sharedDrainMaxMs } from "../../redis/open-leases.ts";
import { openRegistryForReading, openRegistryForWriting } from "../../redis/open-registry.ts";
import { keepReconciled } from "../../registry/keep-reconciled.ts";
import { takeRegistryAlong } from "../../registry/take-registry-along.ts";
import { loadLakeState } from "../../roles/lake.ts";
import { openLakeStore } from "../../roles/lake-store.ts";
import type { RoleContext } from "../../supervisor/run-child.ts";
import { openOnceThere } from "../open-once-there.ts";
import { ownRegistry } from "../own-registry.ts";
import type { AppendEnd, ReadEnd, StreamBackend, StreamEndStatus } from "../stream-backend.ts";

/**
 * The stream in Kinesis. With the window on a Redis any number of gateways share the stream: registry and leases live there too.
 * Without one, they live in the data folder of the one gateway.
 */
export const kinesisBackend: StreamBackend = {
  openForAppending,
  openForReading,
  openRegistry: async (options, lake) => {
    const { config, logger, now } = options;
    const target = redisOf(config);
    if (!target) return await ownRegistry.openRegistry(options, lake);
    const { registry, isNew } = await openRegistryForWriting(options, { section: "window", target }, lake);
    const parts = { config, registry, archive: lake.topics, logger, now };
    const isTaken = await takeRegistryAlong(parts).catch(async (error: unknown) => {
      await registry.close();
      throw error;
    });
    keepReconciled(registry, lake.topics, logger);
    return { store: registry, isNew: isNew && !isTaken };
  },
  openRegistryForReading: async (context) => {
    const target = redisOf(context.config);
    if (!target) return await ownRegistry.openRegistryForReading(context);
    return openRegistryForReading(context, { section: "window", target });
  },
  // Kinesis can't tell whether a stream is one of ours. One that the lake does not know is as good as none.
  hasStream: fitsLake,
  fitsLake,
  createBeside: async (config) => {
    await continueInStream(config, { blocks: 0, messages: 0 });
  },
  startNew: async (config) => ({ ...(await continueInStream(config, null)), movedTo: null }),
};

async function openForAppending(context: RoleContext): Promise<AppendEnd> {
  const { config, logger } = context;
  const stream = await openStream(context, "append").catch(async (error: unknown) => {
    if (!isMissing(error)) throw error;
    // One that was lost is not to be mistaken for one that never was.
    checkKinesisStreamAgainstLake(null, await loadLakeState(config));
    if (!kinesisConfigOf(config).create) throw error;
    await createStream(config);
    logger.info({ event: "stream.kinesis.created" }, "created the stream");
    return await openStream(context, "append");
  });
  try {
    const record = await checkAgainstLake(config, stream.streamId);
    return {
      stream,
      status: () => statusOf(stream, record),
      // What a shard takes a second is shared by all; new connections make it no worse.
      hasRoomForMore: () => true,
      close: () => stream.close(),
    };
  } catch (error) {
    await stream.close();
    throw error;
  }
}

const patience = { pollMs: 200, polls: 50 };

/** It checks as well: a shard of another stream, read to its end, would make that stream known to the lake. */
async function openForReading(context: RoleContext): Promise<ReadEnd> {
  const { config } = context;
  const stream = await openOnceThere(() => openStream(context, "read"), patience);
  const record = await checkAgainstLake(config, stream.streamId).catch(async (error: unknown) => {
    await stream.close();
    throw error;
  });
  return {
    stream,
    leases: await leasesOf(context, stream),
    status: () => statusOf(stream, record),
    trim: (partition, upTo) => stream.trim(partition, upTo),
    isUnderPressure: () => false,
    drainMaxMs: sharedDrainMaxMs(config),
    stopWatching: () => {},
  };
}

async function leasesOf(context: RoleContext, stream: KinesisStream): Promise<PartitionLeases> {
  const target = redisOf(context.config);
  return target ? await openLeases(context, target, stream) : ownEverything();
}

function openStream(
  { config, logger, metrics: registry }: RoleContext,
  mode: "append" | "read",
): Promise<KinesisStream> {
  return openKinesisStream({
    ...kinesisConfigOf(config),
    target: targetOf(config),
    mode,
    logger,
    registry,
    onLost: (error) =>
      logger.error({ event: "stream.lost", code: error.code }, `nothing is acknowledged: ${error.message}`),
  });
}

/** Answers why the lake continues in the stream. */
async function checkAgainstLake(config: GatewayConfig, streamId: string): Promise<KinesisStreamRecord> {
  const store = await openLakeStore(config, { access: "read" });
  const record = await readKinesisStreamRecord(store, streamId);
  checkKinesisStreamAgainstLake({ streamId, record }, await loadLakeState(config));
  return record;
}

/** False where there is no stream that can be used, or where the lake continues in another. */
async function fitsLake(config: GatewayConfig): Promise<boolean> {
  const logger = createProcessLogger("stream", config);
  try {
    const target = targetOf(config);
    const stream = await openKinesisStream({ ...kinesisConfigOf(config), target, mode: "read", logger });
    try {
      await checkAgainstLake(config, stream.streamId);
      return true;
    } finally {
      await stream.close();
    }
  } catch (error) {
    if (isMissing(error) || (error instanceof BridgeError && error.code === "STREAM_GAP")) return false;
    throw error;
  }
}

async function continueInStream(config: GatewayConfig, unread: UnreadRecords | null) {
  if (kinesisConfigOf(config).create) await createStream(config);
  const target = targetOf(config);
  const { timeoutMs } = kinesisConfigOf(config);
  const store = await openLakeStore(config, { access: "write" });
  const loadLake = () => loadLakeState(config);
  return await continueInKinesisStream({ target, store, loadLake, unread, timeoutMs });
}

async function createStream(config: GatewayConfig): Promise<void> {
  const shardCount = config.stream.partitionCount;
  await createKinesisStream({ ...kinesisConfigOf(config), target: targetOf(config), shardCount });
}

function isMissing(error: unknown): boolean {
  return error instanceof BridgeError && error.code === "STREAM_MISSING";
}

function statusOf(stream: KinesisStream, record: KinesisStreamRecord): StreamEndStatus {
  return { own: stream.status(), replacement: replacementOf(record) };
}

/** The window's; null where that is in memory. */
function redisOf({ backends: { window } }: GatewayConfig): RedisTarget | null {
  return window.kind === "redis" ? (window as OnRedis).redis : null;
}

function targetOf({ backends }: GatewayConfig): KinesisTarget {
  return (backends.stream as InKinesis).kinesis;
}

function kinesisConfigOf(config: GatewayConfig): KinesisConfig {
  return withSections<{ kinesis: KinesisConfig }>(config).kinesis;
}
