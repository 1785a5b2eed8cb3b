import { createProducer } from "../../bridge/producer/index.ts";
import { createBroker, createIngest } from "../../broker/index.ts";
import type { RoleContext, RunningRole } from "../processes/run-child.ts";
import { addRegistryMetrics } from "../registry/registry-metrics.ts";
import { StoredDeviceRegistry } from "../registry/stored-device-registry.ts";
import { StoredTopicRegistry } from "../registry/stored-topic-registry.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import type { BrokerProcessStatus } from "../status/gateway-status.ts";
import { streamBackend } from "../streams/stream-kinds.ts";
import { streamStatus } from "../streams/stream-status.ts";
import { recheckIdentities } from "./recheck-identities.ts";

/**
 * MQTT → stream. Accepts no connections before the stream is known to continue at the position of the lake.
 */
export async function startBroker(context: RoleContext): Promise<RunningRole> {
  const { config, logger, metrics: registry } = context;
  const backend = await streamBackend(config);
  const end = await backend.openForAppending(context);
  const { stream } = end;
  const producer = createProducer({ stream, config: config.producer, logger, registry });
  const store = await backend.openRegistryForReading(context);
  addRegistryMetrics(registry, store);
  const topics = new StoredTopicRegistry(store);
  const devices = new StoredDeviceRegistry(store);
  const mqtt = mqttConfig(context);
  const ingest = createIngest({
    config: mqtt,
    sink: producer,
    admission: {
      get isOpen() {
        return end.hasRoomForMore();
      },
    },
    topics,
    devices,
    logger,
    registry,
  });
  const broker = createBroker({ config: mqtt, ingest, registry });
  recheckIdentities({ store, devices, ingest, logger });
  const { host, port } = await broker.listen();
  return {
    listening: `${host.includes(":") ? `[${host}]` : host}:${port}`,
    status: async (): Promise<BrokerProcessStatus> => ({
      ...broker.status(),
      producer: producer.status(),
      ...streamStatus(config, end.status()),
      registry: store.status(),
    }),
    topicsChanged: () => store.refresh(),
    deviceRevoked: async (name) => devices.revoked(name),
    ...(end.committed ? { committed: end.committed } : {}),
    stop: async () => {
      await broker.stop();
      ingest.close();
      await producer.close();
      await end.close();
      await store.close();
    },
  };
}

function mqttConfig({ config, earlierAddress }: RoleContext): GatewayConfig["mqtt"] {
  const port = earlierAddress === null ? config.mqtt.port : Number(earlierAddress.split(":").at(-1));
  return { ...config.mqtt, port };
}
