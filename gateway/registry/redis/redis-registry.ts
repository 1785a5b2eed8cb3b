import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import { type RedisClient, type RedisScript, redisError, runScript } from "../../../bridge/redis/index.ts";
import { CodedError } from "../../../devices/protocol/coded-error.ts";
import { GatewayError } from "../../errors.ts";
import type { DeviceRecord } from "../device-record.ts";
import {
  type RegistryListener,
  type RegistryStatus,
  type RegistryStore,
  topicKey,
} from "../registry-store.ts";
import type { TopicRecord } from "../topic-definition.ts";
import { ChangeLog } from "./change-log.ts";
import * as scripts from "./registry-scripts.ts";

/** The format that this version writes and reads. */
const format = "1";
/** A fifth of the second within which a change must apply everywhere. */
const defaultPollMs = 200;

export interface RedisRegistryOptions {
  /** Disconnected by `close`. */
  readonly client: RedisClient;
  /** Prefix of all keys. */
  readonly prefix: string;
  readonly logger: Logger;
  /** ms since the epoch. */
  readonly now: () => number;
  readonly pollMs?: number;
}

type Answer = readonly [status: string, ...values: unknown[]];

/**
 * The registry of all gateways that share a Redis. Topics are kept in memory, and read again after a change
 * in the log of changes, which is polled. While Redis is unreachable, messages are judged by the known
 * topics, without a time limit: no message can be acknowledged then, and removals wait in the log. Identities
 * cannot be looked up meanwhile.
 */
export class RedisRegistry implements RegistryStore {
  readonly #options: RedisRegistryOptions;
  readonly #keys: string[];
  readonly #listeners: RegistryListener[] = [];
  readonly #changes: ChangeLog;
  #topics: readonly TopicRecord[] = [];
  #reserved: readonly TopicRecord[] = [];
  #trouble: RegistryStatus["trouble"] = null;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> = Promise.resolve();
  #isClosed = false;

  private constructor(options: RedisRegistryOptions) {
    this.#options = options;
    this.#keys = scripts.registryKeys(options.prefix);
    this.#changes = new ChangeLog((after, most) => this.#run(scripts.changesScript, [after, most]));
  }

  /**
   * Creates the registry if it is missing, for gateways of this lake only; `isNew` if it was created. Throws
   * REGISTRY_LAKE, REGISTRY_VERSION, REDIS_….
   */
  static async openForWriting(
    options: RedisRegistryOptions,
    lake: { readonly lakeId: string; readonly url: string },
  ): Promise<{ registry: RedisRegistry; isNew: boolean }> {
    const registry = new RedisRegistry(options);
    return await registry.#orClose(async () => {
      const epoch = randomBytes(8).toString("hex");
      const [status, value] = await registry.#run(scripts.openScript, [format, epoch, lake.lakeId, lake.url]);
      if (status === "lake") throw foreignLake(String(value), lake.url, options.prefix);
      if (status === "format") throw foreignFormat(String(value));
      await registry.#begin();
      return { registry, isNew: value === 1 };
    });
  }

  /** Throws REGISTRY_LOST if there is no registry, REDIS_…. */
  static async openForReading(options: RedisRegistryOptions): Promise<RedisRegistry> {
    const registry = new RedisRegistry(options);
    await registry.#orClose(() => registry.#begin());
    return registry;
  }

  refresh(): Promise<void> {
    return this.#inTurn(() => this.#readChanges(true));
  }

  allTopics(): readonly TopicRecord[] {
    return this.#topics;
  }

  reservedTopics(): readonly TopicRecord[] {
    return this.#reserved;
  }

  /**
   * The number of versions is enough: versions are never removed, and decisions are made while none is
   * reserved.
   */
  get topicsVersion(): number {
    return this.#topics.length + this.#reserved.length;
  }

  async reserveTopics(records: readonly TopicRecord[], topicsVersion: number): Promise<boolean> {
    const pairs = records.flatMap((record) => [topicKey(record), JSON.stringify(record)]);
    const [, reserved] = await this.#run(scripts.reserveScript, [topicsVersion, ...pairs]);
    return reserved === 1;
  }

  async publishTopics(records: readonly TopicRecord[]): Promise<void> {
    await this.#run(scripts.publishScript, records.map(topicKey));
    await this.refresh();
  }

  async releaseTopics(records: readonly TopicRecord[]): Promise<void> {
    await this.#run(scripts.releaseScript, records.map(topicKey));
    await this.refresh();
  }

  async device(name: string): Promise<DeviceRecord | undefined> {
    const [, json] = await this.#run(scripts.deviceScript, [name]);
    return typeof json === "string" ? (JSON.parse(json) as DeviceRecord) : undefined;
  }

  async devices(limit: number, after = ""): Promise<DeviceRecord[]> {
    const first = after === "" ? "-" : `(${after}`;
    const [, records] = await this.#run(scripts.devicesScript, [first, limit]);
    return (records as string[]).map((json) => JSON.parse(json) as DeviceRecord);
  }

  async addDevice(record: DeviceRecord): Promise<boolean> {
    const [, added] = await this.#run(scripts.addDeviceScript, [record.name, JSON.stringify(record)]);
    return added === 1;
  }

  async removeDevice(name: string): Promise<boolean> {
    const [, removed] = await this.#run(scripts.removeDeviceScript, [name]);
    return removed === 1;
  }

  async fact(name: string): Promise<unknown> {
    const [, json] = await this.#run(scripts.factScript, [name]);
    return typeof json === "string" ? JSON.parse(json) : undefined;
  }

  async setFact(name: string, value: unknown): Promise<void> {
    await this.#run(scripts.setFactScript, [name, JSON.stringify(value)]);
  }

  listen(listener: RegistryListener): void {
    this.#listeners.push(listener);
  }

  status(): RegistryStatus {
    return { kind: "redis", trouble: this.#trouble };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer) clearTimeout(this.#timer);
    await this.#running.catch(() => {});
    this.#options.client.disconnect();
  }

  async #orClose<Result>(open: () => Promise<Result>): Promise<Result> {
    try {
      return await open();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async #begin(): Promise<void> {
    await this.refresh();
    this.#pollLater();
  }

  #pollLater(): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#inTurn(() => this.#readChanges(false))
        .catch(() => {})
        .finally(() => this.#pollLater());
    }, this.#options.pollMs ?? defaultPollMs).unref();
  }

  async #readChanges(isAskedFor: boolean): Promise<void> {
    try {
      const news = await this.#changes.read();
      if (news.hasTopics || isAskedFor) await this.#readTopics();
      if (news.hasTopics) this.#tell((listener) => listener.topicsChanged?.());
      for (const name of news.revoked) this.#tell((listener) => listener.deviceRevoked?.(name));
      if (news.isInDoubt) this.#tell((listener) => listener.identitiesInDoubt?.());
      this.#changes.taken();
      this.#answers();
    } catch (error) {
      this.#fails(error);
      throw error;
    }
  }

  async #readTopics(): Promise<void> {
    const [, visible, reserved] = await this.#run(scripts.topicsScript, []);
    this.#topics = recordsOf(visible);
    this.#reserved = recordsOf(reserved);
  }

  #tell(tell: (listener: RegistryListener) => void): void {
    for (const listener of this.#listeners) tell(listener);
  }

  async #run(script: RedisScript, values: readonly (string | number)[]): Promise<Answer> {
    const answer = await runScript(this.#options.client, script, this.#keys, values).catch(
      (error: unknown) => {
        throw redisError(error, "The registry on Redis");
      },
    );
    const [status, ...rest] = textsOf(answer) as Answer;
    if (status === "lost") throw lost();
    return [status, ...rest];
  }

  #answers(): void {
    if (this.#trouble) this.#options.logger.info({ event: "registry.back" }, "the registry answers again");
    this.#trouble = null;
  }

  #fails(error: unknown): void {
    if (this.#isClosed) return;
    const { logger, now } = this.#options;
    const code = error instanceof CodedError ? error.code : "INTERNAL_ERROR";
    const message = error instanceof Error ? error.message : String(error);
    if (this.#trouble?.code !== code)
      logger.warn({ event: "registry.unavailable", code }, `continuing with the known topics: ${message}`);
    this.#trouble = { code, message, sinceMs: this.#trouble?.sinceMs ?? now() };
  }

  #inTurn(step: () => Promise<void>): Promise<void> {
    this.#running = this.#running.then(step, step);
    return this.#running;
  }
}

/** A reply with its strings as text. */
function textsOf(reply: unknown): unknown {
  if (Array.isArray(reply)) return reply.map(textsOf);
  return Buffer.isBuffer(reply) ? reply.toString() : reply;
}

function recordsOf(jsons: unknown): TopicRecord[] {
  return (jsons as string[])
    .map((json) => JSON.parse(json) as TopicRecord)
    .sort((left, right) => left.topicId.localeCompare(right.topicId) || left.version - right.version);
}

function lost(): GatewayError {
  return new GatewayError(
    "REGISTRY_LOST",
    "This Redis holds no registry: it was emptied or replaced. Restart the gateways: topics come back from the lake, but identities must be added again.",
    { retryable: true },
  );
}

function foreignFormat(found: string): GatewayError {
  return new GatewayError(
    "REGISTRY_VERSION",
    `The registry on this Redis has format ${found}; this Tidegate knows ${format}. Use the version that wrote it, or a newer one.`,
    { retryable: false },
  );
}

function foreignLake(theirs: string, ours: string, prefix: string): GatewayError {
  return new GatewayError(
    "REGISTRY_LAKE",
    `The gateways on this Redis with the prefix ${prefix} share the lake ${theirs}, but this gateway has ${ours}: name the shared lake with --lake, or use a prefix of your own (?prefix=NAME in the stream's URL).`,
    { retryable: false },
  );
}
