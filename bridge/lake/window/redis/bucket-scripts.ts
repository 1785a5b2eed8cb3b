/**
 * A record in a bucket: 12 bytes of key, content hash, expiry (s). Both numbers have 32 bits, little-endian.
 */
export const recordBytes = 20;
/**
 * Average ids per bucket above which buckets are split; below half of it, they are merged. docs/benchmarks.md
 * has the measurements.
 */
export const bucketIds = 12;
export const bucketsMin = 16;
/** A bucket's name has three bytes. At this number, buckets grow instead of splitting. */
const bucketsMax = 2 ** 24;
/** Buckets that one script splits, searches or merges. */
export const stepBuckets = 512;

/**
 * The whole state of a partition is one hash. So it can be lost or rolled back only as a whole, one UNLINK
 * clears it, and a cluster moves it as a whole.
 *
 * Fields of one letter:
 * - v layout, a applied, t token of the seeding, c progress of a seeding or apply
 * - i ids, b buckets, d buckets of epochs, n epochs
 * - s stream time (s), x latest expiry (s)
 * - p next bucket to search for expired ids, w stream time (s) up to which that search is done
 *
 * Fields of three bytes are buckets: records, sorted by expiry. Fields of four bytes hold epochs
 * (`epoch-scripts.ts`). Linear hashing: bucket b splits into b and b + 2^k, one bucket after the other.
 */
export const windowLayout = "2";

/** Lua functions that find buckets and records. */
export const bucketReading = `
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

-- Contents by field; '' if there is none.
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

/**
 * Lua functions that add records, split buckets, and load and save their counts. Must follow `bucketReading`.
 */
export const bucketWriting = `
local ids, buckets, now, latest

-- Divides a bucket's records of \`size\` bytes: those that stay, and those for the bucket \`power\` further on.
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
  while at <= #bucket and expiryAt(bucket, at) <= now do at = at + ${recordBytes} end
  if at == 1 then return bucket end
  ids = ids - (at - 1) / ${recordBytes}
  return sub(bucket, at)
end

local function inserted(bucket, record, expiry)
  local at = #bucket - ${recordBytes - 1}
  while at >= 1 and expiryAt(bucket, at) > expiry do at = at - ${recordBytes} end
  at = at + ${recordBytes}
  return sub(bucket, 1, at - 1) .. record .. sub(bucket, at)
end

-- Adds records to the buckets in \`contents\`, and names changed buckets in \`changes\`. Inlined: runs per id.
local function add(blob, fields, contents, changes)
  local isChanged = {}
  for index = 1, #fields do
    local record = sub(blob, index * ${recordBytes} - ${recordBytes - 1}, index * ${recordBytes})
    local b1, b2, b3, b4 = byte(record, 17, 20)
    local expiry = b1 + b2 * 256 + b3 * 65536 + b4 * 16777216
    if expiry > now then
      local field = fields[index]
      local bucket = contents[field]
      local known = recordOf(bucket, sub(record, 1, 12), ${recordBytes})
      if not known or expiryAt(bucket, known) < expiry then
        if known then
          bucket = sub(bucket, 1, known - 1) .. sub(bucket, known + ${recordBytes})
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
  local fields = fieldsOf(blob, ${recordBytes}, buckets)
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
  local count = math.min(wanted, power - first, ${stepBuckets})
  local fields = {}
  for index = 1, count do fields[index] = fieldOf(first + index - 1) end
  local values = redis.call('HMGET', key, unpack(fields))
  buckets = buckets + count
  local writes = {'b', buckets}
  for index = 1, count do
    if values[index] then
      local stay, go = parted(living(values[index]), ${recordBytes}, power)
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
