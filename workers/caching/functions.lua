#!lua name=wedops_caching
-- The cache's server: fills by compare-and-set, changes published with what they take out, reads for
-- gateways.
--
--   wedops:cache:NAME         string   an entry: a header line (formats/envelope.py), then its body
--   wedops:loading:NAME       string   the token of who loads it; without its own, nobody fills
--   wedops:cached:changes     stream   `names` (spaces between) and `revision`: what processes must drop
--   wedops:cached:counts      hash     `WHAT|KIND` -> how many gateways read: hit, refused
--   wedops:cached:totals      hash     `LAYER|KIND` -> how often all read: local, server, none (loaded)
--   wedops:cached:hot         zset     NAME -> how often it was read of late, halved now and then
--   wedops:cached:watched:W   hash     what was read of wedding W's warm-up in its first minutes
--   wedops:cached:read:W      set      which entries of it were
--
-- NAME is KIND:ID, with more IDs after it. Keys are built here, from parts that were checked.

local ENTRIES, LOADING = 'wedops:cache:', 'wedops:loading:'
local CHANGES, COUNTS, HOT = 'wedops:cached:changes', 'wedops:cached:counts', 'wedops:cached:hot'
local TOTALS = 'wedops:cached:totals'
local WATCHED, READ = 'wedops:cached:watched:', 'wedops:cached:read:'
-- Who missed more changes than these drops nothing blindly: it asks the server for each entry anew.
local KEPT_CHANGES = 1000
local KINDS = {subscription = {2, 3}, user = {1, 1}, wedding = {1, 1}, connection = {2, 2}}
local USER_TYPES = {couple = true, planner = true, vendor = true, guest = true}
local LARGEST, CONNECTION_SCHEMA, CONNECTION_MS, MAX_NAMES = 8000, 1, 1800000, 100
local HEADER = '^w1 (%x+) (%S+) %d+ (%d+) (%l+) %d+ (%d+) %d+ (%S+) (%l+)\n'

-- Returns the facts of an entry that is whole and has this name, and where its body begins.
local function header_of(name, text)
  local sum, found, revision, state, fresh, warm, encoding = string.match(text, HEADER)
  if found ~= name then return nil end
  local first = string.find(text, '\n', 1, true)
  return {sum = sum, revision = tonumber(revision), state = state, fresh = tonumber(fresh), warm = warm,
    encoding = encoding, first = first + 1}
end

local function is_whole(text, header)
  return redis.sha1hex(string.sub(text, 45)) == header.sum
end

-- Returns the kind and the first id of a name that is one.
local function parts_of(name)
  local ids = {}
  for id in string.gmatch(name or '', '[^:]+') do ids[#ids + 1] = id end
  local kind = table.remove(ids, 1)
  local count = KINDS[kind]
  if not count or #ids < count[1] or #ids > count[2] then return nil end
  for _, id in ipairs(ids) do
    if not is_id(id) then return nil end
  end
  if kind == 'subscription' and not USER_TYPES[ids[2]] then return nil end
  if kind .. ':' .. table.concat(ids, ':') ~= name then return nil end
  return kind, ids[1]
end

-- Returns an entry's text. What is no text is none of ours: it is taken out, and counted.
local function text_of(key)
  local text = redis.pcall('GET', key)
  if type(text) ~= 'table' then return text end
  -- Who may not take it out, leaves it to who may.
  redis.pcall('UNLINK', key)
  redis.call('HINCRBY', COUNTS, 'refused|type', 1)
  return false
end

-- KEYS entry, lease; ARGV name, token, ms, checksum of the copy that the caller has or ''. Returns
-- {'entry', text} when there is a fresh one that the caller has not; {'load'} when the lease is the caller's;
-- else {'wait', text or false}. One step, or two would load what a third just filled.
local function take(keys, args)
  local text = text_of(keys[1])
  local header = text and header_of(args[1], text)
  if header and header.fresh > now_ms() and header.sum ~= args[4] then return {'entry', text} end
  if redis.call('SET', keys[2], args[2], 'NX', 'PX', args[3]) then return {'load'} end
  return {'wait', text}
end

-- KEYS entry, lease; ARGV name, token, revision, ms to keep it, text. Returns 1; 0 when a change or another
-- took the lease; -1 when what is there is newer.
local function fill(keys, args)
  if redis.call('GET', keys[2]) ~= args[2] then return 0 end
  redis.call('DEL', keys[2])
  local text = text_of(keys[1])
  local header = text and header_of(args[1], text)
  if header and header.revision > tonumber(args[3]) then return -1 end
  redis.call('SET', keys[1], args[5], 'PX', args[4])
  return 1
end

-- KEYS lease; ARGV token. Gives a lease back, of a load that failed.
local function drop_lease(keys, args)
  return redis.call('GET', keys[1]) == args[1] and redis.call('DEL', keys[1]) or 0
end

-- KEYS entry; ARGV text. Takes out what is none of ours, unless another took its place.
local function discard(keys, args)
  return text_of(keys[1]) == args[1] and redis.call('DEL', keys[1]) or 0
end

-- ARGV revision, names … Takes entries out, and the leases of who loads them; all processes hear of it. An
-- entry that is as new or newer stays.
local function invalidate(_, args)
  local revision = tonumber(args[1])
  if #args == 1 then return 0 end
  -- First: whatever stops the rest, processes have heard.
  redis.call('XADD', CHANGES, 'MAXLEN', '~', KEPT_CHANGES, '*', 'revision', args[1],
    'names', table.concat(args, ' ', 2))
  for i = 2, #args do
    local text = text_of(ENTRIES .. args[i])
    local header = text and header_of(args[i], text)
    if not header or header.revision < revision then
      redis.call('UNLINK', ENTRIES .. args[i], LOADING .. args[i])
    end
  end
  return #args - 1
end

-- Returns of which class an entry is: its kind, and of a subscription the user type.
local function class_of(name)
  local kind, second = string.match(name, '^(%l+):[^:]+:?([^:]*)')
  return kind == 'subscription' and kind .. '/' .. second or kind
end

-- Counts a read of a wedding's entry within the first minutes after its warm-up's first one.
local function watch(wedding, name, is_warm, hits, misses, now)
  local watched = redis.call('HMGET', WATCHED .. wedding, 'first', 'window', 'ttl')
  if not watched[2] then return end
  local first = tonumber(watched[1]) or now
  if not watched[1] then redis.call('HSET', WATCHED .. wedding, 'first', now) end
  if hits > 0 and is_warm then
    redis.call('SADD', READ .. wedding, name)
    redis.call('PEXPIRE', READ .. wedding, watched[3])
  end
  if now > first + tonumber(watched[2]) then return end
  if hits > 0 then redis.call('HINCRBY', WATCHED .. wedding, 'hits:' .. class_of(name), hits) end
  if misses > 0 then redis.call('HINCRBY', WATCHED .. wedding, 'misses:' .. class_of(name), misses) end
end

-- ARGV for each: wedding or '', name, how often it was read from memory, from the server, and loaded, and 1
-- when a warm-up for the wedding loaded it. What a process read of late.
local function note(_, args)
  local now, totals = now_ms(), {}
  for i = 1, #args, 6 do
    local wedding, name, counts = args[i], args[i + 1], {}
    local kind = string.match(name, '^%l+')
    for at, layer in ipairs({'local', 'server', 'none'}) do
      counts[at] = tonumber(args[i + 1 + at])
      totals[layer .. '|' .. kind] = (totals[layer .. '|' .. kind] or 0) + counts[at]
    end
    local hits = counts[1] + counts[2]
    if wedding ~= '' then watch(wedding, name, args[i + 5] == '1', hits, counts[3], now) end
    if hits > 0 and kind ~= 'connection' then redis.call('ZINCRBY', HOT, hits, name) end
  end
  for field, many in pairs(totals) do
    if many > 0 then redis.call('HINCRBY', TOTALS, field, many) end
  end
  return 1
end

-- Returns {state, revision, encoding, body} of an entry: `fresh`, `stale` or `absent`; false when there is
-- none.
local function read(name, kind, first_id, now)
  local text = text_of(ENTRIES .. name)
  local header = text and header_of(name, text)
  local sound = header and is_whole(text, header)
  if text and not sound then redis.call('HINCRBY', COUNTS, 'refused|' .. kind, 1) end
  -- What is missed is counted by who loads it; who comes for the first time has no connection to miss.
  if not sound then return false end
  local state = header.state == 'absent' and 'absent' or header.fresh > now and 'fresh' or 'stale'
  -- Who gets an old one asks the source as well, and is counted there.
  if state ~= 'stale' then
    redis.call('HINCRBY', COUNTS, 'hit|' .. kind, 1)
    redis.call('HINCRBY', TOTALS, 'server|' .. kind, 1)
    local is_warm = header.warm ~= '-'
    watch(is_warm and header.warm or first_id, name, is_warm, 1, 0, now)
    if kind ~= 'connection' then redis.call('ZINCRBY', HOT, 1, name) end
  end
  return {state, header.revision, header.encoding, string.sub(text, header.first)}
end

-- ARGV names of entries, such as wedding:w-17 or subscription:w-17:vendor:s-12; 100 at most.
local function cached(_, args)
  if #args == 0 or #args > MAX_NAMES then return refuse('send 1 to ' .. MAX_NAMES .. ' names of entries') end
  local found, now = {}, now_ms()
  for i, name in ipairs(args) do
    if not parts_of(name) then
      return refuse('name ' .. i .. ' must be KIND:ID…, such as wedding:w-17, user:s-12, '
        .. 'subscription:w-17:guest, subscription:w-17:vendor:s-12 or connection:w-17:u-1')
    end
  end
  for i, name in ipairs(args) do
    local kind, id = parts_of(name)
    found[i] = read(name, kind, id, now)
  end
  return found
end

-- Returns the body to keep of what a gateway sent; nil when it is no object with a list of channels' names.
local function body_of(text)
  local good, sent = pcall(cjson.decode, text)
  local fits = good and #text <= LARGEST and type(sent) == 'table' and type(sent.channels) == 'table'
  if not fits then return nil end
  local names, many = {}, 0
  for _ in pairs(sent.channels) do many = many + 1 end
  for _, name in ipairs(sent.channels) do
    if type(name) ~= 'string' or not string.match(name, '^[%w._@:-]+$') then return nil end
    names[#names + 1] = '"' .. name .. '"'
  end
  -- What has other keys than 1, 2, 3 … is no list.
  return #names == many and '{"channels":[' .. table.concat(names, ',') .. ']}' or nil
end

-- ARGV for each: wedding, user, body: a JSON object with `channels`. What a person's connection has joined,
-- for the next one; kept for half an hour.
local function remember(_, args)
  if #args == 0 or #args % 3 ~= 0 or #args > 3 * MAX_NAMES then
    return refuse('send wedding, user and body for each, ' .. MAX_NAMES .. ' at most')
  end
  local now, bodies = now_ms(), {}
  for i = 1, #args, 3 do
    bodies[i] = body_of(args[i + 2])
    local wrong = bad_id('wedding', args[i]) or bad_id('user', args[i + 1])
    if not wrong and not bodies[i] then
      wrong = 'body must be a JSON object whose channels are a list of their names, such as '
        .. '{"channels": ["wedding:w-17"]}, ' .. LARGEST .. ' bytes at most'
    end
    if wrong then return refuse(wrong) end
  end
  for i = 1, #args, 3 do
    local name = 'connection:' .. args[i] .. ':' .. args[i + 1]
    local facts = {name, CONNECTION_SCHEMA, now, 'is', now, now + CONNECTION_MS, 0, '-', 'json\n'}
    local rest = table.concat(facts, ' ') .. bodies[i]
    redis.call('SET', ENTRIES .. name, 'w1 ' .. redis.sha1hex(rest) .. ' ' .. rest, 'PX', CONNECTION_MS)
  end
  return #args / 3
end

redis.register_function('wedops_cache_take', take)
redis.register_function('wedops_cache_fill', fill)
redis.register_function('wedops_cache_drop_lease', drop_lease)
redis.register_function('wedops_cache_discard', discard)
redis.register_function('wedops_cache_invalidate', invalidate)
redis.register_function('wedops_cache_note', note)
redis.register_function('wedops_cached', cached)
redis.register_function('wedops_cache_remember', remember)
