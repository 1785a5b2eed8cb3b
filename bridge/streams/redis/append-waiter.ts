import { setTimeout as sleep } from "node:timers/promises";
import type { RedisClient } from "../../redis/redis-connection.ts";
import { type EntryId, entryOfId, idOfEntry } from "./redis-position.ts";

const firstPollMs = 5;
const slowestPollMs = 50;
const pollGrowth = 1.3;
/** A server that can't be waited for is asked again after this. */
const failedMs = 200;
/** A partition that was not read for so many waits is somebody else's. */
const unreadWaitsMax = 16;

interface Watched {
  /** The newest entry that whoever waits has had the chance to see. */
  seen: EntryId;
  unreadWaits: number;
}

export interface WaiterOptions {
  readonly keys: readonly (readonly [log: string, state: string])[];
  /** Polled where `connect` is null. */
  readonly client: RedisClient;
  /** Makes a connection that may be blocked; null on Redis Cluster, where the logs stand on several servers. */
  readonly connect: (() => Promise<RedisClient>) | null;
  /** A blocked call ends sooner than the connection's time-out. */
  readonly blockMs: number;
}

/**
 * Waits for appends to the partitions that are being read: by a blocked XREAD on a connection of its own, which costs nothing while
 * nothing comes but ships one block when something does; on Redis Cluster by looking at the partitions' states.
 */
export class AppendWaiter {
  readonly #options: WaiterOptions;
  readonly #watched = new Map<number, Watched>();
  readonly #stop = new AbortController();
  #blocking: RedisClient | undefined;
  #turn: Promise<void> | undefined;

  constructor(options: WaiterOptions) {
    this.#options = options;
  }

  /** A read of this partition has answered up to and including this entry. */
  seen(partition: number, entry: EntryId): void {
    this.#watched.set(partition, { seen: entry, unreadWaits: 0 });
  }

  async wait(timeoutMs: number): Promise<void> {
    this.#forgetUnread();
    this.#turn ??= this.#wait(timeoutMs).finally(() => {
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

  #forgetUnread(): void {
    for (const [partition, watched] of this.#watched)
      if (watched.unreadWaits++ >= unreadWaitsMax) this.#watched.delete(partition);
  }

  async #wait(timeoutMs: number): Promise<void> {
    const endsAt = performance.now() + timeoutMs;
    let pauseMs = firstPollMs;
    while (!this.#stop.signal.aborted) {
      const leftMs = endsAt - performance.now();
      if (leftMs <= 0) return;
      if (this.#watched.size === 0) return await this.#pause(leftMs);
      try {
        if (this.#options.connect === null) {
          if (await this.#poll()) return;
          await this.#pause(Math.min(pauseMs, leftMs));
          pauseMs = Math.min(pauseMs * pollGrowth, slowestPollMs);
        } else if (await this.#block(Math.ceil(Math.min(leftMs, this.#options.blockMs)))) return;
      } catch {
        // Whoever waits reads next and learns why; here it must only not become a storm.
        return await this.#pause(Math.min(failedMs, leftMs));
      }
    }
  }

  async #block(blockMs: number): Promise<boolean> {
    const watched = [...this.#watched];
    const logs = watched.map(([partition]) => this.#options.keys[partition]?.[0] ?? "");
    const ids = watched.map(([, { seen }]) => idOfEntry(seen));
    const client = await this.#blockingClient();
    const args = ["COUNT", 1, "BLOCK", blockMs, "STREAMS", ...logs, ...ids];
    const reply = (await client.callBuffer("xread", args)) as [Buffer, [Buffer, unknown][]][] | null;
    for (const [log, entries] of reply ?? []) {
      const at = watched[logs.indexOf(log.toString())]?.[1];
      if (at && entries[0]) at.seen = entryOfId(entries[0][0]);
    }
    return reply !== null;
  }

  async #poll(): Promise<boolean> {
    const states = await Promise.all(
      [...this.#watched].map(async ([partition, watched]) => {
        const key = this.#options.keys[partition]?.[1] ?? "";
        const [number, ms] = await this.#options.client.hmget(key, "lastNumber", "lastMs");
        const isNew = Number(number ?? 0) !== watched.seen.number;
        if (isNew) watched.seen = { ms: Number(ms ?? 0), number: Number(number ?? 0) };
        return isNew;
      }),
    );
    return states.includes(true);
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
