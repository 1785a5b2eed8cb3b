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

/** A connection to one server or to a cluster; both support the same commands. */
export type RedisClient = Redis | Cluster;

export interface RedisConnectionOptions {
  /** Name in `CLIENT LIST`. */
  readonly name: string;
  /** A call that takes longer rejects, and the client reconnects. */
  readonly timeoutMs: number;
  readonly logger: Logger;
  readonly random: () => number;
}

/**
 * 7.0 brought script flags (`#!lua flags=allow-oom`), CONFIG GET of several settings, and ACLs on CONFIG
 * GET.
 */
const serverVersionMin = "7.0";
const slotsRefreshMs = 1_000;
/** Time-outs that a cluster gets for connecting, because its nodes are asked in random order. */
const connectAttempts = 3;
const reconnectDelay = { baseMs: 50, maxMs: 2_000 } as const;

/**
 * Connects and waits until the server, or each available node of a cluster, accepts commands; at most some
 * time-outs long. Afterwards the client reconnects by itself for ever. Without a connection each call rejects
 * at once: calls are never queued, and never sent twice. Errors of the connection are logged, not thrown.
 * @throws BridgeError REDIS_UNAVAILABLE (retryable), REDIS_DENIED, or REDIS_UNSUPPORTED if the server is too
 * old or a replica.
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

/** Loads the library at the first connection, because most processes have none. */
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

/** Why there is no connection; null if unknown. Failed calls do not tell the reason. */
export function connectionTrouble(client: RedisClient): Error | null {
  return troubles.get(client) ?? null;
}

/** The servers that accept writes. */
export function mastersOf(client: RedisClient): readonly Redis[] {
  return isCluster(client) ? client.nodes("master") : [client];
}

/** Calls back whenever a connection to a server is lost (false), and whenever one is usable (true). */
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
    // Calls under way reject at once if the connection breaks; with `null` they would wait for their
    // time-out.
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt: number) => 1 + fullJitterDelayMs(attempt, reconnectDelay, random),
    // A former master may now be a replica. After a reconnect, its name may lead to the new master.
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
    // A retry would send a call again whose outcome is unknown.
    retryDelayOnFailover: 0,
    slotsRefreshTimeout: options.timeoutMs,
  };
}

/**
 * Replaces `slotsRefreshInterval` of ioredis 6. If the client closes or reconnects during a refresh, that
 * option starts another timer each time, and never stops it.
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
 * `connect` of ioredis 6 never settles if the first node that it asks is unavailable. The client then
 * reconnects and emits "ready".
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

/** Waits for one node. Does not reject if the node is unavailable; calls that need it do. */
async function connectNode(node: Redis, timeoutMs: number): Promise<void> {
  if (node.status === "ready") return;
  const ready = once(node, "ready", { signal: AbortSignal.timeout(timeoutMs) });
  // A cluster connects to a node only for its first command, and without a queue that command rejects.
  if (node.status === "wait") node.connect().catch(() => {});
  await ready.catch(() => {});
}

/** Needed because the client library uses database 0 if the server does not have the given one. */
async function checkDatabase(client: Redis, db: number, where: string): Promise<void> {
  if (db === 0) return;
  try {
    await client.select(db);
  } catch (error) {
    if (!(error instanceof Error && /DB index/i.test(error.message))) throw error;
    const text = `${where} has no database ${db}: name an existing one in the URL (redis://HOST:PORT/DB), or raise \`databases\` in the server's configuration file`;
    throw new BridgeError("REDIS_URL_INVALID", text, { retryable: false, cause: error });
  }
}

async function checkServer(client: RedisClient, target: RedisTarget): Promise<void> {
  const node = `${target.host}:${target.port}`;
  const info = infoFields(await client.info("server", "replication"));
  const version = info.get("redis_version") ?? "unknown";
  const [major = 0] = version.split(".").map(Number);
  const old = `Redis at ${node} has version ${version}: Tidegate needs ${serverVersionMin} or newer`;
  // A cluster client finds the masters by itself.
  const fault = major < 7 ? old : target.isCluster ? null : replicaFault(info, node);
  if (fault !== null) throw new BridgeError("REDIS_UNSUPPORTED", fault, { retryable: false });
}
