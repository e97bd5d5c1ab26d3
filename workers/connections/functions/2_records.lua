-- What is added up while a call runs, and written at its end: one write a name, however many connections
-- change.
local function ledger(shard)
  return {shard = shard, node = {}, supplier = {}, subs = {}, rt = {}, wt = {}, counters = {}}
end

local function add(sums, name, by) sums[name] = (sums[name] or 0) + by end

local function add_to(sums, first, second, by)
  local inner = sums[first]
  if not inner then
    inner = {}
    sums[first] = inner
  end
  inner[second] = (inner[second] or 0) + by
end

-- How many channels a record has.
local function subscriptions(record)
  local text = record[CHANNELS]
  if text == '' then return 0 end
  return string.find(text, ';', 1, true) and select(2, string.gsub(text, ';', '')) + 1 or 1
end

local function tally(book, record, by)
  add(book.node, record[NODE], by)
  if record[CHANNELS] ~= '' then add(book.subs, record[REGION], by * subscriptions(record)) end
  add_to(book.rt, record[REGION], record[TYPE], by)
  if record[WEDDING] ~= '' then add_to(book.wt, record[WEDDING], record[TYPE], by) end
  if record[SUPPLIER] ~= '' then add(book.supplier, record[SUPPLIER], by) end
end

local function increment(book, region, what, by) add_to(book.counters, region, what, by) end

-- Returns what a ledger holds by the names of the counts' fields.
local function flat(book)
  local counts = {}
  for _, kind in ipairs({'node', 'supplier', 'subs'}) do
    for name, by in pairs(book[kind]) do counts[kind .. ':' .. name] = by end
  end
  for _, kind in ipairs({'rt', 'wt'}) do
    for name, types in pairs(book[kind]) do
      for letter, by in pairs(types) do counts[kind .. ':' .. name .. '|' .. TYPES[letter]] = by end
    end
  end
  return counts
end

local function bump(counts, name, by)
  if redis.call('HINCRBY', counts, name, by) <= 0 then redis.call('HDEL', counts, name) end
end

-- What `tally` and `write` do for many, for the one connection that most calls have.
local function count_one(shard, record, by)
  local counts, user_type = shard .. ':counts', TYPES[record[TYPE]]
  bump(counts, 'node:' .. record[NODE], by)
  bump(counts, 'rt:' .. record[REGION] .. '|' .. user_type, by)
  if record[WEDDING] ~= '' then bump(counts, 'wt:' .. record[WEDDING] .. '|' .. user_type, by) end
  if record[SUPPLIER] ~= '' then bump(counts, 'supplier:' .. record[SUPPLIER], by) end
  if record[CHANNELS] ~= '' then bump(counts, 'subs:' .. record[REGION], by * subscriptions(record)) end
  redis.call('HINCRBY', counts, 'moves', 1)
end

-- Counts what became of an open connection's channels.
local function count_channels(shard, record, had)
  local more = subscriptions(record) - had
  if more == 0 then return end
  bump(shard .. ':counts', 'subs:' .. record[REGION], more)
  redis.call('HINCRBY', shard .. ':counts', 'moves', 1)
end

local function write(book)
  local counts, changed = book.shard .. ':counts', false
  for name, by in pairs(flat(book)) do
    if by ~= 0 then
      changed = true
      bump(counts, name, by)
    end
  end
  -- An audit that reads page by page sees by this whether anything moved meanwhile.
  if changed then redis.call('HINCRBY', counts, 'moves', 1) end
  for region, whats in pairs(book.counters) do
    for what, by in pairs(whats) do
      if by ~= 0 then redis.call('HINCRBY', book.shard .. ':flow', region .. '|' .. what, by) end
    end
  end
end

local function parts(ref)
  return string.match(ref or '', '^([^/]+)/([^/]+)/([^/]+)$')
end

local function group(shard, tenant) return shard .. ':t:' .. tenant end

-- Returns the form of a user's records, and where the first one begins.
local function form_of(text)
  if string.byte(text, 2) == COLON then return tonumber(string.sub(text, 1, 1)) or 0, 3 end
  return 1, 1
end

-- Returns a user's records, or nothing when they are damaged or a later version wrote them.
local function readable(text)
  local form, first = form_of(text)
  local fields, records = FORMS[form], {}
  if not fields then return nil end
  for one in string.gmatch(string.sub(text, first), '[^|]+') do
    local record = {string.match(one, fields)}
    if not record[ID] then return nil end
    records[#records + 1] = record
  end
  return records
end

-- The same; what can't be read ends the call before it changes anything, and is kept for who can.
local function records_in(text)
  return readable(text)
    or error({err = 'REFUSED a record is unreadable: it is damaged, or of a later version; '
      .. 'run that one\'s `wedops migrate`'})
end

local function held(shard, tenant, user)
  local text = redis.call('HGET', group(shard, tenant), user)
  return text and records_in(text) or {}
end

local function hold(shard, tenant, user, records)
  if #records == 0 then
    redis.call('HDEL', group(shard, tenant), user)
    return
  end
  local texts = {}
  for i, record in ipairs(records) do texts[i] = table.concat(record, ',') end
  redis.call('HSET', group(shard, tenant), user, FORM .. ':' .. table.concat(texts, '|'))
end

-- Returns a record's channels as a list.
local function channels_of(record)
  local list = {}
  for channel in string.gmatch(record[CHANNELS], '[^;]+') do list[#list + 1] = channel end
  return list
end

local function index_of(records, id)
  for i, record in ipairs(records) do
    if record[ID] == id then return i end
  end
end

-- Returns a ref's record, if there is one that can be read.
local function peek(shard, ref)
  local tenant, user, id = parts(ref)
  local text = tenant and redis.call('HGET', group(shard, tenant), user)
  local records = text and readable(text) or {}
  return records[index_of(records, id)]
end

local function forget(shard, refs)
  if #refs == 0 then return end
  local poor = redis.call('EXISTS', shard .. ':poor') == 1
  local heavy = redis.call('EXISTS', shard .. ':heavy') == 1
  for first = 1, #refs, MAX_IN_A_CALL do
    local last = math.min(#refs, first + MAX_IN_A_CALL - 1)
    redis.call('ZREM', shard .. ':active', unpack(refs, first, last))
    if poor then redis.call('ZREM', shard .. ':poor', unpack(refs, first, last)) end
    if heavy then redis.call('ZREM', shard .. ':heavy', unpack(refs, first, last)) end
  end
end

local function has_value(list, value)
  for _, one in ipairs(list) do
    if one == value then return true end
  end
  return false
end

-- Refs by tenant and user: what one read and one write of a tenant's hash can end together.
local function grouped(refs)
  local groups = {}
  for _, ref in ipairs(refs) do
    local tenant, user, id = parts(ref)
    if tenant then
      local group_ = groups[tenant]
      if not group_ then
        group_ = {users = {}, ids = {}}
        groups[tenant] = group_
      end
      local ids = group_.ids[user]
      if ids then
        ids[#ids + 1] = id
      else
        group_.users[#group_.users + 1] = user
        group_.ids[user] = {id}
      end
    end
  end
  return groups
end

-- Ends connections that nobody holds, and tells each gateway its own in one message; the caller takes refs
-- out of the sorted sets.
local function end_all(shard, refs, why)
  local book, by_node, ended = ledger(shard), {}, 0
  local function end_one(record)
    ended = ended + 1
    tally(book, record, -1)
    increment(book, record[REGION], why, 1)
    local ids = by_node[record[NODE]]
    if ids then ids[#ids + 1] = record[ID] else by_node[record[NODE]] = {record[ID]} end
  end
  for tenant, found in pairs(grouped(refs)) do
    local key, gone = group(shard, tenant), {}
    for i, text in ipairs(redis.call('HMGET', key, unpack(found.users))) do
      local user = found.users[i]
      local form, first = form_of(text or '')
      local single = text and FORMS[form] and not string.find(text, '|', 1, true)
      local only = single and {string.match(text, FIRST_FIELDS, first)}
      local records = text and not (only and only[ID]) and readable(text)
      if only and only[ID] then
        if has_value(found.ids[user], only[ID]) then
          end_one(only)
          gone[#gone + 1] = user
        end
      elseif text and not records then
        increment(book, '', 'refused:unreadable', 1)
      elseif text then
        for _, id in ipairs(found.ids[user]) do
          local at = index_of(records, id)
          if at then end_one(table.remove(records, at)) end
        end
        hold(shard, tenant, user, records)
      end
    end
    if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end
  end
  write(book)
  for node, ids in pairs(by_node) do
    redis.call('PUBLISH', 'wedops:close:' .. node, table.concat(ids, ' '))
  end
  return ended
end

local function kind_of(channel) return string.match(channel, '^[^:]+') end

-- Returns what decides which channels somebody may join.
local function person_of(shard, user, supplier_type)
  local type_ = supplier_type and supplier_type ~= '' and supplier_type
  local profile = type_ and redis.call('HGET', shard .. ':limits', 'profile:' .. type_)
  return {user = user, supplier_type = type_, profile = profile}
end

-- Why somebody may not join a channel below a wedding: those of suppliers' types are for these suppliers,
-- couple and planner, a person's is for that person. Nothing for all other channels.
local function not_theirs(record, person, channel)
  local kind, wedding, below, id, more = string.match(channel, '^(%w+):([^:]+):?([^:]*):?([^:]*)(.*)$')
  if kind == 'person' and below ~= '' then
    -- What version 1 calls a person's channel.
    below, id, more = 'person', below, id .. more
  elseif kind ~= 'wedding' then
    return nil
  end
  if record[WEDDING] ~= '' and wedding ~= record[WEDDING] then return 'wrong_wedding' end
  if more ~= '' then return 'not_theirs' end
  if below == '' then return nil end
  if below == 'person' then return id ~= person.user and 'not_theirs' or nil end
  if id ~= '' then return 'not_theirs' end
  local leads = record[TYPE] == LETTERS.couple or record[TYPE] == LETTERS.planner
  return not leads and below ~= person.supplier_type and 'not_theirs' or nil
end

-- Adds channels to a record; returns by kind which were taken (`ok`) and which not (`refused`: channel, why).
-- What is no channel stands under `?`, which no kind can be.
local function subscribe_to(record, channels, person)
  local list, has, kinds, changed, profile = channels_of(record), {}, {}, false, person.profile
  for _, channel in ipairs(list) do has[channel] = true end
  local function note(kind, what, value)
    kinds[kind] = kinds[kind] or {}
    kinds[kind][what] = kinds[kind][what] or {}
    table.insert(kinds[kind][what], value)
  end
  for _, channel in ipairs(channels) do
    local kind = bad_channel(channel) and '?' or kind_of(channel)
    local why
    if kind == '?' then why = 'invalid'
    elseif has[channel] then why = nil
    elseif profile and not string.find(',' .. profile .. ',', ',' .. kind .. ',', 1, true) then
      why = 'not_in_profile'
    elseif not_theirs(record, person, channel) then why = not_theirs(record, person, channel)
    elseif #list >= MAX_CHANNELS then why = 'too_many'
    end
    if why then
      note(kind, 'refused', {tostring(channel), why})
    else
      if not has[channel] then list[#list + 1], has[channel], changed = channel, true, true end
      note(kind, 'ok', channel)
    end
  end
  record[CHANNELS] = table.concat(list, ';')
  return kinds, changed
end

-- E-model's delay and loss impairments (ITU-T G.107) as simplified by Cole and Rosenbluth (ACM CCR 31(2),
-- 2001), of one-way delay d = srtt/2 + 2 jitter and the share of errors: R = 93.2 - 0.024 d - 0.11 (d -
-- 177.3)+ - 30 ln(1 + 15 e). A reconnect within the life of the connection costs 2, ten at most. The score is
-- R out of 93.2 as 0-100.
local function score(record)
  local d = record[SRTT] / 2 + 2 * record[JITTER]
  local e = record[ERRORS] / math.max(1, record[ERRORS] + record[MESSAGES])
  local r = 93.2 - 0.024 * d - 0.11 * math.max(0, d - 177.3) - 30 * math.log(1 + 15 * e)
  return math.max(0, math.min(100, (r - 2 * math.min(10, record[RECONNECTS])) / 0.932))
end
