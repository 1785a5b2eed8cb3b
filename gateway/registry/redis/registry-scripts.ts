import { redisScript } from "../../../bridge/redis/index.ts";

/**
 * Each change and each reading of the registry on Redis is one script, so it is atomic. The scripts take
 * these keys, in this order:
 *
 * - facts: hash of epoch, format, lake, lakeUrl, changes, and `fact:NAME` as JSON
 * - topics and reserved: hashes of `ID/VERSION` → JSON
 * - devices: hash of name → JSON
 * - names: sorted set, for listing
 * - changes: stream of `NUMBER-0` → kind and name of the change
 *
 * If the epoch is missing, there is no registry: scripts that need one answer {"lost"}.
 */

/** Minimum of entries that the log of changes keeps. A process that missed more reads everything again. */
const changesMax = 10_000;

const orLost = `if not redis.call('HGET', KEYS[1], 'epoch') then return {'lost'} end
`;
const logChange = `local id = redis.call('HINCRBY', KEYS[1], 'changes', 1)
redis.call('XADD', KEYS[6], 'MAXLEN', '~', ${changesMax}, id .. '-0', kind, name)
`;

/**
 * ARGV: format, epoch, lake id, lake URL. Answers {"format" | "lake", the existing one} if that differs,
 * otherwise {"open", 1 if it is new}.
 */
export const openScript = redisScript(`local format = redis.call('HGET', KEYS[1], 'format')
if format and format ~= ARGV[1] then return {'format', format} end
local lake = redis.call('HGET', KEYS[1], 'lake')
if lake and lake ~= ARGV[3] then return {'lake', redis.call('HGET', KEYS[1], 'lakeUrl') or lake} end
local isNew = redis.call('HSETNX', KEYS[1], 'epoch', ARGV[2])
redis.call('HSET', KEYS[1], 'format', ARGV[1], 'lake', ARGV[3], 'lakeUrl', ARGV[4])
return {'open', isNew}`);

/**
 * ARGV: number of the last known change, limit of entries. Answers {"ok", epoch, number of the last change,
 * entries of the log since}.
 */
export const changesScript =
  redisScript(`${orLost}return {'ok', redis.call('HGET', KEYS[1], 'epoch'), redis.call('HGET', KEYS[1], 'changes') or '0',
  redis.call('XRANGE', KEYS[6], '(' .. ARGV[1] .. '-0', '+', 'COUNT', ARGV[2])}`);

/** Answers {"ok", visible versions, reserved versions}. */
export const topicsScript = redisScript(
  `${orLost}return {'ok', redis.call('HVALS', KEYS[2]), redis.call('HVALS', KEYS[3])}`,
);

/**
 * ARGV: expected number of versions, then key and version of each new one. Answers {"ok", 1}, or 0 if the
 * number differs.
 */
export const reserveScript =
  redisScript(`${orLost}if redis.call('HLEN', KEYS[2]) + redis.call('HLEN', KEYS[3]) ~= tonumber(ARGV[1]) then return {'ok', 0} end
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1]) end
return {'ok', 1}`);

/** ARGV: keys of reserved versions; keys without a reservation are skipped. */
export const publishScript = redisScript(`${orLost}local published = 0
for i = 1, #ARGV do
  local record = redis.call('HGET', KEYS[3], ARGV[i])
  if record then
    redis.call('HSET', KEYS[2], ARGV[i], record)
    redis.call('HDEL', KEYS[3], ARGV[i])
    published = published + 1
  end
end
if published > 0 then
  local kind, name = 'topics', published
  ${logChange}
end
return {'ok', published}`);

/** ARGV: keys of reserved versions. */
export const releaseScript =
  redisScript(`${orLost}for i = 1, #ARGV do redis.call('HDEL', KEYS[3], ARGV[i]) end
return {'ok'}`);

/** ARGV: name. Answers {"ok", record or nothing}. */
export const deviceScript = redisScript(`${orLost}return {'ok', redis.call('HGET', KEYS[4], ARGV[1])}`);

/** ARGV: first name as a bound of ZRANGE BYLEX, limit of names. Answers {"ok", records}. */
export const devicesScript =
  redisScript(`${orLost}local names = redis.call('ZRANGE', KEYS[5], ARGV[1], '+', 'BYLEX', 'LIMIT', 0, ARGV[2])
local records = {}
for i, name in ipairs(names) do records[i] = redis.call('HGET', KEYS[4], name) end
return {'ok', records}`);

/** ARGV: name, record. Answers {"ok", 1}, or 0 if the name exists. */
export const addDeviceScript =
  redisScript(`${orLost}if redis.call('HSETNX', KEYS[4], ARGV[1], ARGV[2]) == 0 then return {'ok', 0} end
redis.call('ZADD', KEYS[5], 0, ARGV[1])
return {'ok', 1}`);

/** ARGV: name. Answers {"ok", 1}, or 0 if there is no such identity. */
export const removeDeviceScript =
  redisScript(`${orLost}if redis.call('HDEL', KEYS[4], ARGV[1]) == 0 then return {'ok', 0} end
redis.call('ZREM', KEYS[5], ARGV[1])
local kind, name = 'revoked', ARGV[1]
${logChange}return {'ok', 1}`);

/** ARGV: name. Answers {"ok", JSON or nothing}. */
export const factScript = redisScript(
  `${orLost}return {'ok', redis.call('HGET', KEYS[1], 'fact:' .. ARGV[1])}`,
);

/** ARGV: name, JSON. */
export const setFactScript = redisScript(`${orLost}redis.call('HSET', KEYS[1], 'fact:' .. ARGV[1], ARGV[2])
return {'ok'}`);

/** In the order that the scripts expect. One hash tag keeps the keys in one slot of a cluster. */
export function registryKeys(prefix: string): string[] {
  return ["facts", "topics", "reserved", "devices", "device-names", "changes"].map(
    (name) => `${prefix}:{registry}:${name}`,
  );
}
