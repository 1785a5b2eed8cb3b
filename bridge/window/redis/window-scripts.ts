import { type RedisScript, redisScript } from "../../redis/redis-script.ts";
import { EPOCH_BUCKETS_FIRST, epochReading, epochWriting } from "./epoch-scripts.ts";

/** A record in a bucket: 12 bytes of key, content hash, expiry in seconds; both as 32 bits, low byte first. */
export const RECORD_BYTES = 20;
/** Ids per bucket, on average, at which buckets are split; merged below half of it. docs/benchmarks.md has the measurements. */
const bucketIds = 12;
const bucketsMin = 16;
/** Three bytes name a bucket. Beyond that buckets grow instead of splitting. */
const bucketsMax = 2 ** 24;
/** Buckets that one script splits, looks through or merges. */
export const STEP_BUCKETS = 512;

/**
 * The whole state of a partition is one hash, so that it can only be lost or rolled back as a whole, is cleared by one UNLINK, and
 * moves between the nodes of a cluster as a whole. Fields of one letter:
 * v layout, a applied, t token of the seeding, c progress of a seeding or applying, i ids, b buckets, s stream time (s), x latest expiry
 * (s), p next bucket to look through for expired ids, w stream time (s) up to which that was done; d and n count epochs.
 * Fields of three bytes are buckets: records, sorted by expiry; those of four bytes hold epochs (`epoch-scripts.ts`). Linear hashing: bucket b splits into b and b + 2^k, one after the other.
 */
export const LAYOUT = "2";

const prelude = `
local key = KEYS[1]
local sub, byte, char, find = string.sub, string.byte, string.char, string.find

local function fieldOf(bucket)
  local low = bucket % 256
  local rest = (bucket - low) / 256
  local middle = rest % 256
  return char((rest - middle) / 256, middle, low)
end

local function powerOfTwo(buckets)
  local power = 1
  while power * 2 <= buckets do power = power * 2 end
  return power
end

local function fieldsOf(blob, step, buckets)
  local power = powerOfTwo(buckets)
  local double = power * 2
  local fields = {}
  for at = 1, #blob, step do
    local b1, b2, b3, b4 = byte(blob, at, at + 3)
    local bucket = (b1 * 16777216 + b2 * 65536 + b3 * 256 + b4) % double
    if bucket >= buckets then bucket = bucket - power end
    fields[#fields + 1] = fieldOf(bucket)
  end
  return fields
end

local function recordOf(bucket, id, size)
  local at = find(bucket, id, 1, true)
  while at and (at - 1) % size ~= 0 do at = find(bucket, id, at + 1, true) end
  return at
end

-- What the fields hold, by field; '' where there is none.
local function contentsOf(fields)
  local contents, distinct = {}, {}
  for index = 1, #fields do
    local field = fields[index]
    if not contents[field] then
      contents[field] = ''
      distinct[#distinct + 1] = field
    end
  end
  if #distinct == 0 then return contents end
  local values = redis.call('HMGET', key, unpack(distinct))
  for index = 1, #distinct do contents[distinct[index]] = values[index] or '' end
  return contents
end
`;

const writing = `
local ids, buckets, now, latest

-- The records of a bucket, of so many bytes each, that stay and those that go to the bucket \`power\` further on.
local function parted(bucket, size, power)
  local stay, go = {}, {}
  for at = 1, #bucket, size do
    local b1, b2, b3, b4 = byte(bucket, at, at + 3)
    local hash = b1 * 16777216 + b2 * 65536 + b3 * 256 + b4
    local side = hash % (power * 2) >= power and go or stay
    side[#side + 1] = sub(bucket, at, at + size - 1)
  end
  return table.concat(stay), table.concat(go)
end

local function expiryAt(records, at)
  local b1, b2, b3, b4 = byte(records, at + 16, at + 19)
  return b1 + b2 * 256 + b3 * 65536 + b4 * 16777216
end

local function living(bucket)
  local at = 1
  while at <= #bucket and expiryAt(bucket, at) <= now do at = at + ${RECORD_BYTES} end
  if at == 1 then return bucket end
  ids = ids - (at - 1) / ${RECORD_BYTES}
  return sub(bucket, at)
end

local function inserted(bucket, record, expiry)
  local at = #bucket - ${RECORD_BYTES - 1}
  while at >= 1 and expiryAt(bucket, at) > expiry do at = at - ${RECORD_BYTES} end
  at = at + ${RECORD_BYTES}
  return sub(bucket, 1, at - 1) .. record .. sub(bucket, at)
end

-- Adds records to the buckets in \`contents\`; those that change are appended to \`changes\`. Written out: it runs once per id.
local function add(blob, fields, contents, changes)
  local isChanged = {}
  for index = 1, #fields do
    local record = sub(blob, index * ${RECORD_BYTES} - ${RECORD_BYTES - 1}, index * ${RECORD_BYTES})
    local b1, b2, b3, b4 = byte(record, 17, 20)
    local expiry = b1 + b2 * 256 + b3 * 65536 + b4 * 16777216
    if expiry > now then
      local field = fields[index]
      local bucket = contents[field]
      local known = recordOf(bucket, sub(record, 1, 12), ${RECORD_BYTES})
      if not known or expiryAt(bucket, known) < expiry then
        if known then
          bucket = sub(bucket, 1, known - 1) .. sub(bucket, known + ${RECORD_BYTES})
          ids = ids - 1
        end
        if expiry > latest then latest = expiry end
        if not isChanged[field] then
          isChanged[field] = true
          changes[#changes + 1] = field
          bucket = living(bucket)
        end
        b1, b2, b3, b4 = byte(bucket, -4, -1)
        if not b1 or b1 + b2 * 256 + b3 * 65536 + b4 * 16777216 <= expiry then
          contents[field] = bucket .. record
        else
          contents[field] = inserted(bucket, record, expiry)
        end
        ids = ids + 1
      end
    end
  end
end

local function addAll(blob)
  if #blob == 0 then return end
  local fields = fieldsOf(blob, ${RECORD_BYTES}, buckets)
  local contents = contentsOf(fields)
  local changes = {}
  add(blob, fields, contents, changes)
  if #changes == 0 then return end
  local writes = {}
  for index = 1, #changes do
    writes[#writes + 1] = changes[index]
    writes[#writes + 1] = contents[changes[index]]
  end
  redis.call('HSET', key, unpack(writes))
end

local function splitSome()
  local wanted = math.min(math.ceil(ids / ${bucketIds}), ${bucketsMax}) - buckets
  if wanted <= 0 then return end
  local power = powerOfTwo(buckets)
  local first = buckets - power
  local count = math.min(wanted, power - first, ${STEP_BUCKETS})
  local fields = {}
  for index = 1, count do fields[index] = fieldOf(first + index - 1) end
  local values = redis.call('HMGET', key, unpack(fields))
  buckets = buckets + count
  local writes = {'b', buckets}
  for index = 1, count do
    if values[index] then
      local stay, go = parted(living(values[index]), ${RECORD_BYTES}, power)
      writes[#writes + 1] = fields[index]
      writes[#writes + 1] = stay
      writes[#writes + 1] = fieldOf(first + index - 1 + power)
      writes[#writes + 1] = go
    end
  end
  redis.call('HSET', key, unpack(writes))
end

local function load(state)
  ids, buckets, now, latest = tonumber(state[1]), tonumber(state[2]), tonumber(state[3]), tonumber(state[4])
end

local function save(...)
  redis.call('HSET', key, 'i', ids, 'b', buckets, 's', now, 'x', latest, ...)
end
`;

/** Each runs on the one key of a partition. A script that writes changes nothing, and answers 0, unless its condition holds. */
const sources = {
  /** @param ARGV position, keys, exact ids. Hits: index (2 bytes), content hash, expiry; a byte per exact id; null unless at the position. */
  lookup: `#!lua flags=no-writes
${prelude}${epochReading}
local state = redis.call('HMGET', key, 'v', 'a', 'b', 'c', 'd')
if state[1] ~= '${LAYOUT}' or state[2] ~= ARGV[1] or (state[4] or '') ~= '' then return false end
local known = knownEpochs(ARGV[3], tonumber(state[5] or ${EPOCH_BUCKETS_FIRST}))
local keys = ARGV[2]
if #keys == 0 then return {'', known} end
local fields = fieldsOf(keys, 12, tonumber(state[3]))
local contents = redis.call('HMGET', key, unpack(fields))
local hits = {}
for index = 1, #fields do
  local bucket = contents[index]
  if bucket then
    local at = recordOf(bucket, sub(keys, index * 12 - 11, index * 12), ${RECORD_BYTES})
    if at then
      local place = index - 1
      hits[#hits + 1] = char(place % 256, math.floor(place / 256)) .. sub(bucket, at + 12, at + 19)
    end
  end
end
return {table.concat(hits), known}`,

  /** @param ARGV from, to, stream time (s), token, number of the part, 1 = the last part, records, exact ids. */
  apply: `#!lua
${prelude}${writing}${epochReading}${epochWriting}
local state = redis.call('HMGET', key, 'i', 'b', 's', 'x', 'v', 'a', 'c')
if state[5] ~= '${LAYOUT}' or state[6] ~= ARGV[1] then return 0 end
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
redis.call('HSET', key, 'v', '${LAYOUT}', 't', ARGV[1], 'c', '0:0', 'i', 0, 'b', ${bucketsMin}, 's', 0, 'x', 0, 'p', 0, 'w', 0)
return 1`,

  /** @param ARGV token, progress that must have been reached, progress afterwards, records, exact ids. */
  seed: `#!lua
${prelude}${writing}${epochReading}${epochWriting}
local state = redis.call('HMGET', key, 'i', 'b', 's', 'x', 'v', 't', 'c')
if state[5] ~= '${LAYOUT}' or state[6] ~= ARGV[1] or state[7] ~= ARGV[2] then return 0 end
load(state)
addAll(ARGV[4])
splitSome()
addEpochs(ARGV[5])
save('c', ARGV[3])
return 1`,

  /** @param ARGV token, progress that must have been reached, applied, stream time (s). */
  endSeed: `#!lua
local key = KEYS[1]
local state = redis.call('HMGET', key, 'v', 't', 'c')
if state[1] ~= '${LAYOUT}' or state[2] ~= ARGV[1] or state[3] ~= ARGV[2] then return 0 end
redis.call('HSET', key, 'a', ARGV[3], 's', ARGV[4], 'w', ARGV[4])
redis.call('HDEL', key, 't', 'c')
return 1`,

  /**
   * Looks through some buckets for expired ids and merges buckets that hold few. Only ever frees, so it may run on a full server.
   * @param ARGV position, stream time (s), 1 = go on although it is not due. Answers how many buckets it dealt with (0 = nothing is due) and how many there are.
   */
  forget: `#!lua flags=allow-oom
${prelude}${writing}
local state = redis.call('HMGET', key, 'i', 'b', 's', 'x', 'v', 'a', 'p', 'w')
if state[5] ~= '${LAYOUT}' or state[6] ~= ARGV[1] then return {0, 0} end
load(state)
now = math.max(now, tonumber(ARGV[2]))
local place, paid = tonumber(state[7]), tonumber(state[8])
local period = math.max(60, math.min(600, (latest - now) / 8))
if now - paid > period then paid = now - period end
local due = math.floor((now - paid) * buckets / period)
if ARGV[3] == '1' then due = buckets end
if place >= buckets then place = 0 end
local count = math.min(due, buckets - place, ${STEP_BUCKETS})
local writes, gone = {}, {}
local function put(field, records)
  if #records == 0 then gone[#gone + 1] = field else
    writes[#writes + 1] = field
    writes[#writes + 1] = records
  end
end
local function write()
  if #writes > 0 then redis.call('HSET', key, unpack(writes)) end
  if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end
  writes, gone = {}, {}
end
if count > 0 then
  local fields = {}
  for index = 1, count do fields[index] = fieldOf(place + index - 1) end
  local values = redis.call('HMGET', key, unpack(fields))
  for index = 1, count do
    local bucket = values[index]
    if bucket then
      local kept = living(bucket)
      if #kept < #bucket or #kept == 0 then put(fields[index], kept) end
    end
  end
  write()
  place = place + count
  paid = paid + count * period / buckets
end

local function merged(left, right)
  if #left == 0 or #right == 0 or expiryAt(left, #left - ${RECORD_BYTES - 1}) <= expiryAt(right, 1) then return left .. right end
  for at = 1, #right, ${RECORD_BYTES} do
    left = inserted(left, sub(right, at, at + ${RECORD_BYTES - 1}), expiryAt(right, at))
  end
  return left
end
local surplus = buckets - math.max(${bucketsMin}, math.floor(ids * 2 / ${bucketIds}))
local mergedCount = 0
if surplus > 0 then
  local power = powerOfTwo(buckets - 1)
  mergedCount = math.min(surplus, buckets - power, ${STEP_BUCKETS / 2})
  local fields = {}
  for index = 1, mergedCount do
    fields[index * 2 - 1] = fieldOf(buckets - index - power)
    fields[index * 2] = fieldOf(buckets - index)
  end
  local values = redis.call('HMGET', key, unpack(fields))
  buckets = buckets - mergedCount
  local grown = {'b', buckets}
  for index = 1, mergedCount do
    local right = values[index * 2]
    if right then
      gone[#gone + 1] = fields[index * 2]
      grown[#grown + 1] = fields[index * 2 - 1]
      grown[#grown + 1] = merged(living(values[index * 2 - 1] or ''), living(right))
    end
  end
  redis.call('HSET', key, unpack(grown))
  write()
end
if count == 0 and mergedCount == 0 then return {0, buckets} end
save('p', place, 'w', string.format('%.6f', math.min(paid, now)))
return {count + mergedCount, buckets}`,
} as const;

export type WindowScriptName = keyof typeof sources;

/** @param mayExceedMemory Applying goes on where the server is at `maxmemory`. */
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
