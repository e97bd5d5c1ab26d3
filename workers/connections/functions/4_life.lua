-- Returns what is wrong when a ref that is not known belongs to another shard: its gateway must not take it
-- for ended.
local function misplaced(shard, ref)
  local tenant = ref and parts(ref)
  return tenant and bad_shard(shard, tonumber(redis.call('HGET', shard .. ':limits', 'shards')), tenant)
end

-- KEYS shard; ARGV refs, 2,000 at most. Shows that connections live; returns the refs that are not known (any
-- more): the gateway opens them again or ends them.
local function heartbeat(keys, args)
  if #args == 0 then return {} end
  if #args > MAX_IN_A_CALL then return refuse('send ' .. MAX_IN_A_CALL .. ' refs at most in a call') end
  local active, now = keys[1] .. ':active', now_ms()
  local unknown, pairs_ = {}, {}
  for i, seen in ipairs(redis.call('ZMSCORE', active, unpack(args))) do
    -- What is lost stays lost: its gateway's last measurement may still be on its way.
    if seen and seen ~= '0' then
      pairs_[#pairs_ + 1] = now
      pairs_[#pairs_ + 1] = args[i]
    else
      unknown[#unknown + 1] = args[i]
    end
  end
  if #pairs_ > 0 then redis.call('ZADD', active, 'XX', unpack(pairs_)) end
  local wrong = misplaced(keys[1], unknown[1])
  if wrong then return refuse(wrong) end
  return unknown
end

-- More than this between two heartbeats is no measurement: 64 GB, or as many messages. So no sum of them can
-- overflow.
local MAX_MEASURED = 2^36
-- A record holds no more of anything: Lua writes fourteen digits.
local MAX_KEPT = 1e14 - 1

local function whole(text)
  local number = tonumber(text)
  return number and number >= 0 and number <= MAX_MEASURED and math.floor(number) or 0
end

-- Smoothed as RFC 6298 does: srtt by 1/8, its variation (our jitter) by 1/4. Kept to a 16th of a ms.
local function measure_rtt(record, rtt)
  if tonumber(record[SRTT]) == 0 then
    record[SRTT], record[JITTER] = rtt, 0
  else
    record[JITTER] = math.floor((0.75 * record[JITTER] + 0.25 * math.abs(record[SRTT] - rtt)) * 16 + 0.5) / 16
    record[SRTT] = math.floor((0.875 * record[SRTT] + 0.125 * rtt) * 16 + 0.5) / 16
  end
end

-- So many connections of a shard are known by how much they send.
local MAX_HEAVY = 20

-- Returns how many messages a connection must have sent to be among those.
local function heavy_from(shard)
  local last = redis.call('ZREVRANGE', shard .. ':heavy', MAX_HEAVY - 1, MAX_HEAVY - 1, 'WITHSCORES')
  return tonumber(last[2]) or 0
end

local function note_heavy(shard, heavy)
  local pairs_ = {}
  for ref, messages in pairs(heavy) do
    pairs_[#pairs_ + 1] = messages
    pairs_[#pairs_ + 1] = ref
  end
  if #pairs_ == 0 then return end
  redis.call('ZADD', shard .. ':heavy', unpack(pairs_))
  redis.call('ZREMRANGEBYRANK', shard .. ':heavy', 0, -MAX_HEAVY - 1)
end

local function bucket_of(ms)
  for _, bound in ipairs(BOUNDS) do
    if ms <= bound then return bound end
  end
  return BOUNDS[#BOUNDS]
end

-- Tells whether a connection is so bad that another socket would be better. One that was opened again and
-- again gets twice as long each time; couple and planner lose none while they have no other.
local function is_hopeless(record, records, value, below)
  local age = math.floor(now_ms() / 1000) - (tonumber(record[OPENED]) or 0)
  local critical = record[TYPE] == 'c' or record[TYPE] == 'p'
  return value < below and age >= 60 * 2 ^ math.min(tonumber(record[RECONNECTS]) or 0, 6)
    and not (critical and #records < 2)
end

-- Asks a node to close its hopeless connections: where many are, it is not theirs that is bad.
local function close_hopeless(book, seen)
  local many = 0
  for _, ids in pairs(book.hopeless) do many = many + #ids end
  if many > math.max(1, seen / 20) then return end
  for node, ids in pairs(book.hopeless) do
    redis.call('PUBLISH', 'wedops:close:' .. node, table.concat(ids, ' '))
  end
end

local function measure_one(book, ref, record, rtt, messages, errors, bytes, records)
  local region = record[REGION]
  if rtt and rtt >= 0 and rtt <= 3600000 then
    measure_rtt(record, rtt)
    increment(book, region, 'rtt:' .. bucket_of(rtt), 1)
  end
  record[MESSAGES] = math.min(record[MESSAGES] + messages, MAX_KEPT)
  record[ERRORS] = math.min(record[ERRORS] + errors, MAX_KEPT)
  record[BYTES] = math.min(record[BYTES] + bytes, MAX_KEPT)
  if record[MESSAGES] > book.heavy_from then book.heavy[ref] = record[MESSAGES] end
  increment(book, region, 'messages', messages)
  increment(book, region, 'errors', errors)
  increment(book, region, 'bytes', bytes)
  local value = score(record)
  for name, holder in pairs({node = record[NODE], wedding = record[WEDDING]}) do
    if holder ~= '' then
      increment(book, '~' .. name .. ':' .. holder, 'score', math.floor(value + 0.5))
      increment(book, '~' .. name .. ':' .. holder, 'scored', 1)
    end
  end
  if record[TYPE] == 'c' or record[TYPE] == 'p' then book.poor[ref] = value end
  if is_hopeless(record, records, value, book.hopeless_below) then
    local ids = book.hopeless[record[NODE]] or {}
    ids[#ids + 1] = record[ID]
    book.hopeless[record[NODE]] = ids
    increment(book, region, 'hopeless', 1)
  end
end

local function known(shard, ref, read)
  local tenant, user, id = parts(ref)
  local text = tenant and redis.call('HGET', group(shard, tenant), user)
  local records = text and (read or records_in)(text) or {}
  return records, index_of(records, id), tenant, user
end

local function not_here(shard, ref)
  local wrong = misplaced(shard, ref)
  return wrong and refuse(wrong) or 0
end

-- KEYS shard; ARGV, for each connection, ref, rtt_ms (or ''), messages, errors, bytes since the last time;
-- 400 connections at most. A heartbeat that also says how good the connection is; nodes are asked to close
-- those that are hopeless, so that their people open another. Returns the refs that are not known (any more).
local function measure(keys, args)
  if #args % 5 ~= 0 then
    return refuse('send five values for each connection: ref, rtt_ms, messages, errors, bytes')
  end
  if #args > MAX_IN_A_CALL then return refuse('send 400 connections at most in a call') end
  local shard, refs, book = keys[1], {}, ledger(keys[1])
  book.poor, book.heavy, book.heavy_from, book.hopeless = {}, {}, heavy_from(shard), {}
  local limits = limits_of(shard, {})
  book.hopeless_below = limits.hopeless_below or 0
  for i = 1, #args, 5 do
    refs[#refs + 1] = args[i]
    -- What can't be read is still alive, and holds up nobody else of the call.
    local records, at, tenant, user = known(shard, args[i], readable)
    if at then
      local messages, errors, bytes = whole(args[i + 2]), whole(args[i + 3]), whole(args[i + 4])
      measure_one(book, args[i], records[at], tonumber(args[i + 1]), messages, errors, bytes, records)
      hold(shard, tenant, user, records)
    end
  end
  local below = limits.poor_below or 60
  close_hopeless(book, #refs)
  for ref, value in pairs(book.poor) do
    if value < below then
      redis.call('ZADD', shard .. ':poor', value, ref)
    else
      redis.call('ZREM', shard .. ':poor', ref)
    end
  end
  note_heavy(shard, book.heavy)
  write(book)
  return heartbeat(keys, refs)
end

-- What a gateway can observe of a region beside single connections: how long something took, or how often it
-- happened.
local TIMES, EVENTS = {connect = true, delivery = true}, {batches = true, failed_batches = true}

-- Adds one observation to a ledger; returns what is wrong with it, or nothing.
local function observe_one(book, region, what, ms, count)
  count = tonumber(count)
  if not count or count < 0 or count > MAX_MEASURED or count % 1 ~= 0 then
    return 'the count of ' .. what .. ' must be a whole number from 0 to 2^36'
  end
  if EVENTS[what] then
    increment(book, region, what, count)
  elseif TIMES[what] then
    ms = tonumber(ms)
    if not ms or not (ms >= 0 and ms <= 3600000) then return what .. ' must be from 0 to 3600000 ms' end
    increment(book, region, what .. ':' .. bucket_of(ms), count)
  else
    return 'what was observed must be connect, delivery, batches or failed_batches'
  end
end

-- KEYS shard of the node; ARGV node, region, then for each observation what, ms (or '' for what has none),
-- count: since the last call. Returns 1.
local function observe(keys, args)
  local book = ledger(keys[1])
  local wrong = problem('node', args[1], true) or problem('region', args[2], true)
    or misplaced(keys[1], args[1] .. '/n/n')
  if not wrong and #args % 3 ~= 2 then
    wrong = 'send node, region, then three values for each observation: what, ms, count'
  end
  if not wrong and #args > MAX_IN_A_CALL then wrong = 'send 600 observations at most in a call' end
  if wrong then return refuse(wrong) end
  for i = 3, #args, 3 do
    wrong = observe_one(book, args[2], args[i], args[i + 1], args[i + 2])
    if wrong then return refuse(wrong) end
  end
  write(book)
  return 1
end

-- KEYS shard; ARGV ref, supplier_type or '', channels … Returns JSON: by kind of channel, which were taken
-- (`ok`) and which not (`refused`: channel, why); or 0 when the connection is not known.
local function subscribe(keys, args)
  local shard = keys[1]
  local records, at, tenant, user = known(shard, args[1])
  if not at then return not_here(shard, args[1]) end
  if #args > MAX_IN_A_CALL then
    return refuse('send ' .. MAX_IN_A_CALL - 2 .. ' channels at most in a call')
  end
  local channels = {}
  for i = 3, #args do channels[#channels + 1] = args[i] end
  local had = subscriptions(records[at])
  local kinds, changed = subscribe_to(records[at], channels, person_of(shard, user, args[2]))
  if changed then
    hold(shard, tenant, user, records)
    count_channels(shard, records[at], had)
  end
  return cjson.encode(kinds)
end

-- KEYS shard; ARGV ref, channels … Returns how many subscriptions ended.
local function unsubscribe(keys, args)
  local shard = keys[1]
  local records, at, tenant, user = known(shard, args[1])
  if not at then return not_here(shard, args[1]) end
  local ending, left, ended = {}, {}, 0
  for i = 2, #args do ending[args[i]] = true end
  for _, channel in ipairs(channels_of(records[at])) do
    if ending[channel] then ended = ended + 1 else left[#left + 1] = channel end
  end
  records[at][CHANNELS] = table.concat(left, ';')
  hold(shard, tenant, user, records)
  count_channels(shard, records[at], #left + ended)
  return ended
end

-- KEYS shard; ARGV ref. The socket broke without a goodbye: the next sweep ends it, unless it is opened again
-- before.
local function lost(keys, args)
  local changed = redis.call('ZADD', keys[1] .. ':active', 'XX', 'CH', 0, args[1] or '')
  return changed == 1 and 1 or not_here(keys[1], args[1])
end

-- KEYS shard; ARGV ref. Returns 1, or 0 when it was not known.
local function close(keys, args)
  local shard = keys[1]
  local records, at, tenant, user = known(shard, args[1])
  if not at then return not_here(shard, args[1]) end
  local record = table.remove(records, at)
  hold(shard, tenant, user, records)
  count_one(shard, record, -1)
  forget(shard, {args[1]})
  redis.call('HINCRBY', shard .. ':flow', record[REGION] .. '|closed', 1)
  return 1
end

-- KEYS shards (on a cluster, one); ARGV idle_ms. Returns how many of each show no life for idle_ms.
local function stale(keys, args)
  local until_ms, found = now_ms() - number_in(args[1], 300000, 0, 2^50), {}
  for i, shard in ipairs(keys) do found[i] = redis.call('ZCOUNT', shard .. ':active', '-inf', until_ms) end
  return found
end

-- KEYS shard; ARGV idle_ms, batch. Ends up to `batch` connections that showed no life for idle_ms, and tells
-- their gateways. Returns how many; costs what is stale, not what exists.
local function sweep(keys, args)
  local until_ms = now_ms() - number_in(args[1], 300000, 0, 2^50)
  local batch = number_in(args[2], 200, 1, MAX_IN_A_CALL)
  local refs = redis.call('ZRANGEBYSCORE', keys[1] .. ':active', '-inf', until_ms, 'LIMIT', 0, batch)
  if #refs > 0 then
    end_all(keys[1], refs, 'swept')
    -- They are the lowest of all: by rank that is one step, by name it would be one each.
    redis.call('ZREMRANGEBYRANK', keys[1] .. ':active', 0, #refs - 1)
    for _, ranking in ipairs({keys[1] .. ':poor', keys[1] .. ':heavy'}) do
      if redis.call('EXISTS', ranking) == 1 then redis.call('ZREM', ranking, unpack(refs)) end
    end
  end
  return #refs
end

-- Returns whether a ref's connection is on a node. Most are elsewhere: only what names it is read.
local function is_on(shard, ref, node)
  local tenant, user, id = parts(ref)
  local text = tenant and redis.call('HGET', group(shard, tenant), user)
  if not text or not string.find(text, ',' .. node .. ',', 1, true) then return false end
  local records = readable(text) or {}
  local record = records[index_of(records, id)]
  return record ~= nil and record[NODE] == node
end

-- Adds the refs of a tenant's connections on a node to `found`; users and their texts are in turns.
local function find_on(tenant, users, node, found)
  for i = 2, #users, 2 do
    if string.find(users[i], ',' .. node .. ',', 1, true) then
      for _, record in ipairs(readable(users[i]) or {}) do
        if record[NODE] == node then
          found[#found + 1] = table.concat({tenant, users[i - 1], record[ID]}, '/')
        end
      end
    end
  end
end

-- KEYS shard; ARGV node, cursor, tenants. Ends their connections on a node that is out: `wedops_evict` for
-- who knows the tenants, in half the time. One that has many people is to be asked for alone, from cursor 0
-- on. Returns {cursor, ended, those that have many…}.
local function evict_among(keys, args)
  local shard, node, found, answer = keys[1], args[1] or '', {}, {'0', 0}
  for i = 3, #args do
    local key = group(shard, args[i])
    if #args == 3 then
      local page = redis.call('HSCAN', key, args[2], 'COUNT', MANY)
      answer[1] = page[1]
      find_on(args[i], page[2], node, found)
    elseif redis.call('HLEN', key) > MANY then
      answer[#answer + 1] = args[i]
    else
      find_on(args[i], redis.call('HGETALL', key), node, found)
    end
  end
  answer[2] = end_all(shard, found, 'swept')
  forget(shard, found)
  return answer
end

-- KEYS shard; ARGV node, cursor, count. Ends the connections of a node that is out, a page at a time. Returns
-- {cursor, ended}.
local function evict(keys, args)
  local shard, node, found = keys[1], args[1] or '', {}
  if not redis.call('HGET', shard .. ':counts', 'node:' .. node) then return {'0', 0} end
  local page = redis.call('ZSCAN', shard .. ':active', args[2] or '0', 'COUNT', args[3] or 200)
  for i = 1, #page[2], 2 do
    if is_on(shard, page[2][i], node) then found[#found + 1] = page[2][i] end
  end
  local ended = end_all(shard, found, 'swept')
  forget(shard, found)
  return {page[1], ended}
end
