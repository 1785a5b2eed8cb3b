import type { OnRedis, RedisTarget } from "../../../bridge/config.ts";
import { BridgeError } from "../../../bridge/errors.ts";
import { ownEverything, type PartitionLeases } from "../../../bridge/leases/index.ts";
import { replacementOf, type UnreadRecords } from "../../../bridge/streams/index.ts";
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
import { loadLakeState } from "../../lakes/gateway-lake.ts";
import { openLakeStore } from "../../lakes/open-lake-store.ts";
import { createProcessLogger } from "../../processes/process-logger.ts";
import type { RoleContext } from "../../processes/run-child.ts";
import { openLeases, openUpkeepLease, sharedDrainMaxMs } from "../../redis/open-leases.ts";
import { openRegistryForReading, openRegistryForWriting } from "../../redis/open-registry.ts";
import { keepReconciled } from "../../registry/keep-reconciled.ts";
import { takeRegistryAlong } from "../../registry/take-registry-along.ts";
import { type GatewayConfig, withSections } from "../../settings/gateway-config.ts";
import { openOnceThere } from "../open-once-there.ts";
import { ownRegistry } from "../own-registry.ts";
import type { AppendEnd, ReadEnd, StreamBackend, StreamEndStatus } from "../stream-backend.ts";

/**
 * The stream in Kinesis. If the window is on a Redis, any number of gateways share the stream, and the Redis
 * also holds registry and leases. Otherwise a single gateway holds them in its data folder.
 */
export const kinesisBackend: StreamBackend = {
  openForAppending,
  openForReading,
  openUpkeepLease: async (context, lakeId) => {
    const target = redisOf(context.config);
    return target && (await openUpkeepLease(context, target, lakeId));
  },
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
  // Kinesis cannot tell whether a stream belongs to Tidegate. A stream that the lake does not know counts as
  // missing.
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
    // A lost stream must not be mistaken for a stream that never existed.
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
      // All connections share the throughput of a shard, so new connections are safe.
      hasRoomForMore: () => true,
      close: () => stream.close(),
    };
  } catch (error) {
    await stream.close();
    throw error;
  }
}

const patience = { pollMs: 200, polls: 50 };

/**
 * Checks the stream as well: after reading a shard of another stream to its end, the lake would know that
 * stream.
 */
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
      logger.error(
        { event: "stream.lost", code: error.code },
        `no message is acknowledged: ${error.message}`,
      ),
  });
}

/** Returns the record that makes the lake continue in this stream. */
async function checkAgainstLake(config: GatewayConfig, streamId: string): Promise<KinesisStreamRecord> {
  const store = await openLakeStore(config, { access: "read" });
  const record = await readKinesisStreamRecord(store, streamId);
  checkKinesisStreamAgainstLake({ streamId, record }, await loadLakeState(config));
  return record;
}

/** False if there is no usable stream, or if the lake continues in another one. */
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

/** The window's Redis; null if the window is in memory. */
function redisOf({ backends: { window } }: GatewayConfig): RedisTarget | null {
  return window.kind === "redis" ? (window as OnRedis).redis : null;
}

function targetOf({ backends }: GatewayConfig): KinesisTarget {
  return (backends.stream as InKinesis).kinesis;
}

function kinesisConfigOf(config: GatewayConfig): KinesisConfig {
  return withSections<{ kinesis: KinesisConfig }>(config).kinesis;
}
