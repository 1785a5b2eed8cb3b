import { existsSync } from "node:fs";
import { BridgeError } from "../../../bridge/errors.ts";
import type { LakeState } from "../../../bridge/lake/index.ts";
import { ownEverything } from "../../../bridge/leases/index.ts";
import {
  checkStreamAgainstLake,
  createEmbeddedStream,
  type EmbeddedStream,
  openEmbeddedStream,
  startNewStream,
} from "../../../bridge/streams/embedded/index.ts";
import { checkStreamMarks, partitionKey, replacementOf } from "../../../bridge/streams/index.ts";
import { loadLakeState } from "../../lakes/gateway-lake.ts";
import type { RoleContext } from "../../processes/run-child.ts";
import type { GatewayConfig } from "../../settings/gateway-config.ts";
import { openOnceThere } from "../open-once-there.ts";
import { ownRegistry } from "../own-registry.ts";
import type { AppendEnd, ReadEnd, StreamBackend } from "../stream-backend.ts";
import { keepMark, loadMarks } from "../stream-mark-file.ts";
import { refuseLakeOfAnother } from "./lake-of-another.ts";
import { StreamPressure } from "./stream-pressure.ts";

/**
 * Stream and registry in the data folder, for the processes of one gateway. The broker is the only writer, so
 * it trims.
 */
export const embeddedBackend: StreamBackend = {
  openForAppending,
  openForReading,
  ...ownRegistry,
  refuseLake: refuseLakeOfAnother,
  hasStream: async ({ folders }) => existsSync(folders.stream),
  fitsLake,
  createBeside: async ({ folders, stream }) => {
    await createEmbeddedStream({
      folder: folders.stream,
      partitionCount: stream.partitionCount,
      startedAnew: true,
    });
  },
  startNew: async (config) => {
    const { folders, stream } = config;
    const lake = await loadLakeState(config);
    const marks = await loadMarks(config);
    return await startNewStream({
      folder: folders.stream,
      partitionCount: stream.partitionCount,
      lake,
      marks,
    });
  },
};

async function openForAppending(context: RoleContext): Promise<AppendEnd> {
  const lake = await loadLakeState(context.config);
  const stream = await openOrCreate(context, lake);
  await checkStreamAgainstLake(stream, lake);
  await checkStreamMarks(await loadMarks(context.config), stream);
  const mark = keepMark(context, stream.streamId, () => highestOf(stream));
  for (let partition = 0; partition < stream.partitionCount; partition++) {
    const move = lake.moves.get(partitionKey(stream.streamId, partition));
    if (move) trim(stream, partition, move.to, context);
  }
  return {
    stream,
    status: () => ({ own: stream.space(), replacement: replacementOf(stream.record) }),
    // A full stream pauses publishers until the lake catches up, so new connections are safe.
    hasRoomForMore: () => true,
    close: async () => {
      await mark.stop();
      await stream.close();
    },
    committed: ({ streamId, positions }) => {
      if (streamId !== stream.streamId) return;
      for (const [partition, position] of Object.entries(positions))
        trim(stream, Number(partition), position, context);
    },
  };
}

async function openOrCreate(context: RoleContext, lake: LakeState): Promise<EmbeddedStream> {
  const { config, fail, metrics: registry } = context;
  const { maxBytes, reserveBytes, appendTimeoutMs, stuckMs, partitionCount } = config.stream;
  const { stream: folder } = config.folders;
  const options = {
    mode: "append",
    folder,
    maxBytes,
    reserveBytes,
    appendTimeoutMs,
    stuckMs,
    registry,
    onFatal: fail,
  } as const;
  return await openEmbeddedStream(options).catch(async (error: unknown) => {
    if (!(error instanceof BridgeError && error.code === "STREAM_MISSING")) throw error;
    await checkStreamAgainstLake(null, lake);
    await createEmbeddedStream({ folder, partitionCount });
    return await openEmbeddedStream(options);
  });
}

async function highestOf(stream: EmbeddedStream): Promise<string[]> {
  const partitions = Array.from({ length: stream.partitionCount }, (_, partition) => partition);
  const states = await Promise.all(partitions.map((partition) => stream.partitionState(partition)));
  return states.map(({ highest }) => highest);
}

/** Best effort: the next commit trims what remains. */
function trim(stream: EmbeddedStream, partition: number, upTo: string, { logger }: RoleContext): void {
  stream
    .trim(partition, upTo)
    .catch((error: unknown) =>
      logger.warn(
        { event: "stream.trim.failed", partition, upTo, err: error },
        "trimming failed; the next commit retries",
      ),
    );
}

const patience = { pollMs: 100, polls: 100 };

async function openForReading(context: RoleContext): Promise<ReadEnd> {
  const { config, committed } = context;
  const { maxBytes } = config.stream;
  const open = () => openEmbeddedStream({ mode: "read", folder: config.folders.stream, maxBytes });
  const stream = await openOnceThere(open, patience);
  const pressure = new StreamPressure(stream, maxBytes / 2);
  return {
    stream,
    leases: ownEverything(),
    status: () => ({ own: null, replacement: replacementOf(stream.record) }),
    trim: async (partition, upTo) =>
      committed({ streamId: stream.streamId, positions: { [partition]: upTo } }),
    isUnderPressure: () => pressure.isHigh,
    drainMaxMs: null,
    stopWatching: () => pressure.stop(),
  };
}

async function fitsLake(config: GatewayConfig): Promise<boolean> {
  const lake = await loadLakeState(config);
  const { maxBytes } = config.stream;
  try {
    const stream = await openEmbeddedStream({ mode: "read", folder: config.folders.stream, maxBytes });
    try {
      await checkStreamAgainstLake(stream, lake);
      await checkStreamMarks(await loadMarks(config), stream);
      return true;
    } finally {
      await stream.close();
    }
  } catch (error) {
    // A stream of a newer version may fit the lake.
    if (error instanceof BridgeError && error.code !== "STREAM_VERSION") return false;
    throw error;
  }
}
