import { BridgeError } from "../../../bridge/errors.ts";
import type { LakeState } from "../../../bridge/lake/index.ts";
import { replacementOf } from "../../../bridge/streams/index.ts";
import {
  checkRedisStreamAgainstLake,
  createRedisStream,
  openRedisStream,
  type RedisStream,
  startNewRedisStream,
} from "../../../bridge/streams/redis/index.ts";
import { loadLakeState } from "../../lakes/gateway-lake.ts";
import { createProcessLogger } from "../../processes/process-logger.ts";
import type { RoleContext } from "../../processes/run-child.ts";
import { openLeases, openUpkeepLease, sharedDrainMaxMs } from "../../redis/open-leases.ts";
import { openRegistryForReading, openRegistryForWriting } from "../../redis/open-registry.ts";
import { orMend } from "../../redis/or-mend.ts";
import { keepReconciled } from "../../registry/keep-reconciled.ts";
import type { GatewayConfig } from "../../settings/gateway-config.ts";
import { openOnceThere } from "../open-once-there.ts";
import type { AppendEnd, ReadEnd, StreamBackend, StreamEndStatus } from "../stream-backend.ts";
import { keepMark, loadMarks } from "../stream-mark-file.ts";
import { redisConfigOf, targetOf } from "./redis-target.ts";

/**
 * Stream and registry on a Redis that any number of gateways share. Consumers share the partitions by leases,
 * and trim them.
 */
export const redisBackend: StreamBackend = {
  openForAppending,
  openForReading,
  openUpkeepLease: (context, lakeId) => openUpkeepLease(context, targetOf(context.config), lakeId),
  openRegistry: async (options, lake) => {
    const place = { section: "stream", target: targetOf(options.config) } as const;
    const { registry, isNew } = await openRegistryForWriting(options, place, lake);
    keepReconciled(registry, lake.topics, options.logger);
    return { store: registry, isNew };
  },
  openRegistryForReading: (context) =>
    openRegistryForReading(context, { section: "stream", target: targetOf(context.config) }),
  hasStream,
  fitsLake,
  createBeside: async (config) => {
    await orMend("stream", () => createRedisStream({ ...creationOf(config), startedAnew: true }));
  },
  startNew: async (config) => {
    const marks = await loadMarks(config);
    const options = { ...creationOf(config), marks, loadLake: () => loadLakeState(config) };
    const started = await orMend("stream", () => startNewRedisStream(options));
    return { ...started, movedTo: null };
  },
};

async function openForAppending(context: RoleContext): Promise<AppendEnd> {
  const { config, logger, metrics: registry } = context;
  const options = {
    ...redisConfigOf(config),
    target: targetOf(config),
    partitionCount: config.stream.partitionCount,
    marks: await loadMarks(config),
    logger,
    registry,
    onLost: (error: BridgeError) =>
      logger.error(
        { event: "stream.lost", code: error.code },
        `no message is acknowledged: ${error.message}`,
      ),
  };
  const open = () => openRedisStream({ ...options, mode: "append" });
  const stream = await orMend("stream", () =>
    open().catch(async (error: unknown) => {
      if (!(error instanceof BridgeError && error.code === "STREAM_MISSING")) throw error;
      await checkRedisStreamAgainstLake(null, await loadLakeState(config));
      await createRedisStream(options);
      return await open();
    }),
  );
  try {
    await checkAgainstLake(stream, () => loadLakeState(config));
  } catch (error) {
    await stream.close();
    throw error;
  }
  const mark = keepMark(context, stream.streamId, async () => stream.confirmed());
  return {
    stream,
    status: () => statusOf(stream),
    hasRoomForMore: () => stream.pressure() !== "refuse",
    close: async () => {
      await mark.stop();
      await stream.close();
    },
  };
}

/**
 * Other gateways append, commit and trim meanwhile. So this reads the trimmed positions before the lake, and
 * the appended ones after the lake. Changes in between then never look like a loss.
 */
async function checkAgainstLake(stream: RedisStream, loadLake: () => Promise<LakeState>): Promise<void> {
  const { streamId, partitionCount, record } = stream;
  const partitions = Array.from({ length: partitionCount }, (_, partition) => partition);
  const before = await Promise.all(partitions.map((partition) => stream.partitionState(partition)));
  const partitionState: RedisStream["partitionState"] = async (partition) => {
    const now = await stream.partitionState(partition);
    return { ...now, trimmedUpTo: (before[partition] ?? now).trimmedUpTo };
  };
  const comparePositions: RedisStream["comparePositions"] = (left, right) =>
    stream.comparePositions(left, right);
  await checkRedisStreamAgainstLake(
    { streamId, partitionCount, record, partitionState, comparePositions },
    await loadLake(),
  );
}

const patience = { pollMs: 200, polls: 50 };

async function openForReading(context: RoleContext): Promise<ReadEnd> {
  const { config, logger, metrics: registry } = context;
  const target = targetOf(config);
  const open = () => openRedisStream({ ...redisConfigOf(config), target, mode: "read", logger, registry });
  const stream = await orMend("stream", () => openOnceThere(open, patience));
  const leases = await openLeases(context, target, stream);
  return {
    stream,
    leases,
    status: () => statusOf(stream),
    trim: (partition, upTo) => stream.trim(partition, upTo),
    isUnderPressure: () => stream.pressure() !== "none",
    drainMaxMs: sharedDrainMaxMs(config),
    stopWatching: () => {},
  };
}

async function hasStream(config: GatewayConfig): Promise<boolean> {
  return await isSound(config, missing, async () => {});
}

async function fitsLake(config: GatewayConfig): Promise<boolean> {
  return await isSound(config, unfit, async (stream) => {
    const { held } = stream.status();
    if (held?.code === "STREAM_GAP") throw new BridgeError(held.code, held.message, { retryable: false });
    await checkAgainstLake(stream, () => loadLakeState(config));
  });
}

const missing: ReadonlySet<string> = new Set(["STREAM_MISSING"]);

/**
 * Not an unreachable or refusing server: the stream's state is then unknown. Not a newer version: its stream
 * may fit.
 */
const unfit: ReadonlySet<string> = new Set([
  "STREAM_MISSING",
  "STREAM_MOVED",
  "STREAM_GAP",
  "STREAM_DAMAGED",
]);

/** False if opening or checking the stream fails with one of the codes. */
async function isSound(
  config: GatewayConfig,
  faults: ReadonlySet<string>,
  check: (stream: RedisStream) => Promise<void>,
): Promise<boolean> {
  const logger = createProcessLogger("stream", config);
  const marks = await loadMarks(config);
  const options = {
    ...redisConfigOf(config),
    target: targetOf(config),
    mode: "read",
    marks,
    logger,
  } as const;
  try {
    const stream = await orMend("stream", () => openRedisStream(options));
    try {
      await check(stream);
      return true;
    } finally {
      await stream.close();
    }
  } catch (error) {
    if (error instanceof BridgeError && faults.has(error.code)) return false;
    throw error;
  }
}

function statusOf(stream: RedisStream): StreamEndStatus {
  return { own: stream.status(), replacement: replacementOf(stream.record) };
}

function creationOf(config: GatewayConfig) {
  return {
    target: targetOf(config),
    partitionCount: config.stream.partitionCount,
    timeoutMs: redisConfigOf(config).timeoutMs,
    logger: createProcessLogger("stream", config),
  };
}
