import { pino } from "pino";
import { Registry } from "prom-client";
import type { PartitionLeases } from "../../bridge/consumer/partition-leases.ts";
import { leaseScript } from "../../bridge/leases/lease-script.ts";
import { type LeaseTable, parseLeaseTable } from "../../bridge/leases/lease-table.ts";
import { createRedisLeases, type RedisLeasesOptions } from "../../bridge/leases/redis-leases.ts";
import type { RedisClient } from "../../bridge/redis/redis-connection.ts";
import { runScript } from "../../bridge/redis/redis-script.ts";
import { parseRedisUrl } from "../../bridge/redis/redis-url.ts";

/** A call to the server has a quarter of it, and the machine may be busy. */
export const testLeaseMs = 2_400;

/** Leases of a process of this test. */
export function openTestLeases(
  server: { readonly url: string },
  changes: Partial<RedisLeasesOptions> = {},
): Promise<PartitionLeases> {
  return createRedisLeases({
    target: parseRedisUrl(server.url),
    streamId: "stream",
    partitions: [0, 1, 2, 3],
    processName: "me",
    leaseMs: testLeaseMs,
    timeoutMs: 1000,
    logger: pino({ level: "silent" }),
    registry: new Registry(),
    random: Math.random,
    monotonicMs: () => performance.now(),
    ...changes,
  });
}

/** A process that asks the server for its leases only when the test says so: dead or paused in between. */
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

  /** Partitions that the last answer gave it. */
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
