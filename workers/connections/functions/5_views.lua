-- KEYS shard; ARGV tenant, wedding, cursor, count. Who of a wedding is online, a page of about `count` users
-- at a time. Returns {cursor, {couples, planners, vendors, guests: connections of the wedding here}, {user,
-- user type, connections, …}}.
local function presence(keys, args)
  local shard, wedding, users, online = keys[1], args[2] or '', {}, {}
  for _, user_type in ipairs({'couple', 'planner', 'vendor', 'guest'}) do
    local held_open = redis.call('HGET', shard .. ':counts', 'wt:' .. wedding .. '|' .. user_type)
    online[#online + 1] = tonumber(held_open) or 0
  end
  local page = redis.call('HSCAN', group(shard, args[1] or ''), args[3] or '0', 'COUNT', args[4] or 200)
  for i = 1, #page[2], 2 do
    local here, user_type = 0, nil
    for _, record in ipairs(readable(page[2][i + 1]) or {}) do
      if record[WEDDING] == wedding then here, user_type = here + 1, TYPES[record[TYPE]] end
    end
    if here > 0 then
      for _, value in ipairs({page[2][i], user_type, here}) do users[#users + 1] = value end
    end
  end
  return {page[1], online, users}
end

-- KEYS shard; ARGV tenant, wedding, cursor, count. Whose connections of a wedding are not the only ones, a
-- page at a time, guests left out. Returns {cursor, {user type, connections, backups that answer, …}}.
local function backups(keys, args)
  local shard, wedding, found, now = keys[1], args[2] or '', {}, now_ms()
  local limits = limits_of(shard, {})
  local page = redis.call('HSCAN', group(shard, args[1] or ''), args[3] or '0', 'COUNT', args[4] or 200)
  for i = 1, #page[2], 2 do
    local held_open, backed, user_type = 0, 0, nil
    for _, record in ipairs(readable(page[2][i + 1]) or {}) do
      if record[WEDDING] == wedding and TYPES[record[TYPE]] ~= 'guest' then
        local ref = args[1] .. '/' .. page[2][i] .. '/' .. record[ID]
        local seen = tonumber(redis.call('ZSCORE', shard .. ':active', ref)) or 0
        local answers = now - seen < (limits.healthy_ms or 60000)
        held_open, user_type = held_open + 1, TYPES[record[TYPE]]
        if record[BACKUP] == '1' and answers then backed = backed + 1 end
      end
    end
    if held_open > 0 then
      for _, value in ipairs({user_type, held_open, backed}) do found[#found + 1] = value end
    end
  end
  return {page[1], found}
end

-- KEYS shard; ARGV tenant, user. Returns all that is known of a user's connections, as JSON: for people who
-- look for one.
local function show(keys, args)
  local tenant, user, found = args[1] or '', args[2] or '', {}
  for i, record in ipairs(held(keys[1], tenant, user)) do
    found[i] = {
      ref = tenant .. '/' .. user .. '/' .. record[ID], id = record[ID],
      user_type = TYPES[record[TYPE]], node = record[NODE], region = record[REGION],
      wedding_id = record[WEDDING], supplier_id = record[SUPPLIER],
      api_version = record[VERSION], device = record[DEVICE], opened = tonumber(record[OPENED]),
      channels = #record[CHANNELS] > 0 and channels_of(record) or nil, backup = record[BACKUP] == '1',
      rtt_ms = tonumber(record[SRTT]), jitter_ms = tonumber(record[JITTER]),
      messages = tonumber(record[MESSAGES]), errors = tonumber(record[ERRORS]),
      bytes = tonumber(record[BYTES]), reconnects = tonumber(record[RECONNECTS]), score = score(record),
    }
    found[i].last_activity_ms = tonumber(redis.call('ZSCORE', keys[1] .. ':active', found[i].ref))
  end
  return #found > 0 and cjson.encode(found) or '[]'
end

-- KEYS shard. Returns {ref, messages, bytes, opened (s), …} of the open connections with the most messages;
-- forgets those that ended.
local function heaviest(keys)
  local shard, found, gone = keys[1], {}, {}
  for _, ref in ipairs(redis.call('ZREVRANGE', keys[1] .. ':heavy', 0, -1)) do
    local tenant, user, id = parts(ref)
    local text = redis.call('HGET', group(shard, tenant), user)
    -- What can't be read is of a later version, or damaged: it is kept for who can.
    local records = text and readable(text)
    local record = records and records[index_of(records, id)]
    if record and tonumber(record[OPENED]) then
      for _, value in ipairs({ref, record[MESSAGES], record[BYTES], record[OPENED]}) do
        found[#found + 1] = value
      end
    elseif records or not text then
      gone[#gone + 1] = ref
    end
  end
  if #gone > 0 then redis.call('ZREM', shard .. ':heavy', unpack(gone)) end
  return found
end

-- Puts the counters aside, with the time that they are of: from the drain before until now. What was drained
-- and not kept elsewhere yet stays as it is.
local function drain(shard)
  local taken, drained = shard .. ':taken', shard .. ':drained'
  if redis.call('EXISTS', taken) == 1 then return end
  if redis.call('EXISTS', shard .. ':flow') == 1 then redis.call('RENAME', shard .. ':flow', taken) end
  local now = now_ms()
  redis.call('HSET', taken, '~since', redis.call('GET', drained) or 0, '~until', now)
  redis.call('SET', drained, now)
end

-- KEYS shard; ARGV silent_ms, limit. Returns {counts, counters, silent}: what is open and subscribed by
-- region, what was counted since the last snapshot, and by region how many (of the limit) showed no life for
-- silent_ms. The counters are drained into <shard>:taken until the caller deletes that: a caller that fails
-- gets the same again.
local function snapshot(keys, args)
  local shard = keys[1]
  local all, counts = redis.call('HGETALL', shard .. ':counts'), {}
  for i = 1, #all, 2 do
    if string.match(all[i], '^rt:') or string.match(all[i], '^subs:') then
      counts[#counts + 1] = all[i]
      counts[#counts + 1] = all[i + 1]
    end
  end
  drain(shard)
  local until_ms = now_ms() - number_in(args[1], 60000, 0, 2^50)
  local max_silent = number_in(args[2], 200, 1, MAX_IN_A_CALL)
  local active = shard .. ':active'
  local silent_refs = redis.call('ZRANGEBYSCORE', active, '-inf', until_ms, 'LIMIT', 0, max_silent)
  local by_region, silent = {}, {}
  for _, ref in ipairs(silent_refs) do
    local record = peek(shard, ref)
    if record then add(by_region, record[REGION], 1) end
  end
  for region, many in pairs(by_region) do
    silent[#silent + 1] = region
    silent[#silent + 1] = many
  end
  return {counts, redis.call('HGETALL', shard .. ':taken'), silent}
end

-- KEYS shard; ARGV tenants … Counts anew what their records say. Returns {counts, unlisted, empty}: unlisted
-- refs have a record and no place among the active; empty tenants have nobody. Reads only; `wedops_repair`
-- writes, if nothing moved since.
local function audit(keys, args)
  local shard, book, counts, unlisted, empty = keys[1], ledger(keys[1]), {}, {}, {}
  for _, tenant in ipairs(args) do
    local all = redis.call('HGETALL', group(shard, tenant))
    if #all == 0 then empty[#empty + 1] = tenant end
    for i = 1, #all, 2 do
      for _, record in ipairs(records_in(all[i + 1])) do
        tally(book, record, 1)
        local ref = tenant .. '/' .. all[i] .. '/' .. record[ID]
        if not redis.call('ZSCORE', shard .. ':active', ref) then unlisted[#unlisted + 1] = ref end
      end
    end
  end
  for name, many in pairs(flat(book)) do
    counts[#counts + 1] = name
    counts[#counts + 1] = many
  end
  return {counts, unlisted, empty}
end

-- KEYS shard; ARGV cursor, count. Returns {cursor, refs} of a page of the active that have no record.
local function strays(keys, args)
  local found = {}
  local page = redis.call('ZSCAN', keys[1] .. ':active', args[1] or '0', 'COUNT', args[2] or 200)
  for i = 1, #page[2], 2 do
    local _, at = known(keys[1], page[2][i])
    if not at then found[#found + 1] = page[2][i] end
  end
  return {page[1], found}
end

-- KEYS shard; ARGV moves, counts as JSON, unlisted refs, strays and empty tenants as JSON. Puts right what an
-- audit found, unless something moved since. Returns {1, name, was, is, …}, or {0}: audit again.
local function repair(keys, args)
  local shard, changed = keys[1], {1}
  local counts = shard .. ':counts'
  if (tonumber(redis.call('HGET', counts, 'moves')) or 0) ~= tonumber(args[1]) then return {0} end
  local right = cjson.decode(args[2])
  local function set(name, was, is)
    if was == is then return end
    for _, value in ipairs({name, was, is}) do changed[#changed + 1] = value end
    if is == 0 then redis.call('HDEL', counts, name) else redis.call('HSET', counts, name, is) end
  end
  local all = redis.call('HGETALL', counts)
  for i = 1, #all, 2 do
    if all[i] ~= 'moves' then
      set(all[i], tonumber(all[i + 1]) or -1, right[all[i]] or 0)
      right[all[i]] = nil
    end
  end
  for name, is in pairs(right) do set(name, 0, is) end
  for _, ref in ipairs(cjson.decode(args[3])) do redis.call('ZADD', shard .. ':active', now_ms(), ref) end
  forget(shard, cjson.decode(args[4]))
  for _, tenant in ipairs(cjson.decode(args[5] or '[]')) do
    redis.call('SREM', shard .. ':tenants', tenant)
  end
  return changed
end

local function register(name, work, flag)
  local function callback(keys, args)
    if not keys[1] then return refuse('the shard is missing; name it as the key') end
    return work(keys, args)
  end
  redis.register_function{function_name = name, callback = callback, flags = {flag}}
end

register('wedops_limit', limit)
register('wedops_open', open)
register('wedops_refused', refused)
register('wedops_subscribe', subscribe)
-- What frees or shows life must work on a server that is full, or it could never get better.
register('wedops_heartbeat', heartbeat, 'allow-oom')
register('wedops_measure', measure, 'allow-oom')
register('wedops_observe', observe, 'allow-oom')
register('wedops_unsubscribe', unsubscribe, 'allow-oom')
register('wedops_lost', lost, 'allow-oom')
register('wedops_close', close, 'allow-oom')
register('wedops_sweep', sweep, 'allow-oom')
register('wedops_evict', evict, 'allow-oom')
register('wedops_evict_among', evict_among, 'allow-oom')
register('wedops_snapshot', snapshot, 'allow-oom')
register('wedops_heaviest', heaviest, 'allow-oom')
register('wedops_repair', repair, 'allow-oom')
register('wedops_stale', stale, 'no-writes')
register('wedops_presence', presence, 'no-writes')
register('wedops_backups', backups, 'no-writes')
register('wedops_show', show, 'no-writes')
register('wedops_audit', audit, 'no-writes')
register('wedops_strays', strays, 'no-writes')
