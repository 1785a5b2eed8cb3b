import { BridgeError } from "../../errors.ts";
import type { RedisClient } from "../../redis/redis-connection.ts";
import { redisError } from "../../redis/redis-error.ts";
import type { Position } from "../stream-log.ts";
import { AppendCalls, callBytesMax } from "./append-calls.ts";
import { type EntryId, entryOfPosition, noEntry } from "./redis-position.ts";

/** What an operator can do if a server lost confirmed blocks. */
export const lossMend =
  "Restore the server's data; or stop the gateways, give up the missing blocks with `tidegate stream new`, and start the gateways again";

/** Limit of blocks that a partition sends in one call. */
const callBlocksMax = 1000;

export interface AppenderOptions {
  readonly client: RedisClient;
  readonly isCluster: boolean;
  readonly keys: readonly (readonly [log: string, state: string])[];
  /** Replicas that must have received a block before it is confirmed. */
  readonly replicas: number;
  readonly timeoutMs: number;
  /** Resolves once `hold` is up to date, at the latest after a time-out. */
  readonly settled: () => Promise<void>;
  /** Why appends are held; null = they are not. */
  readonly hold: (partition: number) => BridgeError | null;
  /** The newest confirmed entry known from before, by partition. */
  readonly newest: readonly EntryId[];
  /** Called for each call that stored blocks. */
  readonly onAppended: (bytes: number, blocks: number, elapsedMs: number) => void;
  readonly onFailed: (error: BridgeError, partition: number) => void;
}

interface WaitingAppend {
  readonly block: Uint8Array;
  readonly resolve: (position: Position) => void;
  readonly reject: (error: BridgeError) => void;
}

interface Lane {
  readonly partition: number;
  readonly keys: readonly [log: string, state: string];
  waiting: WaitingAppend[];
  isBusy: boolean;
  /** The newest entry that the server told us of. */
  newest: EntryId;
}

/**
 * Appends in the order of the calls, with one call to the server in flight per partition; partitions share
 * calls. If a call fails, all later blocks of its partition fail too, so that none overtakes a block that is
 * sent again.
 */
export class RedisAppender {
  readonly #options: AppenderOptions;
  readonly #lanes: readonly Lane[];
  readonly #calls: AppendCalls;
  readonly #waitMs: number;
  #closed: BridgeError | null = null;

  constructor(options: AppenderOptions) {
    this.#options = options;
    const { client, isCluster, replicas, timeoutMs } = options;
    this.#waitMs = Math.ceil(timeoutMs / 2);
    this.#calls = new AppendCalls({ client, isCluster, replicas, waitMs: this.#waitMs });
    this.#lanes = options.keys.map((keys, partition) => ({
      partition,
      keys,
      waiting: [],
      isBusy: false,
      newest: options.newest[partition] ?? noEntry,
    }));
  }

  append(partition: number, block: Uint8Array): Promise<Position> {
    const lane = this.#lanes[partition];
    if (!lane) throw new RangeError(`the stream has no partition ${partition}`);
    return new Promise((resolve, reject) => {
      lane.waiting.push({ block, resolve, reject });
      if (!lane.isBusy) void this.#run(lane);
    });
  }

  /** The newest entry of a partition that was confirmed here. */
  newest(partition: number): EntryId {
    return this.#lanes[partition]?.newest ?? noEntry;
  }

  close(reason: BridgeError): void {
    this.#closed = reason;
    for (const lane of this.#lanes) fail(lane.waiting.splice(0), reason);
  }

  async #run(lane: Lane): Promise<void> {
    lane.isBusy = true;
    // Blocks that close in the same turn of the event loop share a call.
    await null;
    while (lane.waiting.length > 0) {
      await this.#options.settled();
      const refusal = this.#closed ?? this.#options.hold(lane.partition);
      if (refusal) {
        this.#options.onFailed(refusal, lane.partition);
        fail(lane.waiting.splice(0), refusal);
      } else await this.#appendOnce(lane, takeCall(lane.waiting));
    }
    lane.isBusy = false;
  }

  async #appendOnce(lane: Lane, taken: WaitingAppend[]): Promise<void> {
    const startedAt = performance.now();
    try {
      const ids = await this.#send(lane, taken);
      const bytes = taken.slice(0, ids.length).reduce((sum, { block }) => sum + block.length, 0);
      lane.newest = entryOfPosition(ids.at(-1) ?? "") ?? lane.newest;
      this.#options.onAppended(bytes, ids.length, performance.now() - startedAt);
      for (const [index, id] of ids.entries()) taken[index]?.resolve(id);
      if (ids.length < taken.length)
        throw new BridgeError("STREAM_FULL", "the server stored only a part of the blocks", {
          retryable: true,
        });
    } catch (error) {
      const failure = appendError(error, lane.partition);
      this.#options.onFailed(failure, lane.partition);
      fail(taken, failure);
      fail(lane.waiting.splice(0), failure);
    }
  }

  /** Sends the blocks; resolves with the ids of the stored ones. */
  async #send(
    { partition, keys, newest }: Lane,
    taken: readonly WaitingAppend[],
  ): Promise<readonly string[]> {
    const blocks = taken.map(({ block }) => block);
    const { reply, reached } = await this.#calls.append({ keys, newest, blocks });
    if (typeof reply === "string") throw refused(partition, reply);
    const { replicas } = this.#options;
    if (reached >= replicas) return reply;
    const text = `${reached} of ${replicas} replicas confirmed a block within ${this.#waitMs} ms`;
    throw new BridgeError("REDIS_UNAVAILABLE", text, { retryable: true });
  }
}

function takeCall(waiting: WaitingAppend[]): WaitingAppend[] {
  let bytes = 0;
  let count = 0;
  for (const { block } of waiting) {
    bytes += block.length;
    if (count > 0 && (bytes > callBytesMax || count >= callBlocksMax)) break;
    count += 1;
  }
  return waiting.splice(0, count);
}

function refused(partition: number, why: string): BridgeError {
  if (why === "overtaken") {
    const text = `partition ${partition} takes no more blocks: another application wrote an entry with an id in the future to its log. Remove the entry (XDEL, then XSETID), or start another stream with \`tidegate stream new\``;
    return new BridgeError("STREAM_DAMAGED", text, { retryable: false, details: { partition } });
  }
  if (why.startsWith("retired ")) {
    const text = `partition ${partition} was closed when the stream ${why.replace("retired ", "")} was started: restart this gateway to use that one`;
    return new BridgeError("STREAM_GAP", text, { retryable: false, details: { partition } });
  }
  const reasons: Record<string, string> = {
    gone: "its keys are gone: the server was emptied or replaced",
    "rolled-back": "the server lacks entries that it had confirmed, so it was restored from an older copy",
  };
  const text = `partition ${partition} takes no more blocks: ${reasons[why] ?? why}. ${lossMend}`;
  return new BridgeError("STREAM_GAP", text, { retryable: false, details: { partition } });
}

function appendError(error: unknown, partition: number): BridgeError {
  const failure = redisError(error, `appending to partition ${partition}`);
  if (failure.code !== "REDIS_FULL") return failure;
  return new BridgeError("STREAM_FULL", failure.message, { retryable: true, cause: failure });
}

function fail(appends: readonly WaitingAppend[], error: BridgeError): void {
  for (const { reject } of appends) reject(error);
}
