import { pino } from "pino";
import { Registry } from "prom-client";
import { leaseScript } from "../../bridge/leases/lease-script.ts";
import { type LeaseTable, parseLeaseTable } from "../../bridge/leases/lease-table.ts";
import type { PartitionLeases } from "../../bridge/leases/partition-leases.ts";
import {
  createRedisLeases,
  createRedisUpkeepLease,
  type RedisLeaseOptions,
  type RedisLeasesOptions,
} from "../../bridge/leases/redis-leases.ts";
import type { UpkeepLease } from "../../bridge/leases/upkeep-lease.ts";
import type { RedisClient } from "../../bridge/redis/redis-connection.ts";
import { runScript } from "../../bridge/redis/redis-script.ts";
import { parseRedisUrl } from "../../bridge/redis/redis-url.ts";

/** A call to the server has a quarter of this time, and the machine may be busy. */
export const testLeaseMs = 2_400;

/** Leases of a process of this test. */
export function openTestLeases(
  server: { readonly url: string },
  changes: Partial<RedisLeasesOptions> = {},
): Promise<PartitionLeases> {
  return createRedisLeases({
    ...leaseOptions(server),
    streamId: "stream",
    partitions: [0, 1, 2, 3],
    ...changes,
  });
}

/** The lease of the upkeep of a lake, in a process of this test. */
export function openTestUpkeepLease(
  server: { readonly url: string },
  changes: Partial<RedisLeaseOptions> = {},
): Promise<UpkeepLease> {
  return createRedisUpkeepLease({ ...leaseOptions(server), lakeId: "lake", ...changes });
}

function leaseOptions(server: { readonly url: string }): RedisLeaseOptions {
  return {
    target: parseRedisUrl(server.url),
    processName: "me",
    leaseMs: testLeaseMs,
    timeoutMs: 1000,
    logger: pino({ level: "silent" }),
    registry: new Registry(),
    random: Math.random,
    monotonicMs: () => performance.now(),
  };
}

/** A process that calls the server only when the test demands it; otherwise it is dead or paused. */
export class PuppetProcess {
  readonly name: string;
  table: LeaseTable | undefined;
  readonly #client: RedisClient;
  readonly #incarnation: string;
  readonly #options: {
    readonly streamId: string;
    readonly partitions: readonly number[];
    readonly leaseMs: number;
  };

  constructor(
    client: RedisClient,
    name: string,
    options: {
      streamId?: string;
      partitions?: readonly number[];
      leaseMs?: number;
      incarnation?: string;
    } = {},
  ) {
    const { incarnation = `${name}-${Math.random()}`, ...table } = options;
    this.name = name;
    this.#client = client;
    this.#incarnation = incarnation;
    this.#options = { streamId: "stream", partitions: [0, 1, 2, 3], leaseMs: testLeaseMs, ...table };
  }

  /** @param released `partition:token` of leases given back. */
  async ask(operation: "join" | "renew" | "leave", released: readonly string[] = []): Promise<LeaseTable> {
    const { streamId, partitions, leaseMs } = this.#options;
    const args = [operation, this.name, this.#incarnation, leaseMs, partitions.join(), ...released];
    const key = `tidegate:{${streamId}}:leases`;
    this.table = parseLeaseTable(await runScript(this.#client, leaseScript, [key], args), partitions);
    return this.table;
  }

  /** Partitions that the last reply gave the process. */
  get owned(): number[] {
    return this.#rows().map(({ partition }) => partition);
  }

  get due(): string[] {
    return this.#rows()
      .filter(({ isDue }) => isDue)
      .map(({ partition, token }) => `${partition}:${token}`);
  }

  #rows() {
    return [...(this.table?.rows ?? [])].flatMap(([partition, row]) =>
      row.incarnation === this.#incarnation ? [{ partition, ...row }] : [],
    );
  }
}
