import { setTimeout as sleep } from "node:timers/promises";
import type { RedisClient } from "../../redis/redis-connection.ts";
import { type EntryId, idOfEntry, noEntry } from "./redis-position.ts";

const firstPollMs = 5;
const slowestPollMs = 50;
const pollGrowth = 1.3;
/** A server that can't be waited for is asked again after this. */
const failedMs = 200;

export interface WaiterOptions {
  readonly keys: readonly (readonly [log: string, state: string])[];
  /** Polled where `connect` is null. */
  readonly client: RedisClient;
  /** Makes a connection that may be blocked; null on Redis Cluster, where the logs stand on several servers. */
  readonly connect: (() => Promise<RedisClient>) | null;
  /** A blocked call ends sooner than the connection's time-out. */
  readonly blockMs: number;
}

/** The newest entry that whoever waits has had the chance to see; `newest`: it woke for this partition and has not read it since. */
type Seen = EntryId | "newest";

/**
 * Waits for appends: by a blocked XREAD on a connection of its own, which costs nothing while
 * nothing comes but ships one block when something does; on Redis Cluster by looking at the partitions' states.
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

  /** A read of this partition has answered up to and including this entry. */
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
        // Whoever waits reads next and learns why; here it must only not become a storm.
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
