import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import { createApi } from "../api/api-server.ts";
import { ensureApiToken } from "../api/api-token.ts";
import type { GatewayConfig } from "../config.ts";
import { GatewayError } from "../errors.ts";
import { createGatewayMetrics } from "../metrics.ts";
import { demoTopics } from "../registry/demo-topics.ts";
import { Devices } from "../registry/devices.ts";
import { reconcileTopics } from "../registry/reconcile-topics.ts";
import { RegistryStore } from "../registry/registry-store.ts";
import type { TopicArchive } from "../registry/topic-archive.ts";
import { Topics } from "../registry/topics.ts";
import { prepareDataFolder } from "./data-folder.ts";
import { DataFolderLock } from "./data-folder-lock.ts";
import { createServices } from "./gateway-services.ts";
import { killLeftChildren } from "./process-record.ts";
import { Supervisor } from "./supervisor.ts";

export interface GatewayOptions {
  readonly config: GatewayConfig;
  readonly logger: Logger;
  readonly version: string;
  /** The program that is forked with a role as its argument. */
  readonly program: string;
  /** Makes the lake where there is none. */
  readonly openLake: (config: GatewayConfig) => Promise<GatewayLake>;
  readonly random: () => number;
  readonly now: () => number;
}

export interface GatewayLake {
  readonly lakeId: string;
  readonly url: string;
  readonly topics: TopicArchive;
}

export interface RunningGateway {
  /** Resolves when everything is ready for the first time; rejects where a child says that it can't start. */
  readonly ready: Promise<void>;
  readonly supervisor: Supervisor;
  readonly apiAddress: string;
  readonly lakeUrl: string;
  /** See Supervisor.stop. */
  stop(): Promise<boolean>;
}

/** Fact of the registry: when it was first used, so that demo topics which were deleted stay so. */
const initialisedFact = "initialisedAt";

/** Starts everything on a data folder. Throws where the folder, the lake or the HTTP address can't be used. */
export async function runGateway(options: GatewayOptions): Promise<RunningGateway> {
  const { config, logger, now } = options;
  const { data } = config.folders;
  prepareDataFolder(data);
  const lock = await DataFolderLock.acquire(data, {
    pid: process.pid,
    startedAt: new Date(now()).toISOString(),
  });
  for (const child of await killLeftChildren(data))
    logger.warn(
      { event: "child.left", role: child.role, pid: child.pid },
      "ended a process of an earlier gateway",
    );
  const token = ensureApiToken(data);
  const lake = await options.openLake(config);
  const store = RegistryStore.openForWriting(config.folders.registry);
  const { imported, exported } = await reconcileTopics(store, lake.topics);
  if (imported + exported > 0)
    logger.info(
      { event: "registry.reconciled", imported, exported },
      "registry and lake know the same topics",
    );
  const metrics = createGatewayMetrics();
  const { program, random } = options;
  const supervisor = new Supervisor({ config, program, logger, metrics, random, now });
  const { topics, devices } = administration({ store, archive: lake.topics, supervisor, now, logger });
  await createDemoTopics({ config, store, topics, now });
  const services = createServices({
    ...options,
    startedAtMs: now(),
    supervisor,
    topics,
    devices,
    lake,
    metrics,
  });
  const { version } = options;
  const bodyMaxBytes = config.http.bodyMaxBytes;
  const api = await createApi({
    services,
    token,
    bodyMaxBytes,
    version,
    logger,
    requests: metrics.apiRequests,
  });
  const apiAddress = await listen(api, config);
  const stop = async (): Promise<boolean> => {
    const isComplete = await supervisor.stop(config.shutdown.timeoutMs);
    await api.close();
    await store.close();
    await lock.release();
    return isComplete;
  };
  return { ready: supervisor.start(apiAddress), supervisor, apiAddress, lakeUrl: lake.url, stop };
}

/** How long an admin's call waits until the broker judges by the change; one that is down reads the registry when it starts. */
const noticeTimeoutMs = 2_000;

function administration(parts: {
  store: RegistryStore;
  archive: TopicArchive;
  supervisor: Supervisor;
  now: () => number;
  logger: Logger;
}): { topics: Topics; devices: Devices } {
  const { store, archive, supervisor, now, logger } = parts;
  const tell = async (notice: Promise<unknown>): Promise<void> => {
    await notice.catch((error: unknown) =>
      logger.warn({ event: "registry.notice.failed", err: error }, "the broker was not told of a change"),
    );
  };
  return {
    topics: new Topics({
      store,
      archive,
      now,
      changed: () => tell(supervisor.child("broker").request("topicsChanged", null, noticeTimeoutMs)),
    }),
    devices: new Devices({
      store,
      now,
      revoked: (name) => tell(supervisor.child("broker").request("deviceRevoked", name, noticeTimeoutMs)),
    }),
  };
}

async function createDemoTopics(parts: {
  config: GatewayConfig;
  store: RegistryStore;
  topics: Topics;
  now: () => number;
}): Promise<void> {
  const { config, store, topics, now } = parts;
  if (store.fact(initialisedFact) !== undefined) return;
  const isEmpty = topics.list({ deleted: true }).length === 0;
  if (config.topics.demo && isEmpty) for (const topic of demoTopics) await topics.create(topic);
  await store.setFact(initialisedFact, now());
}

/** `host:port`, with brackets around an IPv6 address. */
async function listen(api: FastifyInstance, config: GatewayConfig): Promise<string> {
  const { host, port } = config.http;
  try {
    await api.listen({ host, port });
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code === "EADDRINUSE" ? "it is in use" : String(cause);
    throw new GatewayError(
      "HTTP_ADDRESS_UNUSABLE",
      `The HTTP API can't listen on ${host}:${port}: ${reason}. Choose another address with --http HOST:PORT.`,
      { retryable: false, cause },
    );
  }
  const { address, family, port: chosenPort } = api.server.address() as AddressInfo;
  return `${family === "IPv6" ? `[${address}]` : address}:${chosenPort}`;
}
