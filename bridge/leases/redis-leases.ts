import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { BridgeError } from "../errors.ts";
import { connectRedis, type RedisClient } from "../redis/redis-connection.ts";
import { redisError } from "../redis/redis-error.ts";
import { runScript } from "../redis/redis-script.ts";
import type { RedisTarget } from "../redis/redis-url.ts";
import { leaseScript } from "./lease-script.ts";
import { type LeaseTable, parseLeaseTable } from "./lease-table.ts";
import { leasesKey, upkeepKey } from "./leases-key.ts";
import { LeasesMetrics } from "./leases-metrics.ts";
import type { HeldLease, LeasesStatus, PartitionLeases } from "./partition-leases.ts";
import type { UpkeepLease } from "./upkeep-lease.ts";

const renewalsPerLease = 5;
/** Renewals while others still have to hand over partitions. */
const renewalsPerLeaseWaiting = 20;
/** This process ends a lease by its own clock earlier than the server, by this share of the lease. */
const marginShare = 0.1;

/** What processes need to share something by leases on a Redis. */
export interface RedisLeaseOptions {
  readonly target: RedisTarget;
  /**
   * Unique among the processes that share it. A restarted process uses the same name, to inherit its leases
   * at once.
   */
  readonly processName: string;
  readonly leaseMs: number;
  /** Longest wait for the server's answer; at most a fourth of a lease is used. */
  readonly timeoutMs: number;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly random: () => number;
  /** Monotonic, ms. */
  readonly monotonicMs: () => number;
}

export interface RedisLeasesOptions extends RedisLeaseOptions {
  readonly streamId: string;
  /** The first partitions to read, until `offer`. */
  readonly partitions: readonly number[];
}

interface LeaseTableOptions extends RedisLeaseOptions {
  readonly key: string;
  /** For people. */
  readonly of: string;
  readonly partitions: readonly number[];
}

interface Held extends HeldLease {
  readonly untilMs: number;
}

type Operation = "join" | "renew" | "leave";

class RedisLeases implements PartitionLeases {
  readonly #options: LeaseTableOptions;
  readonly #client: RedisClient;
  readonly #metrics: LeasesMetrics;
  readonly #incarnation = randomUUID();
  readonly #stop = new AbortController();
  /** Tokens of leases that are given back, by partition, until the server confirms. */
  readonly #returned = new Map<number, number>();
  #offered: readonly number[];
  #held = new Map<number, Held>();
  #table: LeaseTable | undefined;
  #tableAtMs = 0;
  #failure: BridgeError | null = null;
  #listener: () => void = () => {};
  #turn: Promise<void> = Promise.resolve();
  #renewing: Promise<void> = Promise.resolve();

  constructor(client: RedisClient, options: LeaseTableOptions) {
    this.#client = client;
    this.#options = options;
    this.#offered = [...options.partitions];
    this.#metrics = new LeasesMetrics(options.registry);
  }

  /** The first call. Rejects if it fails. */
  async join(): Promise<void> {
    await this.#call("join");
    this.#renewing = this.#renew();
  }

  offer(partitions: readonly number[]): void {
    if (partitions.join() === this.#offered.join()) return;
    this.#offered = [...partitions];
    if (!this.#stop.signal.aborted) void this.#callOrNote("renew");
  }

  held(): ReadonlyMap<number, HeldLease> {
    const nowMs = this.#options.monotonicMs();
    const offered = new Set(this.#offered);
    return new Map(
      [...this.#held].filter(([partition, { untilMs }]) => offered.has(partition) && nowMs < untilMs),
    );
  }

  onChange(listener: () => void): void {
    this.#listener = listener;
  }

  async release(partitions: readonly number[]): Promise<void> {
    for (const partition of partitions) {
      const lease = this.#held.get(partition);
      if (!lease) continue;
      this.#returned.set(partition, lease.token);
      this.#held.delete(partition);
      this.#metrics.changed("released", 1);
    }
    if (this.#returned.size > 0) await this.#callOrNote("renew");
  }

  status(): LeasesStatus {
    const { processName, monotonicMs } = this.#options;
    const ageMs = monotonicMs() - this.#tableAtMs;
    const failure = this.#failure && { code: this.#failure.code, message: this.#failure.message };
    const partitions = this.#offered.map((partition) => {
      const row = this.#table?.rows.get(partition);
      if (!row) return { partition, owner: null, token: null, expiresInMs: null, isDue: false };
      const { owner, token, isDue } = row;
      return { partition, owner, token, expiresInMs: Math.max(0, row.expiresInMs - ageMs), isDue };
    });
    return { processName, processes: this.#table?.members ?? [], partitions, ageMs, failure };
  }

  async close({ isLeaving }: { isLeaving: boolean }): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    await this.#renewing;
    this.#held.clear();
    if (isLeaving) await this.#callOrNote("leave");
    this.#client.disconnect();
  }

  async #renew(): Promise<void> {
    const { leaseMs } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const perLease = this.#table?.waiting ? renewalsPerLeaseWaiting : renewalsPerLease;
      await delay(leaseMs / perLease, undefined, { signal }).catch(() => {});
      if (!signal.aborted) await this.#callOrNote("renew");
    }
  }

  async #callOrNote(operation: "renew" | "leave"): Promise<void> {
    const { logger, of } = this.#options;
    try {
      await this.#call(operation);
    } catch (error) {
      const failure = redisError(error, `renewing the leases of ${of}`);
      this.#metrics.renewed("failed");
      if (this.#failure?.code !== failure.code)
        logger.warn({ event: "leases.renew.failed", code: failure.code, err: error }, failure.message);
      this.#failure = failure;
    }
  }

  /** One call at a time, so that replies are handled in the server's order. */
  #call(operation: Operation): Promise<void> {
    const called = this.#turn.then(() => this.#ask(operation));
    this.#turn = called.catch(() => {});
    return called;
  }

  async #ask(operation: Operation): Promise<void> {
    const { key, processName, leaseMs, monotonicMs } = this.#options;
    const offered = this.#offered;
    const returned = [...this.#returned];
    const sentAtMs = monotonicMs();
    const reply = await runScript(
      this.#client,
      leaseScript,
      [key],
      [
        operation,
        processName,
        this.#incarnation,
        leaseMs,
        offered.join(),
        ...returned.map(([partition, token]) => `${partition}:${token}`),
      ],
    );
    const table = parseLeaseTable(reply, offered);
    for (const [partition, token] of returned)
      if (this.#returned.get(partition) === token) this.#returned.delete(partition);
    this.#take(table, sentAtMs);
  }

  #take(table: LeaseTable, sentAtMs: number): void {
    const before = this.#held;
    this.#table = table;
    this.#tableAtMs = sentAtMs;
    this.#held = this.#heldIn(table, sentAtMs);
    this.#noteState(table);
    const got = [...this.#held].filter(([partition, { token }]) => before.get(partition)?.token !== token);
    const lost = [...before].filter(([partition, { token }]) => this.#held.get(partition)?.token !== token);
    const due = [...this.#held].filter(
      ([partition, { isDue }]) => isDue !== (before.get(partition)?.isDue ?? false),
    );
    if (got.length + lost.length + due.length === 0) return;
    this.#metrics.changed("got", got.length);
    this.#metrics.changed("lost", lost.length);
    const { logger, of } = this.#options;
    const fields = { held: [...this.#held.keys()], got: got.map(([partition]) => partition) };
    const more = { lost: lost.map(([partition]) => partition), due: due.map(([partition]) => partition) };
    logger.info({ event: "leases.changed", ...fields, ...more }, `this process's leases of ${of} changed`);
    this.#listener();
  }

  #heldIn(table: LeaseTable, sentAtMs: number): Map<number, Held> {
    const held = new Map<number, Held>();
    const marginMs = this.#options.leaseMs * marginShare;
    for (const [partition, row] of table.rows) {
      if (row.incarnation !== this.#incarnation || this.#returned.get(partition) === row.token) continue;
      const { token, isDue, expiresInMs } = row;
      held.set(partition, { token, isDue, untilMs: sentAtMs + expiresInMs - marginMs });
    }
    return held;
  }

  #noteState({ state }: LeaseTable): void {
    const { processName, logger } = this.#options;
    if (state === "replaced") {
      this.#metrics.renewed("replaced");
      const text = `another process joined as ${processName}: give each consumer a name of its own, or stop this one`;
      if (this.#failure?.code !== "LEASES_REPLACED")
        logger.error({ event: "leases.replaced", processName }, text);
      this.#failure = new BridgeError("LEASES_REPLACED", text, { retryable: true });
      return;
    }
    this.#metrics.renewed("renewed");
    if (this.#failure) logger.info({ event: "leases.renew.recovered" }, "leases are renewed again");
    this.#failure = null;
  }
}

/**
 * Opens leases of a stream's partitions on Redis, divided evenly among the processes that renew theirs.
 * Later, if the server does not answer, renewing is retried: `held` becomes empty when the leases run out,
 * and `status().failure` tells why.
 * @throws BridgeError REDIS_UNAVAILABLE (retryable), REDIS_DENIED, REDIS_KEY_TYPE, REDIS_UNSUPPORTED,
 * REDIS_FULL.
 */
export function createRedisLeases(options: RedisLeasesOptions): Promise<PartitionLeases> {
  const key = leasesKey(options.target.prefix, options.streamId);
  return openLeaseTable({ ...options, key, of: "partitions" });
}

/**
 * Opens the lease of a lake's upkeep on Redis. It is a table of leases as those of partitions are, with the
 * single number 0. Later failures and errors as for `createRedisLeases`.
 */
export async function createRedisUpkeepLease(
  options: RedisLeaseOptions & { readonly lakeId: string },
): Promise<UpkeepLease> {
  const key = upkeepKey(options.target.prefix, options.lakeId);
  const table = await openLeaseTable({ ...options, key, of: "the upkeep", partitions: [0] });
  return {
    isHeld: () => table.held().has(0),
    status: () => {
      const { processName, partitions, failure } = table.status();
      return { processName, owner: partitions[0]?.owner ?? null, failure };
    },
    close: () => table.close({ isLeaving: true }),
  };
}

async function openLeaseTable(options: LeaseTableOptions): Promise<PartitionLeases> {
  const { target, logger, random, leaseMs, of } = options;
  const timeoutMs = Math.min(options.timeoutMs, leaseMs / 4);
  const client = await connectRedis(target, { name: "tidegate-leases", timeoutMs, logger, random });
  const leases = new RedisLeases(client, options);
  try {
    await leases.join();
  } catch (error) {
    client.disconnect();
    throw redisError(error, `the leases of ${of} at Redis ${target.host}:${target.port}`);
  }
  return leases;
}
