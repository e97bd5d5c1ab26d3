-- GCRA (ITU-T I.371): `every` ms between attempts, `burst` of them at once. Returns the ms to wait, or 0 and
-- the new arrival time.
local function wait_of(key, every, burst, now)
  local arrival = math.max(now, tonumber(redis.call('GET', key)) or 0)
  if arrival - now > every * (burst - 1) then return arrival - now - every * (burst - 1), nil end
  return 0, arrival + every
end

-- What is limited, whose field of the request says who it is, and the limit's own two.
local RATED = {
  'user', 'user_id', 'user_every', 'user_burst',
  'supplier', 'supplier_id', 'supplier_every', 'supplier_burst',
  'address', 'address', 'address_every', 'address_burst',
}

-- Returns the ms to wait and which limit says so. Attempts are what is limited: one that is refused has cost
-- what it passed.
local function too_fast(shard, limits, request, now)
  for i = 1, #RATED, 4 do
    local holder, every = request[RATED[i + 1]], limits[RATED[i + 2]]
    -- A venue's guests share one address, a supplier's vendors its rate; they must not use up the couple's or
    -- the planner's turn.
    local spared = RATED[i] ~= 'user' and not (request.user_type == 'guest' or request.user_type == 'vendor')
    if holder and every and not spared then
      local key = shard .. ':r:' .. RATED[i] .. ':' .. holder
      -- Who did not try of late has no key: one call asks and charges.
      if not redis.call('SET', key, now + every, 'NX', 'PX', every) then
        local wait, arrival = wait_of(key, every, limits[RATED[i + 3]], now)
        if wait > 0 then return wait, RATED[i] .. '_rate' end
        redis.call('SET', key, arrival, 'PX', math.max(1, math.ceil(arrival - now)))
      end
    end
  end
end

-- Anything over a base wait is jitter, from what differs between callers: math.random does not, in a
-- function.
local function later(reason, base, id, now)
  local jitter = base * (crc32(id .. now) % 1000) / 2000
  return {ok = false, reason = reason, retry_after_ms = math.ceil(base + jitter)}
end

-- Returns the shard's policy, with this supplier's own limit, and how many shards there are; the policy is
-- empty before `limit`.
local function limits_of(shard, request)
  local supplier, node = 'supplier:' .. (request.supplier_id or ''), 'drained:' .. (request.node or '')
  local found = redis.call('HMGET', shard .. ':limits', 'shards', 'policy', supplier, node)
  local limits = found[2] and cmsgpack.unpack(found[2]) or {}
  -- A plan never gives less than everybody has.
  limits.supplier = limits.supplier and math.max(limits.supplier, tonumber(found[3]) or 0)
  limits.drained = found[4] and true
  heed_emergencies(limits, request.wedding_id, request.region)
  return limits, tonumber(found[1])
end

-- Which of a user's connections can take these channels: alive, of the same kind of channel, and good enough.
local function reusable(shard, prefix, records, request, limits, now)
  local kinds = {}
  for _, channel in ipairs(request.channels or {}) do kinds[kind_of(channel)] = true end
  for i, record in ipairs(records) do
    local seen = tonumber(redis.call('ZSCORE', shard .. ':active', prefix .. record[ID]))
    local same = false
    for _, channel in ipairs(channels_of(record)) do same = same or kinds[kind_of(channel)] end
    local own = record[WEDDING] == (request.wedding_id or '') and record[TYPE] == LETTERS[request.user_type]
    if same and own and record[BACKUP] == '0' and seen and now - seen < (limits.healthy_ms or 60000)
      and score(record) >= 50 then
      return i
    end
  end
end

-- A backup is of use on another node only.
local function beside_itself(request, records)
  for _, record in ipairs(records) do
    if request.backup and record[ID] ~= request.id and record[NODE] == request.node then return true end
  end
end

-- Couple and planners may have one; a supplier that owns a critical moment, until its wedding is over.
local function may_back_up(shard, request)
  if request.user_type == 'couple' or request.user_type == 'planner' then return true end
  local key = shard .. ':critical:' .. (request.supplier_id or '')
  return request.user_type == 'vendor' and redis.call('EXISTS', key) == 1
end

local function over_limit(shard, limits, request, records, now)
  local mine = 0
  for _, record in ipairs(records) do
    if record[BACKUP] == (request.backup and '1' or '0') then mine = mine + 1 end
  end
  if request.backup and not may_back_up(shard, request) then
    return later('backup_not_allowed', 3600000, request.id, now)
  end
  if mine >= (request.backup and 1 or limits.user or 5) then
    return later('user_limit', 30000, request.id, now)
  end
  if request.supplier_id and limits.supplier then
    local open = tonumber(redis.call('HGET', shard .. ':counts', 'supplier:' .. request.supplier_id)) or 0
    -- A supplier's vendors never take the places of its planners, which are a few beyond the limit.
    local planner = request.user_type == 'planner' or request.user_type == 'couple'
    local share = limits.shares and limits.shares.vendor or limits.vendors or 1
    local limit = planner and math.ceil(limits.supplier / share) or limits.supplier
    if open >= limit then return later('supplier_limit', 10000, request.id, now) end
  end
  -- Who holds the socket already is no newcomer to its node.
  if limits.drained then return later('node_draining', 1000, request.id, now) end
  if request.resume then return nil end
  -- Who is in a ceremony has a place: guests stop below the brim, then vendors.
  if (tonumber(request.held) or 0) >= allowed(limits, tonumber(request.capacity), request.user_type) then
    return later('pool_full', 2000, request.id, now)
  end
end

local NEEDED, NUMBERS = {'id', 'user_id', 'user_type', 'node', 'region'}, {'held', 'capacity', 'reconnects'}
local FLAGS = {'reuse', 'backup', 'resume'}
local OPTIONAL = {'wedding_id', 'supplier_id', 'supplier_type', 'api_version', 'device', 'address'}

-- What a sound request passes in one step; what does not is looked at field by field, for its name.
local function plainly_sound(request)
  local user = request.user_id
  return is_id(request.id) and is_id(user) and is_id(request.user_type) and is_id(request.node)
    and is_id(request.region) and is_id(request.wedding_id or 'w') and is_id(request.supplier_id or 's')
    and is_id(request.address or 'a')
    and is_id(request.api_version or 'v') and is_id(request.device or 'd')
    and is_id(request.supplier_type or 't') and not string.find(user, '@', 1, true)
end

local function bad_fields(request)
  for _, name in ipairs(NEEDED) do
    local wrong = problem(name, request[name], true)
    if wrong then return wrong end
  end
  for _, name in ipairs(OPTIONAL) do
    local wrong = problem(name, request[name], false)
    if wrong then return wrong end
    if request[name] == '' then request[name] = nil end
  end
end

local function bad_request(request)
  if not plainly_sound(request) then
    for name, value in pairs(request) do
      if value == cjson.null then request[name] = nil end
    end
    local wrong = bad_fields(request)
    if wrong then return wrong end
  end
  if request.device and request.device ~= 'mobile' and request.device ~= 'fixed' then
    return 'device must be mobile or fixed'
  end
  for _, name in ipairs(NUMBERS) do
    local value = request[name]
    if value == cjson.null then
      request[name] = nil
    elseif value ~= nil and (type(value) ~= 'number' or value < 0 or value > 1e9 or value % 1 ~= 0) then
      return name .. ' must be a whole number from 0 to 1000000000'
    end
  end
  if not LETTERS[request.user_type] then return 'user_type must be one of couple, planner, vendor, guest' end
  for _, name in ipairs(FLAGS) do
    local value = request[name]
    if value == cjson.null then
      request[name] = nil
    elseif value ~= nil and type(value) ~= 'boolean' then
      return name .. ' must be true or false'
    end
  end
  if request.channels == cjson.null then request.channels = nil end
  return bad_channels(request.channels)
end

-- A node that is out holds no sockets, and neither does a connection that was lost: they must not keep their
-- people's places.
local function without_dead(shard, tenant, user, records, but)
  local gone, prefix = {}, tenant .. '/' .. user .. '/'
  for i = #records, 1, -1 do
    local record = records[i]
    local lost = record[ID] ~= but and redis.call('ZSCORE', shard .. ':active', prefix .. record[ID]) == '0'
    if lost or redis.call('HEXISTS', shard .. ':limits', 'out:' .. record[NODE]) == 1 then
      count_one(shard, table.remove(records, i), -1)
      redis.call('HINCRBY', shard .. ':flow', record[REGION] .. '|swept', 1)
      gone[#gone + 1] = prefix .. record[ID]
    end
  end
  if #gone > 0 then
    hold(shard, tenant, user, records)
    forget(shard, gone)
  end
end

-- Counts a refusal and answers it.
local function turned_away(shard, region, answer)
  redis.call('HINCRBY', shard .. ':flow', region .. '|refused:' .. answer.reason, 1)
  return cjson.encode(answer)
end

local function new_record(request, now)
  return {request.id, LETTERS[request.user_type], request.node, request.region,
    request.wedding_id or '', request.supplier_id or '', '', request.api_version or '', request.device or '',
    math.floor(now / 1000), request.backup and '1' or '0',
    '0', '0', '0', '0', '0', request.reconnects or '0'}
end

-- Has a person join by a connection that they have already.
local function join_again(shard, tenant, user, records, again, request, person)
  local record = records[again]
  local had = subscriptions(record)
  local kinds = subscribe_to(record, request.channels, person)
  hold(shard, tenant, user, records)
  count_channels(shard, record, had)
  redis.call('HINCRBY', shard .. ':flow', record[REGION] .. '|reused', 1)
  local channels = table.concat(request.channels or {}, ' ')
  redis.call('PUBLISH', 'wedops:reused:' .. record[NODE], record[ID] .. ' ' .. channels)
  local ref = tenant .. '/' .. user .. '/' .. record[ID]
  return cjson.encode({ok = true, ref = ref, node = record[NODE], reused = true, kinds = kinds})
end

-- Writes a connection that may be, in the place of the `same` one that a gateway opens again.
local function admit(shard, tenant, user, records, same, request, person, now)
  local ref = tenant .. '/' .. user .. '/' .. request.id
  if same then
    count_one(shard, table.remove(records, same), -1)
    -- Its messages are counted from now on.
    redis.call('ZREM', shard .. ':heavy', ref)
  end
  local record = new_record(request, now)
  local channels, kinds = request.channels or {}, nil
  if #channels == 0 then
    record[CHANNELS] = ''
  elseif #channels == 1 and not person.profile and not not_theirs(record, person, channels[1]) then
    record[CHANNELS] = channels[1]
  else
    kinds = subscribe_to(record, channels, person)
  end
  records[#records + 1] = record
  hold(shard, tenant, user, records)
  redis.call('ZADD', shard .. ':active', now, ref)
  count_one(shard, record, 1)
  if not same then redis.call('HINCRBY', shard .. ':flow', request.region .. '|opened', 1) end
  -- Ids are checked, so the answer that nearly all get is put together by hand.
  return '{"ok":true,"ref":"' .. ref .. '","node":"' .. request.node .. '","reused":false'
    .. (kinds and ',"kinds":' .. cjson.encode(kinds) or '') .. '}'
end

-- KEYS shard; ARGV request as JSON. Returns JSON: {ok: true, ref, node, reused, kinds} or {ok: false, reason,
-- retry_after_ms}.
local function open(keys, args)
  local shard, read, request = keys[1], pcall(cjson.decode, args[1] or '')
  if not read or type(request) ~= 'table' then return refuse('the connection must be a JSON object') end
  local wrong = bad_request(request)
  if wrong then
    -- Only a shard of ours counts it: a key that somebody made up gets no record of any kind.
    if redis.call('EXISTS', (shard or '') .. ':limits') == 1 then
      redis.call('HINCRBY', shard .. ':flow', '|refused:invalid', 1)
    end
    return refuse(wrong)
  end
  local tenant, user, id, region = request.supplier_id or request.wedding_id or request.user_id,
    request.user_id, request.id, request.region
  local limits, shards = limits_of(shard, request)
  -- Working out a checksum is dear: whose tenant is here already was let in by it.
  local new_here = redis.call('EXISTS', group(shard, tenant)) == 0
  wrong = bad_shard(shard, shards, new_here and tenant or nil)
  if wrong then return refuse(wrong) end
  local now, wait, rate = now_ms(), nil, nil
  if not request.resume then wait, rate = too_fast(shard, limits, request, now) end
  if wait then return turned_away(shard, region, later(rate, math.max(wait, 50), id, now)) end
  local records = held(shard, tenant, user)
  local same = index_of(records, id)
  if #records > 0 then without_dead(shard, tenant, user, records, id) end
  local person = person_of(shard, user, request.supplier_type)
  local again = request.reuse and not same
    and reusable(shard, tenant .. '/' .. user .. '/', records, request, limits, now)
  if again then return join_again(shard, tenant, user, records, again, request, person) end
  -- Who has a place keeps it: a gateway that opens again what it holds is no newcomer.
  same = index_of(records, id)
  local refusal = beside_itself(request, records) and later('backup_same_node', 1000, request.id, now)
    or not same and over_limit(shard, limits, request, records, now)
  if refusal then return turned_away(shard, region, refusal) end
  if new_here then redis.call('SADD', shard .. ':tenants', tenant) end
  return admit(shard, tenant, user, records, same, request, person, now)
end

-- KEYS shard; ARGV number of shards, policy as JSON, then name, value … of single limits (`supplier:x`,
-- `profile:x`, `out:node`, `drained:node`; an empty value takes one away). What admission obeys from now on.
local function limit(keys, args)
  local key = keys[1] .. ':limits'
  local wrong = bad_shard(keys[1], tonumber(args[1]))
  if wrong then return refuse(wrong) end
  redis.call('HSET', key, 'shards', args[1], 'policy', cmsgpack.pack(cjson.decode(args[2])))
  for i = 3, #args - 1, 2 do
    if args[i + 1] == '' then
      redis.call('HDEL', key, args[i])
    else
      redis.call('HSET', key, args[i], args[i + 1])
    end
  end
  return 1
end

-- Why a gateway may refuse somebody by itself. A label of metrics is made of it, so there are no others.
local OWN_REASONS = {
  token_missing = true, token_invalid = true, token_expired = true, token_key_unknown = true,
  token_revoked = true, wrong_wedding = true, region_full = true, too_fast = true,
}

-- KEYS shard of the address; ARGV region, reason, address (opaque). Counts an attempt that the gateway itself
-- refused, e.g. for its token. Returns how many ms the caller has to wait: nothing for a slip, more and more
-- for who keeps trying.
local function refused(keys, args)
  local shard, region, reason, address = keys[1], args[1], args[2], args[3]
  local _, shards = limits_of(shard, {})
  local wrong = bad_shard(shard, shards) or problem('region', region, true)
    or problem('address', address, true)
  if not wrong and not OWN_REASONS[reason or ''] then
    wrong = 'reason must be token_missing, token_invalid, token_expired, token_key_unknown, token_revoked, '
      .. 'wrong_wedding, region_full or too_fast'
  end
  if wrong then return refuse(wrong) end
  local book, now, key = ledger(shard), now_ms(), shard .. ':r:refused:' .. address
  local wait, arrival = wait_of(key, 1000, 10, now)
  if arrival then redis.call('SET', key, arrival, 'PX', math.ceil(arrival - now)) end
  increment(book, region, 'refused:' .. reason, 1)
  write(book)
  return wait > 0 and later(reason, wait, address, now).retry_after_ms or 0
end
