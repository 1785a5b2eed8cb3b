import type { Logger } from "pino";
import { BridgeError } from "../../errors.ts";
import type { RedisClient } from "../../redis/redis-connection.ts";

const LOOK_INTERVAL_MS = 10_000;

/**
 * Whether the server may evict the window. Our keys have no expiry time, so `volatile-*` policies pass them over. Another policy loses
 * no message, since the loss of a window is noticed and it is seeded again, over and over.
 */
export class EvictionWatch {
  readonly #client: RedisClient;
  readonly #logger: Logger;
  readonly #monotonicMs: () => number;
  #told: string | null = null;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: { client: RedisClient; logger: Logger; monotonicMs: () => number }) {
    this.#client = options.client;
    this.#logger = options.logger;
    this.#monotonicMs = options.monotonicMs;
  }

  /** Throws REDIS_UNSUPPORTED where a server may evict keys of ours. */
  async check(): Promise<void> {
    this.#lookedAtMs = this.#monotonicMs();
    const nodes = "nodes" in this.#client ? this.#client.nodes("master") : [this.#client];
    for (const node of nodes) {
      const policy = /maxmemory_policy:(\S+)/.exec(await node.info("memory"))?.[1] ?? "unknown";
      if (policy === "noeviction" || policy.startsWith("volatile-")) continue;
      throw new BridgeError(
        "REDIS_UNSUPPORTED",
        `the window's Redis has the maxmemory-policy ${policy}: it would evict ids and the window be seeded again and again. Send it: CONFIG SET maxmemory-policy noeviction`,
        { retryable: false },
      );
    }
  }

  /** Every ten seconds, while running: only logs, each change once. A server that does not answer is told of elsewhere. */
  async look(): Promise<void> {
    if (this.#monotonicMs() - this.#lookedAtMs < LOOK_INTERVAL_MS) return;
    try {
      await this.check();
      if (this.#told !== null)
        this.#logger.info({ event: "window.redis.supported" }, "the window can't be evicted any more");
      this.#told = null;
    } catch (error) {
      if (!(error instanceof BridgeError && error.code === "REDIS_UNSUPPORTED")) return;
      if (error.message !== this.#told)
        this.#logger.error({ event: "window.redis.unsupported", err: error }, "the window may be evicted");
      this.#told = error.message;
    }
  }
}
