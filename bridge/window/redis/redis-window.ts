import { randomUUID } from "node:crypto";
import type { Logger } from "pino";
import { BridgeError } from "../../errors.ts";
import { connectRedis, type RedisClient } from "../../redis/redis-connection.ts";
import { redisError } from "../../redis/redis-error.ts";
import { runScript, type ScriptArgument } from "../../redis/redis-script.ts";
import type { RedisTarget } from "../../redis/redis-url.ts";
import type { Position } from "../../streams/stream-log.ts";
import {
  DEDUP_KEY_BYTES,
  type DedupWindow,
  type ExactIds,
  type WindowEntries,
  type WindowHits,
  type WindowStatus,
} from "../dedup-window.ts";
import { EvictionWatch } from "./eviction-watch.ts";
import { epochRecordsOf, recordsOf, takeHits } from "./record-columns.ts";
import { LAYOUT, STEP_BUCKETS, type WindowScriptName, windowScripts } from "./window-scripts.ts";

/** Ids that one script adds or looks up: the server does nothing else for 1 to 2 ms meanwhile. */
const ADDED_IDS_MAX = 512;
const LOOKED_UP_IDS_MAX = 1024;
const nothing = Buffer.alloc(0);
const IN_FLIGHT_SCRIPTS_MAX = 8;
/** Steps of forgetting that follow one apply; what is left is done after the next ones. */
const FORGET_STEPS_MAX = 1024;
const SAMPLED_BUCKETS = 256;

export interface RedisWindowOptions {
  readonly target: RedisTarget;
  readonly lakeId: string;
  readonly streamId: string;
  /** Those that there are now; `status` counts them. */
  readonly partitions: () => readonly number[];
  /** For each call to the server. */
  readonly timeoutMs: number;
  /** The stream is on the same server: applying may then exceed `maxmemory`, since trimming, which frees more, waits for it. */
  readonly isSharedWithStream?: boolean;
  readonly logger: Logger;
  readonly monotonicMs?: () => number;
  readonly random?: () => number;
}

/** A window on a Redis server or cluster, which outlives its users and is shared by them. One key per partition. */
class RedisWindow implements DedupWindow {
  readonly #client: RedisClient;
  readonly #scripts: ReturnType<typeof windowScripts>;
  readonly #key: (partition: number) => string;
  readonly #partitions: () => readonly number[];
  readonly #where: string;
  readonly #logger: Logger;
  readonly #evictionWatch: EvictionWatch;
  /** Stream time, by partition, for which a full server was searched for expired ids. */
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
      if (layout !== LAYOUT || applied == null) return null;
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
    const length = keys.length / DEDUP_KEY_BYTES;
    const answer = {
      contentHashes: new Uint32Array(length),
      expiresAtSeconds: new Uint32Array(length),
      known: new Uint8Array(exact?.length ?? 0),
    };
    const bytes = Buffer.from(keys.buffer, keys.byteOffset, keys.byteLength);
    const parts = partsOf(Math.max(length, exact?.length ?? 0), LOOKED_UP_IDS_MAX);
    const isAnswered = await inTurn(parts, async (part) => {
      const { start } = part;
      const asked = bytes.subarray(start * DEDUP_KEY_BYTES, part.end * DEDUP_KEY_BYTES);
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
      this.#client.memory("USAGE", key, "SAMPLES", SAMPLED_BUCKETS),
    ]);
    const [ids = 0, seconds = 0, latestExpiry = 0, epochs = 0] = state.map(Number);
    return { ids, epochs, bytes: bytes ?? 0, spanMs: Math.max(0, latestExpiry - seconds) * 1000 };
  }

  /** The apply has happened: what goes wrong here is made up for after the next one. */
  async #forgetDue(partition: number, applied: Position, seconds: number): Promise<void> {
    try {
      for (let steps = 0; steps < FORGET_STEPS_MAX; steps++)
        if ((await this.#forgetStep(partition, applied, seconds, { isDue: false })).done === 0) return;
    } catch (error) {
      this.#logger.warn({ event: "window.forget.failed", partition, err: error }, this.#where);
    }
  }

  /** A full server: frees whatever has expired by the stream time of the commit that could not be applied. */
  async #searchForExpired(partition: number, applied: Position, seconds: number): Promise<void> {
    if (this.#searchedAtSeconds.get(partition) === seconds) return;
    for (let looked = 0; ; ) {
      const { done, buckets } = await this.#forgetStep(partition, applied, seconds, { isDue: true });
      looked += Math.max(done, STEP_BUCKETS);
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

/** Connects and checks the server. Throws what `connectRedis` throws, and REDIS_UNSUPPORTED where the server may evict the window. */
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
        "the window shares a Redis with the stream: a full stream leaves it no room but what trimming frees. Give it a server of its own, or maxmemory room for 31 bytes per id of the dedupe windows",
      );
    return new RedisWindow(client, options, evictionWatch);
  } catch (error) {
    client.disconnect();
    throw redisError(error, `window in Redis at ${target.host}:${target.port}`);
  }
}

/** The braces make all that is ours of one partition share a slot of a cluster, and partitions spread over the slots. */
function windowKey(prefix: string, of: { lakeId: string; streamId: string; partition: number }): string {
  return `${prefix}:{w:${of.lakeId}/${of.streamId}/${of.partition}}:ids`;
}

interface Part {
  readonly index: number;
  readonly start: number;
  readonly end: number;
  readonly isLast: boolean;
}

/** At least one part, also of nothing. */
function partsOf(length: number, partMax: number): Part[] {
  const count = Math.max(1, Math.ceil(length / partMax));
  return Array.from({ length: count }, (_, index) => ({
    index,
    start: index * partMax,
    end: Math.min(length, (index + 1) * partMax),
    isLast: index === count - 1,
  }));
}

/** Ids and exact ids are cut alike: each part holds as many of the ones as of the others, while they last. */
function addedParts({ length, exact }: WindowEntries): Part[] {
  return partsOf(Math.max(length, exact?.length ?? 0), ADDED_IDS_MAX);
}

function recordsPart(entries: WindowEntries, { start, end }: Part): Buffer {
  return start < entries.length ? recordsOf(entries, start, Math.min(end, entries.length)) : nothing;
}

function exactPart(exact: ExactIds | undefined, { start, end }: Part, isAdded: boolean): Buffer {
  if (!exact || start >= exact.length) return nothing;
  return epochRecordsOf(exact, { start, end: Math.min(end, exact.length), isAdded });
}

/**
 * Sends parts in their order, a bounded number ahead of the answers. The first goes alone, so that a server which must be given the
 * script, and answers late, does not mix up the order. False, and no more are sent, once one answers false.
 */
async function inTurn(parts: readonly Part[], send: (part: Part) => Promise<boolean>): Promise<boolean> {
  const [first, ...others] = parts;
  if (!first || !(await send(first))) return false;
  let isEnded = false;
  let isRefused = false;
  let next = 0;
  const lane = async () => {
    try {
      while (next < others.length && !isEnded)
        if (!(await send(others[next++] as Part))) isEnded = isRefused = true;
    } catch (error) {
      isEnded = true;
      throw error;
    }
  };
  const outcomes = await Promise.allSettled(Array.from({ length: IN_FLIGHT_SCRIPTS_MAX }, lane));
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (failed) throw failed.reason;
  return !isRefused;
}

function isFull(error: unknown): boolean {
  return error instanceof BridgeError && error.code === "REDIS_FULL";
}
