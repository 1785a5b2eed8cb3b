import { setTimeout as sleep } from "node:timers/promises";
import type { RedisClient } from "../../redis/redis-connection.ts";
import { type EntryId, idOfEntry, noEntry } from "./redis-position.ts";

const firstPollMs = 5;
const slowestPollMs = 50;
const pollGrowth = 1.3;
/** Pause after a failed call. */
const failedMs = 200;

export interface WaiterOptions {
  readonly keys: readonly (readonly [log: string, state: string])[];
  /** Used for polling if `connect` is null. */
  readonly client: RedisClient;
  /** Opens a connection for blocking calls; null on Redis Cluster, where the logs are on several servers. */
  readonly connect: (() => Promise<RedisClient>) | null;
  /** Longest blocking call, ms; shorter than the connection's time-out. */
  readonly blockMs: number;
}

/**
 * The newest entry of a partition that reads have seen. `newest`: a wait ended because of this partition,
 * and it was not read since.
 */
type Seen = EntryId | "newest";

/**
 * Waits for appends by a blocking XREAD on a connection of its own. An idle wait costs nothing, but its end
 * transfers one block. On Redis Cluster, polls the state of the partitions.
 */
export class AppendWaiter {
  readonly #options: WaiterOptions;
  readonly #seen = new Map<number, Seen>();
  readonly #stop = new AbortController();
  #blocking: RedisClient | undefined;
  #turn: Promise<void> | undefined;

  constructor(options: WaiterOptions) {
    this.#options = options;
  }

  /** A read of this partition returned entries up to and including this one. */
  seen(partition: number, entry: EntryId): void {
    this.#seen.set(partition, entry);
  }

  async wait(timeoutMs: number, partitions: readonly number[]): Promise<void> {
    this.#turn ??= this.#wait(timeoutMs, partitions).finally(() => {
      this.#turn = undefined;
    });
    const ended = new AbortController();
    const signal = AbortSignal.any([ended.signal, this.#stop.signal]);
    const timer = sleep(timeoutMs, undefined, { signal }).catch(() => {});
    await Promise.race([this.#turn, timer]);
    ended.abort();
  }

  close(): void {
    this.#stop.abort();
    this.#blocking?.disconnect();
  }

  async #wait(timeoutMs: number, partitions: readonly number[]): Promise<void> {
    const endsAt = performance.now() + timeoutMs;
    let pauseMs = firstPollMs;
    while (!this.#stop.signal.aborted) {
      const leftMs = endsAt - performance.now();
      if (leftMs <= 0) return;
      if (partitions.length === 0) return await this.#pause(leftMs);
      try {
        if (this.#options.connect === null) {
          if (await this.#poll(partitions)) return;
          await this.#pause(Math.min(pauseMs, leftMs));
          pauseMs = Math.min(pauseMs * pollGrowth, slowestPollMs);
        } else if (await this.#block(partitions, Math.ceil(Math.min(leftMs, this.#options.blockMs)))) return;
      } catch {
        // The next read reports the reason. The pause here only prevents a storm of calls.
        return await this.#pause(Math.min(failedMs, leftMs));
      }
    }
  }

  async #block(partitions: readonly number[], blockMs: number): Promise<boolean> {
    const logs = partitions.map((partition) => this.#options.keys[partition]?.[0] ?? "");
    const ids = partitions.map((partition) => {
      const seen = this.#seen.get(partition) ?? noEntry;
      return seen === "newest" ? "$" : idOfEntry(seen);
    });
    const client = await this.#blockingClient();
    const args = ["COUNT", 1, "BLOCK", blockMs, "STREAMS", ...logs, ...ids];
    const reply = (await client.callBuffer("xread", args)) as [Buffer, unknown][] | null;
    for (const [log] of reply ?? []) {
      const partition = partitions[logs.indexOf(log.toString())];
      if (partition !== undefined) this.#seen.set(partition, "newest");
    }
    return reply !== null;
  }

  async #poll(partitions: readonly number[]): Promise<boolean> {
    const news = await Promise.all(
      partitions.map(async (partition) => {
        const key = this.#options.keys[partition]?.[1] ?? "";
        const [number, ms] = await this.#options.client.hmget(key, "lastNumber", "lastMs");
        const last = { ms: Number(ms ?? 0), number: Number(number ?? 0) };
        const seen = this.#seen.get(partition) ?? noEntry;
        this.#seen.set(partition, last);
        return seen !== "newest" && seen.number !== last.number;
      }),
    );
    return news.includes(true);
  }

  async #blockingClient(): Promise<RedisClient> {
    if (this.#blocking) return this.#blocking;
    const client = await this.#options.connect?.();
    if (!client) throw new TypeError("there is no connection to block");
    if (this.#stop.signal.aborted) client.disconnect();
    this.#blocking = client;
    return client;
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stop.signal }).catch(() => {});
  }
}
