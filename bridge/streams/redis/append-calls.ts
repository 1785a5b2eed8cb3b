import type { RedisClient } from "../../redis/redis-connection.ts";
import { runScript, runScriptReplicated, type ScriptArgument } from "../../redis/redis-script.ts";
import { appendBlocks } from "./partition-scripts.ts";
import type { EntryId } from "./redis-position.ts";

/** Limit of one call, because a call blocks the server. The blocks of a single partition may exceed it. */
export const callBytesMax = 8 * 1024 * 1024;

export interface AppendCallsOptions {
  readonly client: RedisClient;
  /** True on Redis Cluster, where the partitions are on several servers. */
  readonly isCluster: boolean;
  /** Replicas that must have received the blocks before they are confirmed. */
  readonly replicas: number;
  /** Longest wait for the replicas, ms. */
  readonly waitMs: number;
}

/** Blocks to append to one partition. */
export interface PartitionAppend {
  readonly keys: readonly [log: string, state: string];
  /** The partition's newest entry that the server told us of. */
  readonly newest: EntryId;
  readonly blocks: readonly Uint8Array[];
}

export interface AppendReply {
  /** Ids of the stored blocks, oldest first. A string says why none was stored. */
  readonly reply: readonly string[] | string;
  /** Number of replicas that confirmed the blocks; 0 if none is required. */
  readonly reached: number;
}

interface WaitingAppend extends PartitionAppend {
  readonly resolve: (reply: AppendReply) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Sends the blocks that all partitions append in one turn of the event loop in one call. A call costs
 * gateway and server as much as dozens of messages. On Redis Cluster, each partition has a call of its own.
 */
export class AppendCalls {
  readonly #options: AppendCallsOptions;
  #waiting: WaitingAppend[] = [];

  constructor(options: AppendCallsOptions) {
    this.#options = options;
  }

  /** Rejects as the client does. Whether blocks were stored is then unknown. */
  append(append: PartitionAppend): Promise<AppendReply> {
    return new Promise((resolve, reject) => {
      const waiting = { ...append, resolve, reject };
      if (this.#options.isCluster) void this.#call([waiting]);
      // The next tick runs after all promises of this turn.
      else if (this.#waiting.push(waiting) === 1) process.nextTick(() => this.#flush());
    });
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    while (waiting.length > 0) void this.#call(waiting.splice(0, fitting(waiting)));
  }

  async #call(appends: readonly WaitingAppend[]): Promise<void> {
    try {
      const { replies, reached } = await this.#run(appends);
      for (const [index, { resolve, reject }] of appends.entries()) {
        const reply = replies[index];
        if (reply instanceof Error) reject(reply);
        else resolve({ reply: Array.isArray(reply) ? reply.map(String) : String(reply), reached });
      }
    } catch (error) {
      for (const { reject } of appends) reject(error);
    }
  }

  async #run(appends: readonly WaitingAppend[]): Promise<{ replies: readonly unknown[]; reached: number }> {
    const { client, replicas, waitMs } = this.#options;
    const keys = appends.flatMap((append) => append.keys);
    const args = appends.flatMap<ScriptArgument>(({ newest, blocks }) => [
      newest.number,
      newest.ms,
      blocks.length,
      ...blocks,
    ]);
    const { reply, reached } =
      replicas === 0
        ? { reply: await runScript(client, appendBlocks, keys, args), reached: 0 }
        : await runScriptReplicated(client, appendBlocks, keys, args, { replicas, waitMs });
    if (!Array.isArray(reply)) throw new TypeError("the append script returned no list");
    return { replies: reply, reached };
  }
}

/** Number of appends, from the first one on, that fit into a call. */
function fitting(appends: readonly WaitingAppend[]): number {
  let bytes = 0;
  const tooMany = appends.findIndex(({ blocks }, index) => {
    for (const block of blocks) bytes += block.length;
    return index > 0 && bytes > callBytesMax;
  });
  return tooMany === -1 ? appends.length : tooMany;
}
