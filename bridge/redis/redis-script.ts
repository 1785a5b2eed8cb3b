import { createHash } from "node:crypto";
import type { RedisClient } from "./redis-connection.ts";

/** A Lua script. The server runs a script atomically. */
export interface RedisScript {
  readonly source: string;
  /** The name of the script for EVALSHA. */
  readonly sha: string;
}

export type ScriptArgument = string | number | Uint8Array;

export function redisScript(source: string): RedisScript {
  return { source, sha: createHash("sha1").update(source).digest("hex") };
}

/**
 * Runs a script; strings of the reply are Buffers. Sends the source to a server that does not know the
 * script, as after a restart. Rejects as the client does; see `redisError`.
 * @param keys On Redis Cluster, all keys must be in one slot.
 */
export async function runScript(
  client: RedisClient,
  script: RedisScript,
  keys: readonly string[],
  args: readonly ScriptArgument[],
): Promise<unknown> {
  const rest = [keys.length, ...keys, ...args.map(argumentOf)];
  try {
    return await client.callBuffer("evalsha", [script.sha, ...rest]);
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
    return await client.callBuffer("eval", [script.source, ...rest]);
  }
}

/**
 * Like `runScript`. Then waits until `replicas` replicas have received all writes of this connection, or
 * `waitMs` have passed.
 * @returns The script's reply, and the number of replicas that have received the writes.
 */
export async function runScriptReplicated(
  client: RedisClient,
  script: RedisScript,
  keys: readonly string[],
  args: readonly ScriptArgument[],
  { replicas, waitMs }: { readonly replicas: number; readonly waitMs: number },
): Promise<{ reply: unknown; reached: number }> {
  const rest = [keys.length, ...keys, ...args.map(argumentOf)];
  for (const [command, name] of [
    ["evalsha", script.sha],
    ["eval", script.source],
  ] as const) {
    // On Redis Cluster, a pipeline goes to the node of its keys, together with WAIT.
    const pipeline = client
      .pipeline()
      .callBuffer(command, [name, ...rest])
      .wait(replicas, waitMs);
    const results = await pipeline.exec();
    const [ran, waited] = results ?? [];
    const failure = ran?.[0] ?? waited?.[0];
    if (failure?.message.startsWith("NOSCRIPT")) continue;
    if (failure) throw failure;
    return { reply: ran?.[1], reached: Number(waited?.[1] ?? 0) };
  }
  throw new TypeError("the server does not know a script that it was given");
}

/** ioredis accepts bytes only as Buffers. */
function argumentOf(value: ScriptArgument): string | number | Buffer {
  if (typeof value !== "object" || Buffer.isBuffer(value)) return value;
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}
