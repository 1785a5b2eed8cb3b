import { type RedisScript, redisScript } from "../../../redis/redis-script.ts";
import { bucketReading, bucketsMin, bucketWriting, recordBytes, windowLayout } from "./bucket-scripts.ts";
import { epochBucketsFirst, epochReading, epochWriting } from "./epoch-scripts.ts";
import { forgetScript } from "./forget-script.ts";

/**
 * Each script works on the one key of a partition. A script that writes changes nothing, and answers 0,
 * unless its condition holds.
 */
const sources = {
  /**
   * @param ARGV position, keys, exact ids. Answers null unless the window is at the position. Hits: index (2
   *   bytes), content hash, expiry; then one byte per exact id.
   */
  lookup: `#!lua flags=no-writes
${bucketReading}${epochReading}
local state = redis.call('HMGET', key, 'v', 'a', 'b', 'c', 'd')
if state[1] ~= '${windowLayout}' or state[2] ~= ARGV[1] or (state[4] or '') ~= '' then return false end
local known = knownEpochs(ARGV[3], tonumber(state[5] or ${epochBucketsFirst}))
local keys = ARGV[2]
if #keys == 0 then return {'', known} end
local fields = fieldsOf(keys, 12, tonumber(state[3]))
local contents = redis.call('HMGET', key, unpack(fields))
local hits = {}
for index = 1, #fields do
  local bucket = contents[index]
  if bucket then
    local at = recordOf(bucket, sub(keys, index * 12 - 11, index * 12), ${recordBytes})
    if at then
      local place = index - 1
      hits[#hits + 1] = char(place % 256, math.floor(place / 256)) .. sub(bucket, at + 12, at + 19)
    end
  end
end
return {table.concat(hits), known}`,

  /**
   * @param ARGV from, to, stream time (s), token, number of the part, 1 = the last part, records, exact ids.
   */
  apply: `#!lua
${bucketReading}${bucketWriting}${epochReading}${epochWriting}
local state = redis.call('HMGET', key, 'i', 'b', 's', 'x', 'v', 'a', 'c')
if state[5] ~= '${windowLayout}' or state[6] ~= ARGV[1] then return 0 end
if ARGV[5] ~= '0' and state[7] ~= ARGV[4] .. ':' .. ARGV[5] then return 0 end
load(state)
now = math.max(now, tonumber(ARGV[3]))
addAll(ARGV[7])
splitSome()
addEpochs(ARGV[8])
if ARGV[6] == '1' then save('a', ARGV[2], 'c', '') else save('c', ARGV[4] .. ':' .. (ARGV[5] + 1)) end
return 1`,

  /** @param ARGV token. */
  beginSeed: `#!lua
local key = KEYS[1]
if redis.call('EXISTS', key) == 1 and not redis.call('HGET', key, 'v') then
  return redis.error_reply('WRONGTYPE the hash at this key is not a window')
end
redis.call('UNLINK', key)
redis.call('HSET', key, 'v', '${windowLayout}', 't', ARGV[1], 'c', '0:0', 'i', 0, 'b', ${bucketsMin}, 's', 0, 'x', 0, 'p', 0, 'w', 0)
return 1`,

  /** @param ARGV token, required progress, progress afterwards, records, exact ids. */
  seed: `#!lua
${bucketReading}${bucketWriting}${epochReading}${epochWriting}
local state = redis.call('HMGET', key, 'i', 'b', 's', 'x', 'v', 't', 'c')
if state[5] ~= '${windowLayout}' or state[6] ~= ARGV[1] or state[7] ~= ARGV[2] then return 0 end
load(state)
addAll(ARGV[4])
splitSome()
addEpochs(ARGV[5])
save('c', ARGV[3])
return 1`,

  /** @param ARGV token, required progress, applied, stream time (s). */
  endSeed: `#!lua
local key = KEYS[1]
local state = redis.call('HMGET', key, 'v', 't', 'c')
if state[1] ~= '${windowLayout}' or state[2] ~= ARGV[1] or state[3] ~= ARGV[2] then return 0 end
redis.call('HSET', key, 'a', ARGV[3], 's', ARGV[4], 'w', ARGV[4])
redis.call('HDEL', key, 't', 'c')
return 1`,

  forget: forgetScript,
} as const;

export type WindowScriptName = keyof typeof sources;

/** @param mayExceedMemory Whether an apply may exceed the server's `maxmemory`. */
export function windowScripts(options: {
  mayExceedMemory: boolean;
}): Readonly<Record<WindowScriptName, RedisScript>> {
  const entries = Object.entries(sources).map(([name, text]) => {
    const isFreed = options.mayExceedMemory && name === "apply";
    const source = isFreed ? text.replace("#!lua\n", "#!lua flags=allow-oom\n") : text;
    return [name, redisScript(source)];
  });
  return Object.fromEntries(entries);
}
