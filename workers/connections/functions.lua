#!lua name=wedops_connections
-- The registry. Gateways in any language call it with FCALL; every call is atomic, so counts do not drift.
--
-- KEYS[1] is always the shard, `wedops:{N}` with N = crc32(tenant) % shards; the tenant is the supplier, or the wedding for
-- its couple and guests. All keys of a shard begin with it and share its hash tag, as Redis Cluster wants.
--   <shard>:c:<id>    hash    the connection
--   <shard>:active    zset    id -> last sign of life, ms
--   <shard>:counts    hash    `type:guest`, `region:x`, `node:x`, `wedding:x`, `supplier:x`, `user:x`, `rt:region|type` -> open
--   <shard>:flow      hash    `region|what` -> since the last snapshot: opened, closed, swept, messages, errors, bytes, rtt buckets
-- Time is the server's: no gateway's clock can make a live connection look abandoned.

local BOUNDS = {25, 50, 100, 200, 350, 500, 750, 1000, 1500, 2000, 3000, 5000, 10000, 30000}
local TYPES = {couple = true, planner = true, vendor = true, guest = true}
local COUNTED = {node = 'node', region = 'region', user_type = 'type', wedding_id = 'wedding', supplier_id = 'supplier', user_id = 'user'}

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function refuse(text)
  return redis.error_reply('REFUSED ' .. text)
end

-- Returns a problem, or nothing. Ids go into key names, so they are checked here and nowhere else has to.
local function problem(name, value, needed)
  if value == nil or value == cjson.null or value == '' then
    if needed then return name .. ' is missing; send it' end
    return nil
  end
  if type(value) ~= 'string' or #value > 128 or not string.match(value, '^[%w._:@-]+$') then
    return name .. ' must be 1-128 letters, digits, dots, colons, dashes, underscores'
  end
end

local function count(shard, connection, by)
  local counts = shard .. ':counts'
  for field, name in pairs(COUNTED) do
    local value = connection[field]
    if value and value ~= '' then
      local left = redis.call('HINCRBY', counts, name .. ':' .. value, by)
      if left <= 0 then redis.call('HDEL', counts, name .. ':' .. value) end
    end
  end
  local both = 'rt:' .. connection.region .. '|' .. connection.user_type
  if redis.call('HINCRBY', counts, both, by) <= 0 then redis.call('HDEL', counts, both) end
end

local function flow(shard, region, what, by)
  redis.call('HINCRBY', shard .. ':flow', region .. '|' .. what, by)
end

local function facts(shard, id)
  local flat = redis.call('HGETALL', shard .. ':c:' .. id)
  if #flat == 0 then return nil end
  local connection = {}
  for i = 1, #flat, 2 do connection[flat[i]] = flat[i + 1] end
  return connection
end

local function forget(shard, id, connection)
  redis.call('DEL', shard .. ':c:' .. id)
  redis.call('ZREM', shard .. ':active', id)
  if connection then count(shard, connection, -1) end
end

-- KEYS shard; ARGV connection as JSON. Returns 1 for a new connection, 0 for one that was known (it is replaced).
local function register(keys, args)
  local read, connection = pcall(cjson.decode, args[1] or '')
  if not read or type(connection) ~= 'table' then return refuse('the connection must be a JSON object') end
  for _, name in ipairs({'id', 'user_id', 'user_type', 'node', 'region'}) do
    local wrong = problem(name, connection[name], true)
    if wrong then return refuse(wrong) end
  end
  for _, name in ipairs({'wedding_id', 'supplier_id', 'api_version'}) do
    local wrong = problem(name, connection[name], false)
    if wrong then return refuse(wrong) end
    if connection[name] == cjson.null then connection[name] = nil end
  end
  if not TYPES[connection.user_type] then
    return refuse("user_type must be one of couple, planner, vendor, guest")
  end
  local shard, id = keys[1], connection.id
  local known = facts(shard, id)
  if known then count(shard, known, -1) end
  local now = now_ms()
  redis.call('DEL', shard .. ':c:' .. id)
  redis.call('HSET', shard .. ':c:' .. id,
    'user_id', connection.user_id, 'user_type', connection.user_type, 'node', connection.node,
    'region', connection.region, 'wedding_id', connection.wedding_id or '', 'supplier_id', connection.supplier_id or '',
    'api_version', connection.api_version or '', 'opened', now)
  redis.call('ZADD', shard .. ':active', now, id)
  count(shard, connection, 1)
  if not known then flow(shard, connection.region, 'opened', 1) end
  return known and 0 or 1
end

-- KEYS shard; ARGV id, rtt_ms (or ''), messages, errors, bytes since the last one. Returns 1, or 0 when the connection is
-- not known (any more): the gateway registers it again or ends it.
local function heartbeat(keys, args)
  local shard, id = keys[1], args[1]
  local key = shard .. ':c:' .. id
  local region = redis.call('HGET', key, 'region')
  if not region then return 0 end
  redis.call('ZADD', shard .. ':active', 'XX', now_ms(), id)
  local rtt = tonumber(args[2])
  if rtt and rtt >= 0 and rtt < math.huge then
    redis.call('HSET', key, 'rtt_ms', math.floor(rtt))
    local bucket = BOUNDS[#BOUNDS]
    for _, bound in ipairs(BOUNDS) do
      if rtt <= bound then bucket = bound break end
    end
    flow(shard, region, 'rtt:' .. bucket, 1)
  end
  for place, name in ipairs({'messages', 'errors', 'bytes'}) do
    local by = tonumber(args[place + 2])
    if by and by > 0 and by < 2^53 then flow(shard, region, name, math.floor(by)) end
  end
  return 1
end

-- KEYS shard; ARGV id. The socket broke without a goodbye: the next sweep ends it, unless it beats again before.
local function lost(keys, args)
  return redis.call('ZADD', keys[1] .. ':active', 'XX', 'CH', 0, args[1])
end

-- KEYS shard; ARGV id. Returns 1, or 0 when it was not known.
local function close(keys, args)
  local connection = facts(keys[1], args[1])
  if not connection then return 0 end
  forget(keys[1], args[1], connection)
  flow(keys[1], connection.region, 'closed', 1)
  return 1
end

-- KEYS shard; ARGV idle_ms, most. Ends up to `most` connections that showed no life for idle_ms, and tells their gateways.
-- Returns how many; costs what is stale, not what exists.
local function sweep(keys, args)
  local shard = keys[1]
  local stale = redis.call('ZRANGEBYSCORE', shard .. ':active', '-inf', now_ms() - tonumber(args[1]), 'LIMIT', 0, tonumber(args[2]))
  for _, id in ipairs(stale) do
    local connection = facts(shard, id)
    forget(shard, id, connection)
    if connection then
      flow(shard, connection.region, 'swept', 1)
      redis.call('PUBLISH', 'wedops:close:' .. connection.node, id)
    end
  end
  return #stale
end

-- KEYS shard; ARGV silent_ms, most. Returns {counts, flow, silent}: what is open by region, what went by since the last call, and by
-- region how many (of `most`) showed no life for silent_ms. The flow begins anew.
local function snapshot(keys, args)
  local shard = keys[1]
  local all, counts = redis.call('HGETALL', shard .. ':counts'), {}
  for i = 1, #all, 2 do
    if string.match(all[i], '^r[et]') then
      counts[#counts + 1] = all[i]
      counts[#counts + 1] = all[i + 1]
    end
  end
  local passed = redis.call('HGETALL', shard .. ':flow')
  redis.call('DEL', shard .. ':flow')
  local quiet = redis.call('ZRANGEBYSCORE', shard .. ':active', '-inf', now_ms() - tonumber(args[1]), 'LIMIT', 0, tonumber(args[2]))
  local by_region, silent = {}, {}
  for _, id in ipairs(quiet) do
    local region = redis.call('HGET', shard .. ':c:' .. id, 'region')
    if region then by_region[region] = (by_region[region] or 0) + 1 end
  end
  for region, many in pairs(by_region) do
    silent[#silent + 1] = region
    silent[#silent + 1] = many
  end
  return {counts, passed, silent}
end

redis.register_function('wedops_register', register)
redis.register_function('wedops_heartbeat', heartbeat)
redis.register_function('wedops_lost', lost)
redis.register_function('wedops_close', close)
redis.register_function('wedops_sweep', sweep)
redis.register_function('wedops_snapshot', snapshot)
