import {
  bucketIds,
  bucketReading,
  bucketsMin,
  bucketWriting,
  recordBytes,
  stepBuckets,
  windowLayout,
} from "./bucket-scripts.ts";

/**
 * Searches some buckets for expired ids, and merges buckets with few ids. Only frees memory, so it may run
 * on a full server.
 * @param ARGV position, stream time (s), 1 = even if no bucket is due. Answers the number of processed
 *   buckets (0 = none is due) and the number of all buckets.
 */
export const forgetScript = `#!lua flags=allow-oom
${bucketReading}${bucketWriting}
local state = redis.call('HMGET', key, 'i', 'b', 's', 'x', 'v', 'a', 'p', 'w')
if state[5] ~= '${windowLayout}' or state[6] ~= ARGV[1] then return {0, 0} end
load(state)
now = math.max(now, tonumber(ARGV[2]))
local place, paid = tonumber(state[7]), tonumber(state[8])
local period = math.max(60, math.min(600, (latest - now) / 8))
if now - paid > period then paid = now - period end
local due = math.floor((now - paid) * buckets / period)
if ARGV[3] == '1' then due = buckets end
if place >= buckets then place = 0 end
local count = math.min(due, buckets - place, ${stepBuckets})
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
  if #left == 0 or #right == 0 or expiryAt(left, #left - ${recordBytes - 1}) <= expiryAt(right, 1) then return left .. right end
  for at = 1, #right, ${recordBytes} do
    left = inserted(left, sub(right, at, at + ${recordBytes - 1}), expiryAt(right, at))
  end
  return left
end
local surplus = buckets - math.max(${bucketsMin}, math.floor(ids * 2 / ${bucketIds}))
local mergedCount = 0
if surplus > 0 then
  local power = powerOfTwo(buckets - 1)
  mergedCount = math.min(surplus, buckets - power, ${stepBuckets / 2})
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
return {count + mergedCount, buckets}`;
