import type { Logger } from "pino";
import {
  BridgeError,
  checkKinesisStreamAgainstLake,
  connectRedis,
  continueInKinesisStream,
  createKinesisStream,
  createRedisLeases,
  type KinesisStream,
  type KinesisStreamRecord,
  type KinesisTarget,
  openKinesisStream,
  ownEverything,
  type PartitionLeases,
  type RedisTarget,
  readKinesisStreamRecord,
  replacementOf,
  type UnreadRecords,
} from "../../bridge/index.ts";
import type { GatewayConfig } from "../config.ts";
import { createProcessLogger } from "../process-logger.ts";
import { keepReconciled } from "../registry/keep-reconciled.ts";
import { LmdbRegistry } from "../registry/lmdb-registry.ts";
import { RedisRegistry, type RedisRegistryOptions } from "../registry/redis/redis-registry.ts";
import { takeRegistryAlong } from "../registry/take-registry-along.ts";
import { gatewayName } from "../supervisor/gateway-name.ts";
import type { StreamStatus } from "../supervisor/gateway-status.ts";
import type { RoleContext } from "../supervisor/run-child.ts";
import { orMend } from "./connect-redis.ts";
import { loadLakeState } from "./lake.ts";
import { openLakeStore } from "./lake-store.ts";
import { openOnceThere } from "./open-once-there.ts";
import type { AppendEnd, ReadEnd, StreamBackend } from "./stream-backend.ts";

/**
 * The stream in Kinesis. With the window on a Redis any number of gateways share the stream: registry and leases live there too.
 * Without one, they live in the data folder of the one gateway.
 */
export const kinesisBackend: StreamBackend = {
  openForAppending,
  openForReading,
  openRegistry: async ({ config, logger, random, now }, lake) => {
    const redis = redisOf(config);
    if (!redis) return { store: await LmdbRegistry.openForWriting(config.folders.registry), isNew: false };
    const options = await registryOptions(config, redis, { logger, random, now });
    const { registry, isNew } = await RedisRegistry.openForWriting(options, lake);
    const parts = { config, registry, archive: lake.topics, logger, now };
    const isTaken = await takeRegistryAlong(parts).catch(async (error: unknown) => {
      await registry.close();
      throw error;
    });
    keepReconciled(registry, lake.topics, logger);
    return { store: registry, isNew: isNew && !isTaken };
  },
  openRegistryForReading: async ({ config, logger }) => {
    const redis = redisOf(config);
    if (!redis) return LmdbRegistry.openForReading(config.folders.registry);
    const clocks = { logger, random: Math.random, now: Date.now };
    return RedisRegistry.openForReading(await registryOptions(config, redis, clocks));
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
    if (!config.kinesis.create) throw error;
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

/** Of the time for shutting down, of which the consumer has half at least: handing over the partitions takes a moment, too. */
const drainShare = 0.4;

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
    drainMaxMs: config.shutdown.timeoutMs * drainShare,
    stopWatching: () => {},
  };
}

async function leasesOf(context: RoleContext, stream: KinesisStream): Promise<PartitionLeases> {
  const { config, logger, metrics: registry } = context;
  const target = redisOf(config);
  if (!target) return ownEverything();
  return await createRedisLeases({
    target,
    streamId: stream.streamId,
    partitions: stream.partitions.all.map(({ partition }) => partition),
    processName: gatewayName(config.folders.data),
    leaseMs: config.leases.leaseMs,
    timeoutMs: config.redis.timeoutMs,
    logger,
    registry,
    random: Math.random,
    monotonicMs: () => performance.now(),
  });
}

function openStream(
  { config, logger, metrics: registry }: RoleContext,
  mode: "append" | "read",
): Promise<KinesisStream> {
  return openKinesisStream({
    ...config.kinesis,
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
    const stream = await openKinesisStream({ ...config.kinesis, target, mode: "read", logger });
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
  if (config.kinesis.create) await createStream(config);
  const target = targetOf(config);
  const { timeoutMs } = config.kinesis;
  const store = await openLakeStore(config, { access: "write" });
  const loadLake = () => loadLakeState(config);
  return await continueInKinesisStream({ target, store, loadLake, unread, timeoutMs });
}

async function createStream(config: GatewayConfig): Promise<void> {
  const { kinesis, stream } = config;
  await createKinesisStream({ ...kinesis, target: targetOf(config), shardCount: stream.partitionCount });
}

function isMissing(error: unknown): boolean {
  return error instanceof BridgeError && error.code === "STREAM_MISSING";
}

function statusOf(stream: KinesisStream, record: KinesisStreamRecord): StreamStatus {
  return { space: null, redis: null, kinesis: stream.status(), replacement: replacementOf(record) };
}

async function registryOptions(
  config: GatewayConfig,
  target: RedisTarget,
  { logger, random, now }: { logger: Logger; random: () => number; now: () => number },
): Promise<RedisRegistryOptions> {
  const { timeoutMs } = config.redis;
  const options = { name: "tidegate-registry", timeoutMs, logger, random };
  const client = await orMend("window", () => connectRedis(target, options));
  return { client, prefix: target.prefix, logger, now };
}

/** The window's; null where that is in memory. */
function redisOf({ backends: { window } }: GatewayConfig): RedisTarget | null {
  return window.kind === "redis" ? window.redis : null;
}

function targetOf({ backends: { stream } }: GatewayConfig): KinesisTarget {
  if (stream.kind !== "kinesis") throw new TypeError("the stream is not in Kinesis");
  return stream.kinesis;
}
