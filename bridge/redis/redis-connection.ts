import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Cluster, Redis } from "ioredis";
import type { Logger } from "pino";
import { fullJitterDelayMs } from "../../devices/protocol/backoff.ts";
import { BridgeError } from "../errors.ts";
import { redisError } from "./redis-error.ts";
import type { RedisTarget } from "./redis-url.ts";
import { infoFields, replicaFault } from "./server-report.ts";

/** A connection to one server or to a cluster; both take the same commands. */
export type RedisClient = Redis | Cluster;

export interface RedisConnectionOptions {
  /** Shown by `CLIENT LIST`. */
  readonly name: string;
  /** A call that takes longer rejects, and the connection is made anew. */
  readonly timeoutMs: number;
  readonly logger: Logger;
  readonly random: () => number;
}

/** Flags of scripts (`#!lua flags=allow-oom`), CONFIG GET of several settings and ACLs on it came with 7.0. */
const serverVersionMin = "7.0";
const slotsRefreshMs = 1_000;
/** A cluster is given time for so many, the nodes of it being asked in random order. */
const connectAttempts = 3;
const reconnectDelay = { baseMs: 50, maxMs: 2_000 } as const;

/**
 * Connects and waits until commands are taken, on a cluster by each node that is there; some time-outs long at most. Afterwards it
 * reconnects by itself for ever; meanwhile each call rejects at once: nothing queues, and nothing that was sent is sent again by itself.
 * Errors of the connection are logged, not thrown.
 * Throws REDIS_UNAVAILABLE (retryable), REDIS_DENIED, and REDIS_UNSUPPORTED where the server is too old or a replica.
 */
export async function connectRedis(
  target: RedisTarget,
  options: RedisConnectionOptions,
): Promise<RedisClient> {
  const where = `Redis at ${target.host}:${target.port}${target.tls ? " over TLS" : ""}`;
  const client = await clientOf(target, options);
  let lastError: unknown = null;
  client.on("ready", () => {
    if (troubles.delete(client))
      options.logger.info({ event: "redis.connection.ready", name: options.name }, `${where} answers again`);
  });
  client.on("error", (error: unknown) => {
    lastError = error;
    if (error instanceof Error) troubles.set(client, error);
    options.logger.warn({ event: "redis.connection.failed", name: options.name, err: error }, where);
  });
  try {
    await (isCluster(client) ? connectCluster(client, options.timeoutMs) : client.connect());
    const nodes = mastersOf(client);
    await Promise.all(nodes.map((node) => connectNode(node, options.timeoutMs)));
    await checkServer(nodes.find(({ status }) => status === "ready") ?? client, target);
    if (!isCluster(client)) await checkDatabase(client, target.db, where);
    return client;
  } catch (error) {
    client.disconnect();
    throw redisError(error instanceof BridgeError ? error : (lastError ?? error), where);
  }
}

/** The library is loaded by the first connection only: most processes have none. */
async function clientOf(target: RedisTarget, options: RedisConnectionOptions): Promise<RedisClient> {
  const { Cluster, Redis } = await import("ioredis");
  if (!target.isCluster) return new Redis(serverOptions(target, options));
  const { host, port } = target;
  const cluster = new Cluster([{ host, port }], clusterOptions(target, options));
  refreshSlots(cluster);
  return cluster;
}

function isCluster(client: RedisClient): client is Cluster {
  return client.isCluster;
}

const troubles = new WeakMap<RedisClient, Error>();

/** Why there is no connection now, where that is known: calls only reject because there is none. */
export function connectionTrouble(client: RedisClient): Error | null {
  return troubles.get(client) ?? null;
}

/** The servers that take writes. */
export function mastersOf(client: RedisClient): readonly Redis[] {
  return isCluster(client) ? client.nodes("master") : [client];
}

/** Calls back whenever a connection to a server that takes writes is lost, and whenever one can be used (again). */
export function onConnectionChange(client: RedisClient, callback: (isReady: boolean) => void): void {
  const watch = (server: Redis): void => {
    server.on("close", () => callback(false));
    server.on("ready", () => callback(true));
  };
  if (!isCluster(client)) {
    watch(client);
    return;
  }
  for (const server of client.nodes("all")) watch(server);
  client.on("+node", watch);
}

function serverOptions(target: RedisTarget, options: RedisConnectionOptions) {
  const { name, timeoutMs, random } = options;
  return {
    host: target.host,
    port: target.port,
    db: target.db,
    ...(target.username === undefined ? {} : { username: target.username }),
    ...(target.password === undefined ? {} : { password: target.password }),
    ...(target.tls ? { tls: tlsOf(target) } : {}),
    connectionName: name,
    protocol: 2 as const,
    disableClientInfo: true,
    lazyConnect: true,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    // A call that was sent when the connection broke rejects at once; with `null` it would hang until its time-out.
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt: number) => 1 + fullJitterDelayMs(attempt, reconnectDelay, random),
    // A former master that is a replica now: the name may lead to the new one.
    reconnectOnError: (error: Error) => error.message.startsWith("READONLY"),
  };
}

function clusterOptions(target: RedisTarget, options: RedisConnectionOptions) {
  const redisOptions = serverOptions(target, options);
  return {
    redisOptions,
    lazyConnect: true,
    enableOfflineQueue: false,
    clusterRetryStrategy: redisOptions.retryStrategy,
    // Else it would send a call again whose outcome is unknown.
    retryDelayOnFailover: 0,
    slotsRefreshTimeout: options.timeoutMs,
  };
}

/**
 * In place of `slotsRefreshInterval` of ioredis 6: where the client closes or connects anew while a refresh is under way, that sets its
 * timer again, for ever and once more each time.
 */
function refreshSlots(client: Cluster): void {
  const timer = setInterval(() => {
    if (client.status === "ready") client.refreshSlotsCache();
  }, slotsRefreshMs);
  timer.unref();
  client.once("end", () => clearInterval(timer));
}

function tlsOf({ host, caFile }: RedisTarget): { ca?: Buffer; servername?: string } {
  return {
    ...(caFile === undefined ? {} : { ca: readFileSync(caFile) }),
    ...(/^[\d.:]+$/.test(host) ? {} : { servername: host }),
  };
}

/**
 * `connect` of ioredis 6 never settles where the first node that it asks is away: the client connects anew then, and tells with an
 * event.
 */
async function connectCluster(client: Cluster, timeoutMs: number): Promise<void> {
  const ended = new AbortController();
  const { signal } = ended;
  const limitMs = timeoutMs * connectAttempts;
  const late = delay(limitMs, undefined, { signal }).then(() => {
    throw new Error(`the cluster was not ready within ${limitMs} ms (CLUSTER INFO tells its state)`);
  });
  const ready = new Promise<void>((resolve) => void client.once("ready", resolve));
  try {
    await Promise.race([client.connect(), ready, late]);
  } finally {
    late.catch(() => {});
    ended.abort();
  }
}

/** A node that is away is left to the calls that need it. */
async function connectNode(node: Redis, timeoutMs: number): Promise<void> {
  if (node.status === "ready") return;
  const ready = once(node, "ready", { signal: AbortSignal.timeout(timeoutMs) });
  // A cluster connects to a node when something is to be sent there, and rejects that, since nothing queues.
  if (node.status === "wait") node.connect().catch(() => {});
  await ready.catch(() => {});
}

/** The client library goes on with database 0 where the server has no such one. */
async function checkDatabase(client: Redis, db: number, where: string): Promise<void> {
  if (db === 0) return;
  try {
    await client.select(db);
  } catch (error) {
    if (!(error instanceof Error && /DB index/i.test(error.message))) throw error;
    const text = `${where} has no database ${db}: name one that it has in the URL (redis://HOST:PORT/DB), or raise \`databases\` in its configuration file`;
    throw new BridgeError("REDIS_URL_INVALID", text, { retryable: false, cause: error });
  }
}

async function checkServer(client: RedisClient, target: RedisTarget): Promise<void> {
  const node = `${target.host}:${target.port}`;
  const info = infoFields(await client.info("server", "replication"));
  const version = info.get("redis_version") ?? "unknown";
  const [major = 0] = version.split(".").map(Number);
  const old = `Redis at ${node} has version ${version}: Tidegate needs ${serverVersionMin} or newer`;
  // A cluster names its masters itself.
  const fault = major < 7 ? old : target.isCluster ? null : replicaFault(info, node);
  if (fault !== null) throw new BridgeError("REDIS_UNSUPPORTED", fault, { retryable: false });
}
