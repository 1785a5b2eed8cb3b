import { redisScript } from "../redis/redis-script.ts";

/**
 * All changes of the lease table. Each call is one atomic step of the server, by the server's clock.
 *
 * KEYS[1] is a hash with these fields:
 * - `m:<process>` for each member: {i: incarnation, e: when it runs out, l: leaseMs};
 * - `p:<partition>` for each lease: {o: owner, i: its incarnation, t: token, d: since when it has to be
 *   handed over};
 * - `token`: the highest token ever given.
 *
 * ARGV: join | renew | leave, process, incarnation, leaseMs, the partitions to read (with commas), then
 * `partition:token` of each lease given back.
 *
 * Returns JSON {state, members, waiting, rows} with a row for each of these partitions: false, or [owner, its
 * incarnation, token, runs out in ms, 1 = to be handed over].
 *
 * Each member may have floor(partitions / members). The first members, ordered by number of leases and then
 * by name, may have one more. A member keeps its lowest partitions. Other and free partitions go to members
 * that have too few. A lease changes its owner only after it was given back, ran out, or had to be handed
 * over for as long as a lease lasts.
 *
 * Processes may disagree for a while about which partitions exist. For partitions that the caller did not ask
 * for, leases of other members stay, and its own are freed.
 *
 * A name that joins again is a restarted member and inherits its leases. `allow-oom` is needed because only
 * consumers can empty a full server.
 */
export const leaseScript = redisScript(`#!lua flags=allow-oom
local key, op, name, incarnation = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local leaseMs, asked, isAsked = tonumber(ARGV[4]), {}, {}
for partition in ARGV[5]:gmatch('%d+') do
  asked[#asked + 1] = tonumber(partition)
  isAsked[tonumber(partition)] = true
end
local count = #asked
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local members, leases, top = {}, {}, 0
local fields = redis.call('HGETALL', key)
for at = 1, #fields, 2 do
  local field, value = fields[at], fields[at + 1]
  local kind, rest = field:sub(1, 2), field:sub(3)
  if kind == 'm:' then members[rest] = cjson.decode(value)
  elseif kind == 'p:' then leases[tonumber(rest)] = cjson.decode(value)
  elseif field == 'token' then top = tonumber(value) end
end
local function keepMember(member) redis.call('HSET', key, 'm:' .. member, cjson.encode(members[member])) end
local function drop(member) members[member] = nil redis.call('HDEL', key, 'm:' .. member) end
local function keep(partition) redis.call('HSET', key, 'p:' .. partition, cjson.encode(leases[partition])) end
local function vacate(partition) leases[partition] = nil redis.call('HDEL', key, 'p:' .. partition) end
local function isMine(lease) return lease.o == name and lease.i == incarnation end

for member, facts in pairs(members) do
  if facts.e <= now then drop(member)
  -- The clock was set back.
  elseif facts.e > now + facts.l then facts.e = now + facts.l keepMember(member) end
end
local me = members[name]
local state = 'member'
if me and me.i ~= incarnation and op ~= 'join' then state = 'replaced'
elseif op == 'leave' then
  for partition, lease in pairs(leases) do if isMine(lease) then vacate(partition) end end
  if me then drop(name) end
  state = 'left'
else
  members[name] = { i = incarnation, e = now + leaseMs, l = leaseMs }
  keepMember(name)
end
for at = 6, #ARGV do
  local partition, token = ARGV[at]:match('^(%d+):(%d+)$')
  local lease = leases[tonumber(partition)]
  if lease and isMine(lease) and lease.t == tonumber(token) then vacate(tonumber(partition)) end
end
for partition, lease in pairs(leases) do
  local owner = members[lease.o]
  if lease.d and lease.d > now then lease.d = now keep(partition) end
  if not owner or (isMine(lease) and not isAsked[partition]) or (lease.d and now - lease.d >= owner.l) then vacate(partition) end
end

local held, names = {}, {}
for member in pairs(members) do held[member] = 0 names[#names + 1] = member end
for _, partition in ipairs(asked) do
  local lease = leases[partition]
  if lease then held[lease.o] = held[lease.o] + 1 end
end
table.sort(names, function(a, b) if held[a] ~= held[b] then return held[a] > held[b] end return a < b end)
local quota = {}
for at, member in ipairs(names) do
  quota[member] = math.floor(count / #names) + (at <= count % #names and 1 or 0)
end
table.sort(names)
local target, kept, vacant, surplus = {}, {}, {}, {}
for _, partition in ipairs(asked) do
  local lease = leases[partition]
  if not lease then vacant[#vacant + 1] = partition
  elseif (kept[lease.o] or 0) < quota[lease.o] then
    kept[lease.o] = (kept[lease.o] or 0) + 1
    target[partition] = lease.o
  else surplus[#surplus + 1] = partition end
end
for _, partition in ipairs(surplus) do vacant[#vacant + 1] = partition end
local turn = 1
for _, member in ipairs(names) do
  for _ = (kept[member] or 0) + 1, quota[member] do
    target[vacant[turn]] = member
    turn = turn + 1
  end
end

local waiting, rows = 0, {}
for at, partition in ipairs(asked) do
  local lease, wanted = leases[partition], target[partition]
  local isPredecessors = lease and lease.o == name and lease.i ~= incarnation and state == 'member'
  if isPredecessors and wanted ~= name then vacate(partition) lease = nil end
  if state == 'member' and wanted == name then
    if not lease or isPredecessors then
      top = math.max(top + 1, now)
      redis.call('HSET', key, 'token', string.format('%.0f', top))
      lease = { o = name, i = incarnation, t = top }
      leases[partition] = lease
      keep(partition)
    elseif lease.o ~= name then waiting = waiting + 1 end
  end
  if lease and wanted ~= lease.o then
    if not lease.d then lease.d = now keep(partition) end
  elseif lease and lease.d then lease.d = nil keep(partition) end
  if lease then
    local owner = members[lease.o]
    local left = owner.e - now
    if lease.d then left = math.min(left, lease.d + owner.l - now) end
    rows[at] = { lease.o, lease.i, lease.t, left, lease.d and 1 or 0 }
  else rows[at] = false end
end
if redis.call('EXISTS', key) == 1 then redis.call('PEXPIRE', key, math.max(86400000, 10 * leaseMs)) end
return cjson.encode({ state = state, members = names, waiting = waiting, rows = rows })
`);
