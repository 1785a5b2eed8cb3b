import { exactEpochsMax, exactSpan } from "../dedup-window.ts";

/**
 * A record of an epoch: device key 12, epoch 8, stream time of its newest message (s) 4, highest sequence 6,
 * bitmap. Numbers are little-endian.
 */
const recordBytes = 30 + exactSpan / 8;
/** A record in a look-up: device key, epoch, sequence 6. */
export const askedEpochBytes = 26;
/** A record to add: the same, and the message's stream time (s) 4. */
export const addedEpochBytes = 30;
/** Average epochs per bucket above which buckets are split. */
const bucketEpochs = 12;
const bucketsMin = 16;
const bucketsMax = 2 ** 24;
const splitMax = 256;

/**
 * Lua functions that read the epochs of devices in exact mode. Fields of four bytes that begin with `e` are
 * buckets of epochs. Buckets are chosen by the device's key, as those of ids. Field d counts the buckets,
 * field n the epochs. Bit s mod exactSpan of a bitmap stands for the one sequence s in (high − exactSpan,
 * high] with this remainder. So raising `high` moves no bits. Epochs never expire.
 */
export const epochReading = `
local function sixBytes(text, at)
  local b1, b2, b3, b4, b5, b6 = byte(text, at, at + 5)
  return b1 + b2 * 256 + b3 * 65536 + b4 * 16777216 + b5 * 4294967296 + b6 * 1099511627776
end

local function bucketsOf(blob, step, buckets)
  local fields = fieldsOf(blob, step, buckets)
  for index = 1, #fields do fields[index] = 'e' .. fields[index] end
  return fields, contentsOf(fields)
end

local function isKnown(bucket, at, sequence)
  local high = sixBytes(bucket, at + 24)
  if sequence > high then return false end
  if sequence <= high - ${exactSpan} then return true end
  local place = sequence % ${exactSpan}
  local low = place % 8
  return math.floor(byte(bucket, at + 30 + (place - low) / 8) / 2 ^ low) % 2 == 1
end

-- One byte per record: 1 = known.
local function knownEpochs(blob, buckets)
  local fields, contents = bucketsOf(blob, ${askedEpochBytes}, buckets)
  local known = {}
  for index = 1, #fields do
    local from = (index - 1) * ${askedEpochBytes} + 1
    local bucket = contents[fields[index]]
    local at = recordOf(bucket, sub(blob, from, from + 19), ${recordBytes})
    known[index] = at and isKnown(bucket, at, sixBytes(blob, from + 20)) and '\\1' or '\\0'
  end
  return table.concat(known)
end
`;

/**
 * Lua functions that add epochs and split their buckets; scripts call `addEpochs`. Must follow the functions
 * that write ids.
 */
export const epochWriting = `
local emptyBitmap = string.rep('\\0', ${exactSpan / 8})

local function seconds(text, at)
  local b1, b2, b3, b4 = byte(text, at, at + 3)
  return b1 + b2 * 256 + b3 * 65536 + b4 * 16777216
end

local function withBit(bitmap, sequence, isSet)
  local place = sequence % ${exactSpan}
  local low = place % 8
  local at = (place - low) / 8 + 1
  local old = byte(bitmap, at)
  local was = math.floor(old / 2 ^ low) % 2 == 1
  if was == isSet then return bitmap end
  return sub(bitmap, 1, at - 1) .. char(isSet and old + 2 ^ low or old - 2 ^ low) .. sub(bitmap, at + 1)
end

-- The high and the bitmap of a record after a sequence was added.
local function marked(highBytes, bitmap, sequence, sequenceBytes)
  local high = sixBytes(highBytes, 1)
  if sequence <= high - ${exactSpan} then return highBytes .. bitmap end
  if sequence >= high + ${exactSpan} then
    bitmap = emptyBitmap
  else
    for between = high + 1, sequence - 1 do bitmap = withBit(bitmap, between, false) end
  end
  return (sequence > high and sequenceBytes or highBytes) .. withBit(bitmap, sequence, true)
end

-- Place of a new epoch: after the others, or that of the device's oldest epoch; nil if all are newer.
local function placeOf(bucket, device, seen)
  local count, oldest, oldestSeen = 0, nil, nil
  for at = 1, #bucket, ${recordBytes} do
    if sub(bucket, at, at + 11) == device then
      count = count + 1
      local other = seconds(bucket, at + 20)
      if not oldest or other < oldestSeen then oldest, oldestSeen = at, other end
    end
  end
  if count < ${exactEpochsMax} then return #bucket + 1, 1 end
  if oldestSeen > seen then return nil end
  return oldest, 0
end

local function splitEpochs(epochs, buckets)
  local wanted = math.min(math.ceil(epochs / ${bucketEpochs}), ${bucketsMax}) - buckets
  if wanted <= 0 then return buckets end
  local power = powerOfTwo(buckets)
  local first = buckets - power
  local count = math.min(wanted, power - first, ${splitMax})
  local fields = {}
  for index = 1, count do fields[index] = 'e' .. fieldOf(first + index - 1) end
  local values = redis.call('HMGET', key, unpack(fields))
  local writes = {}
  for index = 1, count do
    if values[index] then
      local stay, go = parted(values[index], ${recordBytes}, power)
      writes[#writes + 1] = fields[index]
      writes[#writes + 1] = stay
      writes[#writes + 1] = 'e' .. fieldOf(first + index - 1 + power)
      writes[#writes + 1] = go
    end
  end
  if #writes > 0 then redis.call('HSET', key, unpack(writes)) end
  return buckets + count
end

local function addEpochs(blob)
  if #blob == 0 then return end
  local state = redis.call('HMGET', key, 'd', 'n')
  local buckets, epochs = tonumber(state[1] or ${bucketsMin}), tonumber(state[2] or 0)
  local fields, contents = bucketsOf(blob, ${addedEpochBytes}, buckets)
  local isChanged = {}
  for index = 1, #fields do
    local from = (index - 1) * ${addedEpochBytes} + 1
    local field = fields[index]
    local bucket = contents[field]
    local name = sub(blob, from, from + 19)
    local sequenceBytes = sub(blob, from + 20, from + 25)
    local seenBytes = sub(blob, from + 26, from + 29)
    local high, bitmap = '\\0\\0\\0\\0\\0\\0', emptyBitmap
    local at = recordOf(bucket, name, ${recordBytes})
    if at then
      high = sub(bucket, at + 24, at + 29)
      bitmap = sub(bucket, at + 30, at + ${recordBytes - 1})
      if seconds(bucket, at + 20) > seconds(seenBytes, 1) then seenBytes = sub(bucket, at + 20, at + 23) end
    else
      local added
      at, added = placeOf(bucket, sub(name, 1, 12), seconds(seenBytes, 1))
      if at then epochs = epochs + added end
    end
    if at then
      local record = name .. seenBytes .. marked(high, bitmap, sixBytes(sequenceBytes, 1), sequenceBytes)
      contents[field] = sub(bucket, 1, at - 1) .. record .. sub(bucket, at + ${recordBytes})
      isChanged[field] = true
    end
  end
  local writes = {}
  for field in pairs(isChanged) do
    writes[#writes + 1] = field
    writes[#writes + 1] = contents[field]
  end
  if #writes > 0 then redis.call('HSET', key, unpack(writes)) end
  redis.call('HSET', key, 'd', splitEpochs(epochs, buckets), 'n', epochs)
end
`;

/** Buckets of epochs in a new window. */
export const epochBucketsFirst = bucketsMin;
