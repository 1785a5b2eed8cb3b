import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  BridgeError,
  checkStreamAgainstLake,
  createAttemptFile,
  createConsumer,
  createEmbeddedStream,
  createMemoryWindow,
  createParquetBatchWriter,
  createProducer,
  createSeedSource,
  createTablePublisher,
  type EmbeddedStream,
  type LakeState,
  openCommitLog,
  openEmbeddedStream,
  openLocalStore,
  openTopicCatalog,
  partitionKey,
} from "../bridge/index.ts";
import { createBroker } from "../broker/index.ts";
import type { GatewayConfig } from "./config.ts";
import { keepLakeTidy } from "./lake-housekeeping.ts";
import { createLakeTopics } from "./registry/lake-topics.ts";
import { RegistryStore } from "./registry/registry-store.ts";
import { StoredDeviceRegistry } from "./registry/stored-device-registry.ts";
import { StoredTopicRegistry } from "./registry/stored-topic-registry.ts";
import { StreamPressure } from "./stream-pressure.ts";
import type { BrokerProcessStatus } from "./supervisor/gateway-status.ts";
import type { RoleName } from "./supervisor/messages.ts";
import type { RoleContext, RunningRole, StartRole } from "./supervisor/run-child.ts";
import type { GatewayLake } from "./supervisor/run-gateway.ts";

/** The composition root: what each process is made of. */
export const startRole: Readonly<Record<RoleName, StartRole>> = {
  broker: startBroker,
  consumer: startConsumer,
};

/** The supervisor's part of the lake; makes one where there is none. */
export async function openGatewayLake(config: GatewayConfig): Promise<GatewayLake> {
  const store = await openLocalStore(config.folders.lake);
  const { lakeId } = await openCommitLog(store, { create: true });
  return { lakeId, url: store.url, topics: createLakeTopics(store) };
}

/** What the lake holds of every stream. */
export async function loadLakeState(config: GatewayConfig): Promise<LakeState> {
  const store = await openLocalStore(config.folders.lake);
  return await (await openCommitLog(store, { create: true })).load();
}

/** MQTT → stream. Accepts nothing before the stream was found to go on where the lake stands. */
async function startBroker(context: RoleContext): Promise<RunningRole> {
  const { config, logger, metrics: registry } = context;
  const stream = await openStreamForAppending(context);
  const producer = createProducer({ stream, config: config.producer, logger, registry });
  const store = RegistryStore.openForReading(config.folders.registry);
  const topics = new StoredTopicRegistry(store);
  const devices = new StoredDeviceRegistry(store);
  const broker = createBroker({
    config: mqttConfig(context),
    sink: producer,
    topics,
    devices,
    logger,
    registry,
  });
  const { host, port } = await broker.listen();
  return {
    listening: `${host.includes(":") ? `[${host}]` : host}:${port}`,
    status: async (): Promise<BrokerProcessStatus> => ({
      ...broker.status(),
      producer: producer.status(),
      space: stream.space(),
    }),
    topicsChanged: async () => topics.refresh(),
    deviceRevoked: async (name) => devices.revoked(name),
    committed: ({ streamId, positions }) => {
      if (streamId !== stream.streamId) return;
      for (const [partition, position] of Object.entries(positions))
        trim(stream, Number(partition), position, context);
    },
    stop: async () => {
      await broker.stop();
      await producer.close();
      await stream.close();
      await store.close();
    },
  };
}

function mqttConfig({ config, earlierAddress }: RoleContext): GatewayConfig["mqtt"] {
  const port = earlierAddress === null ? config.mqtt.port : Number(earlierAddress.split(":").at(-1));
  return { ...config.mqtt, port };
}

async function openStreamForAppending(context: RoleContext): Promise<EmbeddedStream> {
  const { config, fail, metrics: registry } = context;
  const lake = await loadLakeState(config);
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
  const stream = await openEmbeddedStream(options).catch(async (error: unknown) => {
    if (!(error instanceof BridgeError && error.code === "STREAM_MISSING")) throw error;
    await checkStreamAgainstLake(null, lake);
    await createEmbeddedStream({ folder, partitionCount });
    return await openEmbeddedStream(options);
  });
  await checkStreamAgainstLake(stream, lake);
  for (let partition = 0; partition < stream.partitionCount; partition++) {
    const move = lake.moves.get(partitionKey(stream.streamId, partition));
    if (move) trim(stream, partition, move.to, context);
  }
  return stream;
}

/** Best effort: what is left is trimmed with the next commit. */
function trim(stream: EmbeddedStream, partition: number, upTo: string, { logger }: RoleContext): void {
  stream
    .trim(partition, upTo)
    .catch((error: unknown) =>
      logger.warn({ event: "stream.trim.failed", partition, upTo, err: error }, "trimming is put off"),
    );
}

const streamPollMs = 100;
const streamPolls = 100;

/** The broker creates the stream; at the very first start the consumer waits for it. */
async function openStreamForReading(config: GatewayConfig): Promise<EmbeddedStream> {
  const { maxBytes } = config.stream;
  for (let poll = 1; ; poll++) {
    try {
      return await openEmbeddedStream({ mode: "read", folder: config.folders.stream, maxBytes });
    } catch (error) {
      const isMissing = error instanceof BridgeError && error.code === "STREAM_MISSING";
      if (!isMissing || poll === streamPolls) throw error;
    }
    await delay(streamPollMs);
  }
}

/** Stream → lake. */
async function startConsumer(context: RoleContext): Promise<RunningRole> {
  const { config, logger, metrics: registry } = context;
  const stream = await openStreamForReading(config);
  const store = await openLocalStore(config.folders.lake);
  const commitLog = await openCommitLog(store, { create: false });
  const topics = await openTopicCatalog(store);
  const { partitionCount } = stream;
  const pressure = new StreamPressure(stream, config.stream.maxBytes / 2);
  const consumer = createConsumer({
    stream,
    window: createMemoryWindow({ maxBytes: config.window.maxBytes, partitionCount }),
    commitLog,
    publisher: createTablePublisher({ store, commitLog, topics, logger, registry, ...config.tables }),
    batch: createParquetBatchWriter({ store, ...config.tables }),
    seeds: createSeedSource({ store, commitLog }),
    topics,
    trim: async (partition, upTo) =>
      context.committed({ streamId: stream.streamId, positions: { [partition]: upTo } }),
    isUnderPressure: () => pressure.isHigh,
    attempts: createAttemptFile(join(config.folders.data, "consumer-attempt.json")),
    config: config.consumer,
    logger,
    registry,
    now: Date.now,
    random: Math.random,
  });
  consumer.run().catch(context.fail);
  const stopHousekeeping = keepLakeTidy({ store, commitLog, logger });
  return {
    listening: null,
    status: async () => consumer.status(),
    acceptGap: async (partition) => ({ ...(await consumer.acceptGap(partition)) }),
    stop: async () => {
      pressure.stop();
      stopHousekeeping();
      await consumer.stop({ drain: true });
      await stream.close();
    },
  };
}
