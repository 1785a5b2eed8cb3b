import type { Logger } from "pino";
import { BridgeError } from "../../../errors.ts";
import type { RedisClient } from "../../../redis/redis-connection.ts";

const lookIntervalMs = 10_000;

/**
 * Whether the server may evict the window. Our keys have no expiry time, so `volatile-*` policies skip them.
 * With another policy no message is lost, because the consumer detects the loss and seeds the window again,
 * but it may do so over and over.
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

  /** Throws REDIS_UNSUPPORTED if a server may evict our keys. */
  async check(): Promise<void> {
    this.#lookedAtMs = this.#monotonicMs();
    const nodes = "nodes" in this.#client ? this.#client.nodes("master") : [this.#client];
    for (const node of nodes) {
      const policy = /maxmemory_policy:(\S+)/.exec(await node.info("memory"))?.[1] ?? "unknown";
      if (policy === "noeviction" || policy.startsWith("volatile-")) continue;
      throw new BridgeError(
        "REDIS_UNSUPPORTED",
        `the window's Redis has the maxmemory-policy ${policy}: it would evict ids, and Tidegate would seed the window again and again. Send it: CONFIG SET maxmemory-policy noeviction`,
        { retryable: false },
      );
    }
  }

  /**
   * Checks every ten seconds, and logs each change once. Ignores servers that do not answer: other calls
   * report them.
   */
  async look(): Promise<void> {
    if (this.#monotonicMs() - this.#lookedAtMs < lookIntervalMs) return;
    try {
      await this.check();
      if (this.#told !== null)
        this.#logger.info({ event: "window.redis.supported" }, "the server can't evict the window any more");
      this.#told = null;
    } catch (error) {
      if (!(error instanceof BridgeError && error.code === "REDIS_UNSUPPORTED")) return;
      if (error.message !== this.#told)
        this.#logger.error(
          { event: "window.redis.unsupported", err: error },
          "the server may evict the window",
        );
      this.#told = error.message;
    }
  }
}
