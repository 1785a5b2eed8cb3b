import { redisScript } from "../../redis/redis-script.ts";

/**
 * The Lua scripts that read and write partitions. KEYS are a partition's log (a stream) and its state (a
 * hash). The server runs each script atomically, so log and state always agree. Any difference comes from
 * outside of Tidegate.
 *
 * Fields of the state:
 * - lastNumber, lastMs: the newest entry ever;
 * - appendedBytes: bytes of all blocks ever appended;
 * - trimmedNumber, trimmedMs, trimmedBytes: the same for trimmed entries;
 * - retiredFor: id of the stream that replaced this one.
 *
 * Fields of an entry: a = appendedBytes up to and including the entry, b = the block.
 */

/** Creates an empty partition. An existing partition stays unchanged. */
export const createPartition = redisScript(`
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('XGROUP', 'CREATE', KEYS[1], 'tidegate', '$', 'MKSTREAM')
redis.call('XGROUP', 'DESTROY', KEYS[1], 'tidegate')
redis.call('HSET', KEYS[2], 'lastNumber', 0, 'lastMs', 0, 'appendedBytes', 0,
  'trimmedNumber', 0, 'trimmedMs', 0, 'trimmedBytes', 0)
return 1`);

/**
 * Appends blocks to several partitions, one after another. KEYS are their keys. ARGV has for each: number
 * and ms of the newest entry that the caller knows, the number of blocks, and the blocks. A server that is
 * behind that entry was rolled back, and stores nothing in this partition. Another application may have
 * written an entry with the next id in this ms; the following ms is then used. Returns for each partition the
 * ids, or why nothing was stored: gone, rolled-back, overtaken, retired ID, or the server's error. An error
 * in one partition does not affect the others.
 */
export const appendBlocks = redisScript(`
local function isOvertaken(added)
  return added and added['err'] and string.find(added['err'], 'equal or smaller', 1, true)
end
local time = redis.call('TIME')
local nowMs = time[1] * 1000 + math.floor(time[2] / 1000)
local function append(log, key, first, last)
  local state = redis.pcall('HMGET', key, 'lastNumber', 'lastMs', 'appendedBytes', 'retiredFor')
  if state['err'] then return state end
  if state[4] then return 'retired ' .. state[4] end
  if not (state[1] and state[2] and state[3]) then return 'gone' end
  local number, lastMs, bytes = tonumber(state[1]), tonumber(state[2]), tonumber(state[3])
  local known = tonumber(ARGV[first])
  if number < known or (number == known and lastMs ~= tonumber(ARGV[first + 1])) then return 'rolled-back' end
  local ms = math.max(nowMs, lastMs)
  local ids = {}
  for i = first + 3, last do
    local id = string.format('%.0f-%.0f', ms, number + 1)
    local total = string.format('%.0f', bytes + #ARGV[i])
    local added = redis.pcall('XADD', log, 'NOMKSTREAM', id, 'a', total, 'b', ARGV[i])
    if #ids == 0 and isOvertaken(added) then
      ms = ms + 1
      id = string.format('%.0f-%.0f', ms, number + 1)
      added = redis.pcall('XADD', log, 'NOMKSTREAM', id, 'a', total, 'b', ARGV[i])
    end
    if not added or added['err'] then
      if #ids > 0 then break end
      if isOvertaken(added) then return 'overtaken' end
      return added or 'gone'
    end
    number = number + 1
    bytes = bytes + #ARGV[i]
    ids[#ids + 1] = id
  end
  redis.call('HSET', key, 'lastNumber', string.format('%.0f', number), 'lastMs', string.format('%.0f', ms),
    'appendedBytes', string.format('%.0f', bytes))
  return ids
end
local replies, first = {}, 1
for i = 1, #KEYS, 2 do
  local last = first + 2 + ARGV[first + 2]
  local isDone, reply = pcall(append, KEYS[i], KEYS[i + 1], first, last)
  if not isDone then reply = {err = 'ERR ' .. tostring(reply)} end
  replies[#replies + 1] = reply
  first = last + 1
end
return replies`);

/**
 * Reads entries after ARGV[1] ("-" or "(id"): at most ARGV[2] bytes of blocks (but always one block) and
 * ARGV[3] entries. Returns the fields of the state, then the entries in XRANGE's form. XRANGE has no limit of
 * bytes. Each call thus asks for as many entries as would fit if they are like earlier ones, but at most 16.
 */
export const readBlocks = redisScript(`
local state = redis.call('HMGET', KEYS[2], 'lastNumber', 'lastMs', 'appendedBytes',
  'trimmedNumber', 'trimmedMs', 'trimmedBytes', 'retiredFor')
local entries, bytes, after = {}, 0, ARGV[1]
local maxBytes, maxEntries, count = tonumber(ARGV[2]), tonumber(ARGV[3]), 1
while #entries < maxEntries do
  local found = redis.call('XRANGE', KEYS[1], after, '+', 'COUNT', math.min(count, maxEntries - #entries))
  for _, entry in ipairs(found) do
    bytes = bytes + #(entry[2][4] or '')
    if #entries > 0 and bytes > maxBytes then return {state, entries} end
    entries[#entries + 1] = entry
  end
  if #found < count then break end
  after = '(' .. found[#found][1]
  count = math.max(1, math.min(16, math.floor((maxBytes - bytes) * #entries / math.max(bytes, 1))))
end
return {state, entries}`);

/**
 * Removes all entries up to and including the one with ms ARGV[1] and number ARGV[2]. If that entry is
 * missing but the next number has the same ms (a position after a gap), removes the entries below it. Any
 * other position is from a history that this server lost. Entries with the same numbers are then other,
 * unread ones, so nothing is removed. Returns ok or gone.
 */
export const trimBlocks = redisScript(`
local state = redis.call('HMGET', KEYS[2], 'lastNumber', 'lastMs', 'appendedBytes', 'trimmedNumber')
if not (state[1] and state[2] and state[3] and state[4]) then return 'gone' end
local number = tonumber(ARGV[2])
if number <= tonumber(state[4]) then return 'ok' end
local id, bytes = state[2] .. '-' .. state[1], state[3]
local upTo = ARGV[1] .. '-' .. ARGV[2]
if upTo ~= id then
  local last = redis.call('XREVRANGE', KEYS[1], upTo, '-', 'COUNT', 1)[1]
  if not last or last[2][1] ~= 'a' then return 'ok' end
  local behind = string.format('%s-%.0f', ARGV[1], number + 1)
  if last[1] ~= upTo and #redis.call('XRANGE', KEYS[1], behind, behind) == 0 then return 'ok' end
  id, bytes = last[1], last[2][2]
end
local lastMs, lastNumber = string.match(id, '(%d+)-(%d+)')
redis.call('XTRIM', KEYS[1], 'MINID', '=', string.format('%s-%.0f', lastMs, tonumber(lastNumber) + 1))
redis.call('HSET', KEYS[2], 'trimmedNumber', lastNumber, 'trimmedMs', lastMs, 'trimmedBytes', bytes)
return 'ok'`);

/** Returns 1 if the partition holds or has trimmed the entry with ms ARGV[1] and number ARGV[2]. */
export const holdsEntry = redisScript(`
local state = redis.call('HMGET', KEYS[2], 'lastNumber', 'lastMs', 'trimmedNumber')
if not (state[1] and state[2] and state[3]) then return 0 end
local number = tonumber(ARGV[2])
if number <= tonumber(state[3]) then return 1 end
if number > tonumber(state[1]) then return 0 end
local id = string.format('%s-%.0f', ARGV[1], number)
return #redis.call('XRANGE', KEYS[1], id, id)`);

/**
 * Closes a partition in favour of the stream at ARGV[1], if its newest entry has ms ARGV[2] and number
 * ARGV[3]. The partition expires after ARGV[4] s. Returns 1 if it was closed.
 */
export const retirePartitionAt = redisScript(`
local state = redis.call('HMGET', KEYS[2], 'lastMs', 'lastNumber')
if state[1] ~= ARGV[2] or state[2] ~= ARGV[3] then return 0 end
redis.call('HSET', KEYS[2], 'retiredFor', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[4])
return 1`);

/** Reopens a partition that was closed in favour of the stream at ARGV[1]. */
export const reopenPartition = redisScript(`
if redis.call('HGET', KEYS[2], 'retiredFor') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[2], 'retiredFor')
redis.call('PERSIST', KEYS[1])
redis.call('PERSIST', KEYS[2])
return 1`);

/** Closes a partition in favour of the stream ARGV[1]. The partition expires after ARGV[2] s. */
export const retirePartition = redisScript(`
if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
redis.call('HSET', KEYS[2], 'retiredFor', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return 1`);
