#!lua name=wedops_connections
-- The registry. Gateways in any language call it with FCALL; every call is atomic, so counts do not drift.
--
-- KEYS[1] is always the shard, `wedops:{N}` with N = crc32(tenant) % shards; the tenant is the supplier, or
-- the wedding for its couple and guests, or else the user. All keys of a shard begin with it and share its
-- hash tag, as Redis Cluster wants.
--   <shard>:t:<tenant>  hash    user -> the user's connections (see RECORD): the one truth
--   <shard>:tenants     set     the tenants whose hash may be there: what an audit reads
--   <shard>:active      zset    ref -> last sign of life, ms; a ref is tenant/user/id
--   <shard>:poor        zset    ref -> quality score of couples and planners whose score is low
--   <shard>:heavy       zset    ref -> messages since it was opened, of those with the most
--   <shard>:counts      hash    `node:x`, `supplier:x`, `rt:region|type`, `wt:wedding|type` -> open,
--                               `subs:region` -> channels; `moves` -> changes ever
--   <shard>:flow        hash    `region|what` -> counters since the last snapshot: opened, reused,
--                               refused:why, messages, rtt buckets, what gateways observed, …
--   <shard>:taken       hash    drained counters; gone when they are kept elsewhere. Both have the names
--                               that the version before knows
--   <shard>:drained     string  when counters were drained last, ms
--   <shard>:limits      hash    what admission obeys: `shards`, `policy` (msgpack), `supplier:x`,
--                               `profile:x`, `out:node`, `drained:node`; see limit()
--   <shard>:r:<what>    string  a rate limit's theoretical arrival time, ms; gone when it is past

local BOUNDS = {25, 50, 100, 200, 350, 500, 750, 1000, 1500, 2000, 3000, 5000, 10000, 30000}
local LETTERS = {couple = 'c', planner = 'p', vendor = 'v', guest = 'g'}
local TYPES = {c = 'couple', p = 'planner', v = 'vendor', g = 'guest'}
-- RECORD: fields with commas between them, for a name a field would double the size; records of one user with
-- bars, channels of one record with semicolons. No id may have any of these. Text, for one match reads it and
-- one concat writes it, faster than msgpack or JSON in a function; what ends a connection needs comes first,
-- so that a sweep reads no more. Before a user's records stands their form, `2:`; no id has a colon, so what
-- has none there is of form 1. A new form: its pattern in FORMS, the fields that older ones lack in
-- `readable`, a sample in tests/integration/connections/test_forms.py.
local ID, TYPE, NODE, REGION, WEDDING, SUPPLIER, CHANNELS, VERSION, DEVICE, OPENED, BACKUP = 1, 2, 3, 4, 5,
  6, 7, 8, 9, 10, 11
local SRTT, JITTER, MESSAGES, ERRORS, BYTES, RECONNECTS = 12, 13, 14, 15, 16, 17
local FIRST_FIELDS = '^([^,]*),([^,]*),([^,]*),([^,]*),([^,]*),([^,]*),([^,]*),'
local ALL_FIELDS = FIRST_FIELDS .. '([^,]*),([^,]*),([^,]*),([^,]*),'
  .. '([^,]*),([^,]*),([^,]*),([^,]*),([^,]*),(.*)$'
local FORMS, FORM, COLON = {ALL_FIELDS, ALL_FIELDS}, 2, 58
-- A channel's name has room for a kind, a wedding and a supplier.
local MAX_CHANNELS, MAX_IN_A_CALL, MAX_IN_A_NAME = 100, 2000, 320
-- Of a tenant that has more users no call reads all.
local MANY = 250

-- CRC-32 as zlib has it (ISO 3309), so that every language finds the same shard.
local CRC = {}

local function crc32(text)
  local band, bxor, rshift = bit.band, bit.bxor, bit.rshift
  -- Made at the first call: a library that loads has no bit operations yet.
  if not CRC[0] then
    for i = 0, 255 do
      local c = i
      for _ = 1, 8 do c = band(c, 1) == 1 and bxor(rshift(c, 1), 0xEDB88320) or rshift(c, 1) end
      CRC[i] = c
    end
  end
  local c = 0xFFFFFFFF
  for i = 1, #text do c = bxor(CRC[band(bxor(c, string.byte(text, i)), 0xFF)], rshift(c, 8)) end
  return bxor(c, 0xFFFFFFFF) % 4294967296
end

-- Returns a number between two bounds, or what stands for one. NaN is between none.
local function number_in(text, default, min, max)
  local number = tonumber(text)
  if number and number >= min and number <= max then return number end
  return default
end

-- Returns what is wrong with a shard's key, or nothing: a record in a key that no sweep visits would live for
-- ever.
local function bad_shard(shard, shards, tenant)
  local number = tonumber(string.match(shard or '', '^wedops:{(%d+)}$'))
  if not number or not shards or number >= shards then
    return 'the key must be wedops:{N} with N below the number of shards; if it is, run `wedops migrate`'
  end
  if tenant and crc32(tenant) % shards ~= number then
    return 'the key must be wedops:{' .. crc32(tenant) % shards .. '} for tenant ' .. tenant
  end
end

-- Returns a problem, or nothing; what is not needed may be missing.
local function problem(name, value, needed)
  if value == nil or value == cjson.null or value == '' then
    if needed then return name .. ' is missing; send it' end
    return nil
  end
  local wrong = bad_id(name, value)
  if wrong then return wrong end
  if name == 'user_id' and string.find(value, '@', 1, true) then
    return 'user_id must be an id, and nobody\'s mail address'
  end
end

-- A channel's kind is the text before its first colon, so it cannot begin with one.
local function bad_channel(channel)
  if type(channel) ~= 'string' or #channel > MAX_IN_A_NAME or string.find(channel, '::', 1, true)
    or string.sub(channel, -1) == ':' or not string.match(channel, '^%w[%w._@:-]*$') then
    return 'channels must be a kind and ids with colons between them, ' .. MAX_IN_A_NAME
      .. ' characters at most'
  end
end

local function bad_channels(channels)
  if channels == nil then return nil end
  if type(channels) ~= 'table' or (next(channels) ~= nil and #channels == 0) then
    return 'channels must be a list'
  end
  if #channels > MAX_CHANNELS then return 'channels must be ' .. MAX_CHANNELS .. ' at most' end
  for _, channel in ipairs(channels) do
    local wrong = bad_channel(channel)
    if wrong then return wrong end
  end
end
