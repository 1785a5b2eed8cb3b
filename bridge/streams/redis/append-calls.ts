import type { RedisClient } from "../../redis/redis-connection.ts";
import { runScript, runScriptReplicated, type ScriptArgument } from "../../redis/redis-script.ts";
import { appendBlocks } from "./partition-scripts.ts";
import type { EntryId } from "./redis-position.ts";

/** One call holds no more, but for one partition's blocks in any case: the server does nothing else meanwhile. */
export const callBytesMax = 8 * 1024 * 1024;

export interface AppendCallsOptions {
  readonly client: RedisClient;
  /** The partitions stand on several servers. */
  readonly isCluster: boolean;
  /** Replicas that must have the blocks before they count. */
  readonly replicas: number;
  /** How long replicas are waited for. */
  readonly waitMs: number;
}

/** What one partition has to append. */
export interface PartitionAppend {
  readonly keys: readonly [log: string, state: string];
  /** The newest entry of it that the server told us of. */
  readonly newest: EntryId;
  readonly blocks: readonly Uint8Array[];
}

export interface AppendReply {
  /** Ids of the blocks that were stored, oldest first; else why none was. */
  readonly reply: readonly string[] | string;
  /** Replicas that have confirmed them; 0 where none is needed. */
  readonly reached: number;
}

interface WaitingAppend extends PartitionAppend {
  readonly resolve: (reply: AppendReply) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * What the partitions append in one turn of the event loop goes to the server in one call: each call costs as much as dozens of
 * messages, here and there. On a Redis Cluster each has a call of its own.
 */
export class AppendCalls {
  readonly #options: AppendCallsOptions;
  #waiting: WaitingAppend[] = [];

  constructor(options: AppendCallsOptions) {
    this.#options = options;
  }

  /** Rejects as the client does; whether blocks were stored is unknown then. */
  append(append: PartitionAppend): Promise<AppendReply> {
    return new Promise((resolve, reject) => {
      const waiting = { ...append, resolve, reject };
      if (this.#options.isCluster) void this.#call([waiting]);
      // The next tick comes after all promises of this turn.
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
    if (!Array.isArray(reply)) throw new TypeError("a script replied something else than its replies");
    return { replies: reply, reached };
  }
}

/** How many of them, from the first on, make a call. */
function fitting(appends: readonly WaitingAppend[]): number {
  let bytes = 0;
  const tooMany = appends.findIndex(({ blocks }, index) => {
    for (const block of blocks) bytes += block.length;
    return index > 0 && bytes > callBytesMax;
  });
  return tooMany === -1 ? appends.length : tooMany;
}
