import { createHash } from "node:crypto";
import type { RedisClient } from "./redis-connection.ts";

/** A Lua script; the server runs it as one step. */
export interface RedisScript {
  readonly source: string;
  /** What EVALSHA calls it by. */
  readonly sha: string;
}

export type ScriptArgument = string | number | Uint8Array;

export function redisScript(source: string): RedisScript {
  return { source, sha: createHash("sha1").update(source).digest("hex") };
}

/**
 * Runs a script; strings of the reply are Buffers. A server that does not know it (new, restarted) is given the source: it has not run
 * then. Rejects as the client does; see `redisError`.
 * @param keys On Redis Cluster all of one slot.
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
 * As runScript, and then waits until `replicas` replicas have got everything that this connection wrote, or `waitMs` have passed.
 * @returns The script's reply, and how many replicas have got it.
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
    // On Redis Cluster a pipeline goes to the node of its keys, and WAIT with it.
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

/** ioredis knows bytes only as Buffers. */
function argumentOf(value: ScriptArgument): string | number | Buffer {
  if (typeof value !== "object" || Buffer.isBuffer(value)) return value;
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}
