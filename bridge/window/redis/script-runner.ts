import type { RedisClient } from "../../redis/redis-connection.ts";
import { redisError } from "../../redis/redis-error.ts";
import type { WindowScript } from "./window-scripts.ts";

export type ScriptArgument = string | number | Buffer;

/** Runs scripts on one key each. By their hash; a server that does not know it, since it restarted, gets the text. */
export class ScriptRunner {
  readonly #client: RedisClient;
  readonly #where: string;

  constructor(client: RedisClient, where: string) {
    this.#client = client;
    this.#where = where;
  }

  /** Bytes come back as Buffer. Throws what `redisError` makes of the failure. */
  async run(script: WindowScript, key: string, args: readonly ScriptArgument[]): Promise<unknown> {
    try {
      return await this.#client.callBuffer("EVALSHA", script.sha1, 1, key, ...args);
    } catch (error) {
      if (!isUnknownScript(error)) throw redisError(error, this.#where);
    }
    try {
      return await this.#client.callBuffer("EVAL", script.source, 1, key, ...args);
    } catch (error) {
      throw redisError(error, this.#where);
    }
  }
}

function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("NOSCRIPT");
}
