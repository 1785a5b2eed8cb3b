import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { CodedError } from "../../devices/protocol/coded-error.ts";
import { identifyProcess } from "../../devices/protocol/process-identity.ts";
import { shownUrl } from "../../devices/protocol/shown-url.ts";
import { createApi, listenApi } from "../api/api-server.ts";
import { ensureApiToken } from "../api/api-token.ts";
import { isForOneGateway } from "../config/backends.ts";
import { prepareDataFolder } from "../data-folder/data-folder.ts";
import { DataFolderLock } from "../data-folder/data-folder-lock.ts";
import { identifyFile } from "../data-folder/folder-identity.ts";
import { killLeftChildren } from "../data-folder/left-children.ts";
import { readForeignRecord, writeProcessRecord } from "../data-folder/process-record.ts";
import { GatewayError } from "../errors.ts";
import { demoTopics } from "../registry/demo-topics.ts";
import { Devices } from "../registry/devices.ts";
import type { GatewayLake } from "../registry/gateway-stores.ts";
import { plainOverlaps } from "../registry/plain-overlaps.ts";
import { reconcileTopics } from "../registry/reconcile-topics.ts";
import { initialisedFact, type RegistryStore } from "../registry/registry-store.ts";
import type { TopicArchive } from "../registry/topic-archive.ts";
import { topicDefaults } from "../registry/topic-definition.ts";
import { largestPayloadBytes, Topics } from "../registry/topics.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import type { StreamBackend } from "../streams/stream-backend.ts";
import { streamKind } from "../streams/stream-kinds.ts";
import { createGatewayMetrics } from "./gateway-metrics.ts";
import { placesOf } from "./gateway-places.ts";
import { createServices } from "./gateway-services.ts";
import { refuseSharingCopy } from "./shared-copy.ts";
import { Supervisor } from "./supervisor.ts";

export interface GatewayOptions {
  readonly config: GatewayConfig;
  readonly logger: Logger;
  readonly version: string;
  /** The program that is forked with a role as its argument. */
  readonly program: string;
  /** Creates the lake if it is missing. */
  readonly openLake: (
    config: GatewayConfig,
    options: { readonly logger: Logger; readonly signal: AbortSignal },
  ) => Promise<GatewayLake>;
  /** The backend of the configured stream. */
  readonly backend: Pick<StreamBackend, "openRegistry" | "refuseLake">;
  /** Aborted if the gateway must end before it has started. */
  readonly signal: AbortSignal;
  readonly random: () => number;
  readonly now: () => number;
}

export interface RunningGateway {
  /**
   * Resolves when broker and consumer have been ready for the first time; rejects if one reports that it
   * cannot start.
   */
  readonly ready: Promise<void>;
  readonly supervisor: Supervisor;
  readonly apiAddress: string;
  readonly lakeUrl: string;
  /** See Supervisor.stop. */
  stop(): Promise<boolean>;
}

/**
 * Starts a gateway on a data folder. If the folder, the lake or the HTTP address cannot be used, closes
 * everything and throws.
 */
export async function runGateway(options: GatewayOptions): Promise<RunningGateway> {
  const closers: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    return await startAll(options, closers, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function startAll(
  options: GatewayOptions,
  closers: (() => Promise<unknown>)[],
  close: () => Promise<void>,
): Promise<RunningGateway> {
  const { config, now } = options;
  const { data } = config.folders;
  prepareDataFolder(data, { holdsDatabases: isForOneGateway(config.backends) });
  const owner = { pid: process.pid, startedAt: new Date(now()).toISOString() };
  const lock = await DataFolderLock.acquire(data, owner);
  closers.push(() => lock.release());
  refuseSharingCopy(config);
  await endLeftChildren(options);
  refuseLeftStream(config);
  const token = ensureApiToken(data);
  const openLake = () => options.openLake(config, options);
  // Faults of a folder on this machine are reported at once.
  const lake = await (config.folders.lake === null ? awaited("lake", options, openLake) : openLake());
  await awaited("lake", options, async () => options.backend.refuseLake?.(config, lake));
  const { store, isNew } = await awaited("registry", options, () =>
    options.backend.openRegistry(options, lake),
  );
  closers.push(() => store.close());
  await reconcile(options, store, lake, isNew);
  const metrics = createGatewayMetrics();
  const supervisor = new Supervisor({ ...options, metrics, folderDescriptor: lock.descriptor });
  const { topics, devices } = administration({ ...options, store, archive: lake.topics, supervisor });
  await createDemoTopics({ config, store, topics, now });
  tellOfPlainOverlaps(options, topics);
  const services = createServices({
    ...options,
    startedAtMs: now(),
    supervisor,
    topics,
    devices,
    lake,
    metrics,
  });
  closers.push(async () => services.stop());
  const { version, logger } = options;
  const bodyMaxBytes = config.http.bodyMaxBytes;
  const api = await createApi({
    services,
    token,
    folder: identifyFile(data),
    bodyMaxBytes,
    version,
    logger,
    requests: metrics.apiRequests,
  });
  closers.push(() => api.close());
  const apiAddress = await listenApi(api, config.http);
  const stop = async (): Promise<boolean> => {
    const isComplete = await supervisor.stop(config.shutdown.timeoutMs);
    await close();
    return isComplete;
  };
  return { ready: supervisor.start(apiAddress), supervisor, apiAddress, lakeUrl: lake.url, stop };
}

/** Otherwise the messages in the embedded stream of the data folder would never be filed. */
function refuseLeftStream({ backends, folders, stream }: GatewayConfig): void {
  if (streamKind(backends.stream).placeOf(backends.stream) === null || !existsSync(folders.stream)) return;
  throw new GatewayError(
    "STREAM_NOT_MIGRATED",
    `The data folder ${folders.data} holds an embedded stream, which may hold messages that are not in the lake. Move it with \`tidegate migrate --data ${folders.data} --stream ${shownUrl(stream.url)}\`, or start a separate gateway with another --data.`,
    { retryable: false },
  );
}

async function endLeftChildren({ config, logger }: GatewayOptions): Promise<void> {
  const copied = readForeignRecord(config.folders.data);
  if (copied)
    logger.info(
      { event: "folder.copied", host: copied.host, supervisor: copied.supervisor.pid },
      "this data folder is a copy, or was moved from another disk: the gateway in its processes.json is left running",
    );
  const { killed, spared } = await killLeftChildren(config.folders.data);
  for (const { role, pid } of killed)
    logger.warn({ event: "child.left", role, pid }, "killed a process of an earlier gateway");
  for (const { role, pid } of spared)
    logger.warn(
      { event: "child.spared", role, pid },
      "left a recorded process running that has no file of this folder open",
    );
  // Commands can then distinguish a gateway that waits for its server from no gateway.
  const supervisor = identifyProcess(process.pid);
  const uses = placesOf(config);
  if (supervisor) writeProcessRecord(config.folders.data, { supervisor, children: [], api: null, uses });
}

const retryMs = 2_000;

/**
 * Waits for a server that is unreachable or still loading its data, so that programs may be started in any
 * order.
 */
async function awaited<Opened>(
  what: "lake" | "registry",
  { signal, logger }: GatewayOptions,
  open: () => Promise<Opened>,
): Promise<Opened> {
  for (let hasFailed = false; ; hasFailed = true) {
    try {
      const opened = await open();
      if (hasFailed) logger.info({ event: `${what}.back` }, `the ${what} answers: the start continues`);
      return opened;
    } catch (error) {
      if (!(error instanceof CodedError && error.retryable) || fullDisk.has(error.code)) throw error;
      const { code, message } = error;
      logger.warn({ event: `${what}.awaited`, code }, `not started yet, retrying: ${message}`);
      await delay(retryMs, undefined, { signal });
    }
  }
}

/** A person must free space on this machine, so these errors are reported at once. */
const fullDisk: ReadonlySet<string> = new Set(["DISK_FULL", "STORE_FULL"]);

async function reconcile(
  { logger }: GatewayOptions,
  store: RegistryStore,
  lake: GatewayLake,
  isNew: boolean,
): Promise<void> {
  const { imported, exported } = await reconcileTopics(store, lake.topics);
  if (imported + exported > 0)
    logger.info(
      { event: "registry.reconciled", imported, exported },
      "registry and lake now hold the same topics",
    );
  if (isNew && imported > 0)
    logger.warn(
      { event: "registry.restored", topics: imported },
      "This registry was empty, and its topics were restored from the lake. The lake holds no identities: add lost ones again with `tidegate devices add`.",
    );
}

/** How long an administrator's call waits until the broker applies the change. */
const noticeTimeoutMs = 2_000;
const noticePollMs = 20;

function administration(parts: {
  config: GatewayConfig;
  store: RegistryStore;
  archive: TopicArchive;
  supervisor: Supervisor;
  now: () => number;
  logger: Logger;
}): { topics: Topics; devices: Devices } {
  const { supervisor, logger } = parts;
  const tell = async (kind: "topicsChanged" | "deviceRevoked", ask: string | null): Promise<void> => {
    const broker = supervisor.child("broker");
    if (!broker) return;
    // A starting broker may have read the registry before the change.
    for (
      let waitedMs = 0;
      broker.status.state === "starting" && waitedMs < noticeTimeoutMs;
      waitedMs += noticePollMs
    )
      await delay(noticePollMs);
    // A broker that does not run reads the registry when it starts.
    if (broker.status.state !== "ready") return;
    await broker
      .request(kind, ask as never, noticeTimeoutMs)
      .catch((error: unknown) =>
        logger.warn(
          { event: "registry.notice.failed", kind, err: error },
          "the broker was not notified of a change",
        ),
      );
  };
  return {
    topics: new Topics({
      ...parts,
      packetMaxBytes: parts.config.mqtt.packetMaxBytes,
      plainFilters: parts.config.mqtt.plainFilters,
      changed: () => tell("topicsChanged", null),
    }),
    devices: new Devices({ ...parts, revoked: (name) => tell("deviceRevoked", name) }),
  };
}

/** Existing topics stay in force after a change of `mqtt.plainFilters`. */
function tellOfPlainOverlaps({ config, logger }: GatewayOptions, topics: Topics): void {
  for (const overlap of plainOverlaps(topics.list({ deleted: false }), config.mqtt.plainFilters)) {
    const { topic, filter, plainFilter, owner } = overlap;
    const text =
      owner === "topic"
        ? `mqtt.plainFilters names ${plainFilter}, which is not more specific than ${filter} of the topic ${topic}: names that both match belong to the topic`
        : `mqtt.plainFilters names ${plainFilter}, which takes names from ${filter} of the topic ${topic}: messages on these names are not filed`;
    logger.warn({ event: "topics.plain-overlap", ...overlap }, text);
  }
}

async function createDemoTopics(parts: {
  config: GatewayConfig;
  store: RegistryStore;
  topics: Topics;
  now: () => number;
}): Promise<void> {
  const { config, store, topics, now } = parts;
  if ((await store.fact(initialisedFact)) !== undefined) return;
  const isEmpty = topics.list({ deleted: true }).length === 0;
  if (config.topics.demo && isEmpty)
    for (const topic of demoTopics) {
      const largest = largestPayloadBytes(config.mqtt.packetMaxBytes, topic.filter);
      await topics.create({ ...topic, maxPayloadBytes: Math.min(topicDefaults.maxPayloadBytes, largest) });
    }
  await store.setFact(initialisedFact, now());
}
