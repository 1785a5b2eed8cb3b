import type { RedisClient } from "../redis/redis-connection.ts";
import { redisScript, runScript } from "../redis/redis-script.ts";
import { leasesKey } from "./leases-key.ts";

const livingMembers = redisScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local names, fields = {}, redis.call('HGETALL', KEYS[1])
for at = 1, #fields, 2 do
  if fields[at]:sub(1, 2) == 'm:' and cjson.decode(fields[at + 1]).e > now then names[#names + 1] = fields[at]:sub(3) end
end
table.sort(names)
return names`);

/**
 * Names of the processes that share a stream's partitions. A killed process is listed until its lease runs
 * out.
 */
export async function leaseMembers(
  client: RedisClient,
  { prefix, streamId }: { readonly prefix: string; readonly streamId: string },
): Promise<string[]> {
  const names = await runScript(client, livingMembers, [leasesKey(prefix, streamId)], []);
  return (names as Buffer[]).map(String);
}
