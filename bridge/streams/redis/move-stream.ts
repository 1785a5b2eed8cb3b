import { BridgeError } from "../../errors.ts";
import { leaseMembers } from "../../leases/lease-members.ts";
import { redisScript, runScript } from "../../redis/redis-script.ts";
import type { Position } from "../stream-log.ts";
import { readRecord, retiredSeconds } from "./create-stream.ts";
import { reopenPartition, retirePartitionAt } from "./partition-scripts.ts";
import { entryOfPosition, noEntry } from "./redis-position.ts";
import { RedisReader } from "./redis-reader.ts";
import { metaKey, partitionKeys } from "./stream-keys.ts";
import { type RedisStreamSite, withClient } from "./with-client.ts";

/** The state of a stream before it is moved. */
export interface RedisStreamSurvey {
  readonly streamId: string;
  /** URL of the stream that replaced this one; null if none did. */
  readonly movedTo: string | null;
  /** Names of the consumers that share the stream. A killed consumer is listed until its lease runs out. */
  readonly members: readonly string[];
  /** Highest positions, by partition. */
  readonly highest: readonly Position[];
}

/**
 * null if this Redis and prefix hold no stream.
 * @throws BridgeError STREAM_GAP, STREAM_DAMAGED, STREAM_VERSION, REDIS_*
 */
export async function surveyRedisStream(site: RedisStreamSite): Promise<RedisStreamSurvey | null> {
  return await withClient(site, "moving", async (client) => {
    const { prefix } = site.target;
    const record = await readRecord(client, prefix);
    if (!record?.isReady) return null;
    const { streamId, movedTo, partitionCount } = record;
    const keys = Array.from({ length: partitionCount }, (_, partition) =>
      partitionKeys(prefix, streamId, partition),
    );
    const reader = new RedisReader(client, keys);
    const states = await Promise.all(keys.map((_, partition) => reader.partitionState(partition)));
    const members = await leaseMembers(client, { prefix, streamId });
    return { streamId, movedTo, members, highest: states.map(({ highest }) => highest) };
  });
}

const markMoved = redisScript(`
if redis.call('HGET', KEYS[1], 'streamId') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'movedTo', ARGV[2])
return 1`);

/**
 * Closes a stream after its content was moved: no process can append to it any more, and opening it fails
 * with the new place. Its data is kept for 7 days. Can be repeated after a failure.
 * @throws BridgeError STREAM_IN_USE if blocks were appended since the survey; the stream then stays open.
 * REDIS_*
 */
export async function closeMovedRedisStream(
  site: RedisStreamSite,
  { streamId, highest }: Pick<RedisStreamSurvey, "streamId" | "highest">,
  movedTo: string,
): Promise<void> {
  await withClient(site, "moving", async (client) => {
    const { prefix } = site.target;
    const partitions = highest.map((position, partition) => ({
      keys: partitionKeys(prefix, streamId, partition),
      entry: entryOfPosition(position) ?? noEntry,
    }));
    for (const { keys, entry } of partitions) {
      const args = [movedTo, entry.ms, entry.number, retiredSeconds];
      if (Number(await runScript(client, retirePartitionAt, keys, args)) === 1) continue;
      for (const each of partitions) await runScript(client, reopenPartition, each.keys, [movedTo]);
      throw inUse(prefix);
    }
    if (Number(await runScript(client, markMoved, [metaKey(prefix)], [streamId, movedTo])) !== 1)
      throw inUse(prefix);
  });
}

function inUse(prefix: string): BridgeError {
  const text = `a gateway still uses the stream at ${metaKey(prefix)}: stop every gateway on it, then try again`;
  return new BridgeError("STREAM_IN_USE", text, { retryable: true });
}
