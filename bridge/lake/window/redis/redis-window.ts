import { randomUUID } from "node:crypto";
import type { Logger } from "pino";
import { BridgeError } from "../../../errors.ts";
import { connectRedis, type RedisClient } from "../../../redis/redis-connection.ts";
import { redisError } from "../../../redis/redis-error.ts";
import { runScript, type ScriptArgument } from "../../../redis/redis-script.ts";
import type { RedisTarget } from "../../../redis/redis-url.ts";
import type { Position } from "../../../streams/stream-log.ts";
import {
  type DedupWindow,
  dedupKeyBytes,
  type ExactIds,
  type WindowEntries,
  type WindowHits,
  type WindowStatus,
} from "../dedup-window.ts";
import { stepBuckets, windowLayout } from "./bucket-scripts.ts";
import { EvictionWatch } from "./eviction-watch.ts";
import { takeHits } from "./record-columns.ts";
import { addedParts, exactPart, inTurn, lookedUpParts, type Part, recordsPart } from "./script-parts.ts";
import { type WindowScriptName, windowScripts } from "./window-scripts.ts";

/** Steps of forgetting after an apply; later applies do the rest. */
const forgetStepsMax = 1024;
const sampledBuckets = 256;

export interface RedisWindowOptions {
  readonly target: RedisTarget;
  readonly lakeId: string;
  readonly streamId: string;
  /** The current partitions; `status` counts them. */
  readonly partitions: () => readonly number[];
  /** Timeout of each call to the server. */
  readonly timeoutMs: number;
  /**
   * The stream is on the same server. Then an apply may exceed `maxmemory`, because it is followed by a trim,
   * which frees more.
   */
  readonly isSharedWithStream?: boolean;
  readonly logger: Logger;
  readonly monotonicMs?: () => number;
  readonly random?: () => number;
}

/** A window on a Redis server or cluster. It outlives its users, and they share it. One key per partition. */
class RedisWindow implements DedupWindow {
  readonly #client: RedisClient;
  readonly #scripts: ReturnType<typeof windowScripts>;
  readonly #key: (partition: number) => string;
  readonly #partitions: () => readonly number[];
  readonly #where: string;
  readonly #logger: Logger;
  readonly #evictionWatch: EvictionWatch;
  /** By partition, the stream time for which expired ids were searched on a full server. */
  readonly #searchedAtSeconds = new Map<number, number>();

  constructor(client: RedisClient, options: RedisWindowOptions, evictionWatch: EvictionWatch) {
    const { target, lakeId, streamId, partitions } = options;
    this.#client = client;
    this.#where = `window in Redis at ${target.host}:${target.port}`;
    this.#scripts = windowScripts({ mayExceedMemory: options.isSharedWithStream ?? false });
    this.#key = (partition) => windowKey(target.prefix, { lakeId, streamId, partition });
    this.#partitions = partitions;
    this.#logger = options.logger;
    this.#evictionWatch = evictionWatch;
  }

  async applied(partition: number, committed: Position): Promise<Position | null> {
    try {
      const [layout, applied, progress] = await this.#client.hmget(this.#key(partition), "v", "a", "c");
      if (layout !== windowLayout || applied == null) return null;
      return progress && applied === committed ? null : applied;
    } catch (error) {
      throw redisError(error, this.#where);
    }
  }

  async lookup(
    partition: number,
    applied: Position,
    keys: Uint8Array,
    exact?: ExactIds,
  ): Promise<WindowHits | null> {
    const length = keys.length / dedupKeyBytes;
    const answer = {
      contentHashes: new Uint32Array(length),
      expiresAtSeconds: new Uint32Array(length),
      known: new Uint8Array(exact?.length ?? 0),
    };
    const bytes = Buffer.from(keys.buffer, keys.byteOffset, keys.byteLength);
    const parts = lookedUpParts({ length, exact });
    const isAnswered = await inTurn(parts, async (part) => {
      const { start } = part;
      const asked = bytes.subarray(start * dedupKeyBytes, part.end * dedupKeyBytes);
      const hits = await this.#run("lookup", partition, [applied, asked, exactPart(exact, part, false)]);
      if (!Array.isArray(hits)) return false;
      const [found, known] = hits as [Buffer, Buffer];
      takeHits(found, start, answer);
      answer.known.set(known, Math.min(start, answer.known.length));
      return true;
    });
    return isAnswered ? answer : null;
  }

  async apply(
    partition: number,
    step: { from: Position; to: Position; streamTimeMs: number },
    entries: WindowEntries,
  ): Promise<boolean> {
    await this.#evictionWatch.look();
    const seconds = Math.floor(step.streamTimeMs / 1000);
    const token = randomUUID();
    const add = async (part: Part) => {
      const { index, isLast } = part;
      const records = [recordsPart(entries, part), exactPart(entries.exact, part, true)];
      const args = [step.from, step.to, seconds, token, index, isLast ? 1 : 0, ...records];
      return (await this.#run("apply", partition, args)) === 1;
    };
    try {
      if (!(await inTurn(addedParts(entries), add))) return false;
    } catch (error) {
      if (isFull(error)) await this.#searchForExpired(partition, step.from, seconds);
      throw error;
    }
    await this.#forgetDue(partition, step.to, seconds);
    return true;
  }

  async beginSeed(partition: number, token: string): Promise<void> {
    await this.#run("beginSeed", partition, [token]);
  }

  async seed(partition: number, token: string, chunk: number, entries: WindowEntries): Promise<boolean> {
    return inTurn(addedParts(entries), async (part) => {
      const { index, isLast } = part;
      const reached = `${chunk}:${index}`;
      const next = isLast ? `${chunk + 1}:0` : `${chunk}:${index + 1}`;
      const records = [recordsPart(entries, part), exactPart(entries.exact, part, true)];
      const args = [token, reached, next, ...records];
      return (await this.#run("seed", partition, args)) === 1;
    });
  }

  async endSeed(
    partition: number,
    token: string,
    end: { chunks: number; applied: Position; streamTimeMs: number },
  ): Promise<boolean> {
    const seconds = Math.floor(end.streamTimeMs / 1000);
    const args = [token, `${end.chunks}:0`, end.applied, seconds];
    return (await this.#run("endSeed", partition, args)) === 1;
  }

  async forget(partition: number): Promise<void> {
    try {
      await this.#client.unlink(this.#key(partition));
    } catch (error) {
      throw redisError(error, this.#where);
    }
  }

  async status(): Promise<WindowStatus> {
    try {
      const keys = this.#partitions().map(this.#key);
      const partitions = await Promise.all(keys.map((key) => this.#partitionStatus(key)));
      const spans = partitions.filter(({ ids }) => ids > 0).map(({ spanMs }) => spanMs);
      return {
        ids: partitions.reduce((sum, { ids }) => sum + ids, 0),
        epochs: partitions.reduce((sum, { epochs }) => sum + epochs, 0),
        bytes: partitions.reduce((sum, { bytes }) => sum + bytes, 0),
        isShort: false,
        devicesOverShare: [],
        spanMs: spans.length === 0 ? 0 : Math.min(...spans),
      };
    } catch (error) {
      throw redisError(error, this.#where);
    }
  }

  async close(): Promise<void> {
    this.#client.disconnect();
  }

  async #partitionStatus(
    key: string,
  ): Promise<{ ids: number; epochs: number; bytes: number; spanMs: number }> {
    const [state, bytes] = await Promise.all([
      this.#client.hmget(key, "i", "s", "x", "n"),
      this.#client.memory("USAGE", key, "SAMPLES", sampledBuckets),
    ]);
    const [ids = 0, seconds = 0, latestExpiry = 0, epochs = 0] = state.map(Number);
    return { ids, epochs, bytes: bytes ?? 0, spanMs: Math.max(0, latestExpiry - seconds) * 1000 };
  }

  /** The apply has succeeded, so failures here are only logged; the next apply makes up for them. */
  async #forgetDue(partition: number, applied: Position, seconds: number): Promise<void> {
    try {
      for (let steps = 0; steps < forgetStepsMax; steps++)
        if ((await this.#forgetStep(partition, applied, seconds, { isDue: false })).done === 0) return;
    } catch (error) {
      this.#logger.warn({ event: "window.forget.failed", partition, err: error }, this.#where);
    }
  }

  /**
   * On a full server, frees all ids that have expired by the stream time of the commit that could not be
   * applied.
   */
  async #searchForExpired(partition: number, applied: Position, seconds: number): Promise<void> {
    if (this.#searchedAtSeconds.get(partition) === seconds) return;
    for (let looked = 0; ; ) {
      const { done, buckets } = await this.#forgetStep(partition, applied, seconds, { isDue: true });
      looked += Math.max(done, stepBuckets);
      if (looked >= buckets) break;
    }
    this.#searchedAtSeconds.set(partition, seconds);
  }

  async #forgetStep(
    partition: number,
    applied: Position,
    seconds: number,
    { isDue }: { isDue: boolean },
  ): Promise<{ done: number; buckets: number }> {
    const answer = await this.#run("forget", partition, [applied, seconds, isDue ? 1 : 0]);
    const [done, buckets] = answer as [number, number];
    return { done, buckets };
  }

  async #run(name: WindowScriptName, partition: number, args: readonly ScriptArgument[]): Promise<unknown> {
    try {
      return await runScript(this.#client, this.#scripts[name], [this.#key(partition)], args);
    } catch (error) {
      throw redisError(error, this.#where);
    }
  }
}

/**
 * Connects and checks the server. Rejects with the errors of `connectRedis`, and with REDIS_UNSUPPORTED if
 * the server may evict the window.
 */
export async function openRedisWindow(options: RedisWindowOptions): Promise<DedupWindow> {
  const { target, timeoutMs, logger, random = Math.random } = options;
  const client = await connectRedis(target, { name: "tidegate-window", timeoutMs, logger, random });
  try {
    const { monotonicMs = () => performance.now() } = options;
    const evictionWatch = new EvictionWatch({ client, logger, monotonicMs });
    await evictionWatch.check();
    if (options.isSharedWithStream)
      logger.warn(
        { event: "window.redis.shared" },
        "the window shares a Redis with the stream: a full stream leaves the window only the room that trimming frees. Give the window a server of its own, or raise maxmemory by 31 bytes per id of the dedupe windows",
      );
    return new RedisWindow(client, options, evictionWatch);
  } catch (error) {
    client.disconnect();
    throw redisError(error, `window in Redis at ${target.host}:${target.port}`);
  }
}

/**
 * The braces put all data of a partition into one slot of a cluster, and spread partitions over the slots.
 */
function windowKey(prefix: string, of: { lakeId: string; streamId: string; partition: number }): string {
  return `${prefix}:{w:${of.lakeId}/${of.streamId}/${of.partition}}:ids`;
}

function isFull(error: unknown): boolean {
  return error instanceof BridgeError && error.code === "REDIS_FULL";
}
