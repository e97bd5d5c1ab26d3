-- What is added up while a call runs, and written at its end: one write a name, however many connections change.
local function ledger(shard) return {shard = shard, node = {}, supplier = {}, rt = {}, wt = {}, flow = {}} end

local function add(sums, name, by) sums[name] = (sums[name] or 0) + by end

local function add_to(sums, first, second, by)
  local inner = sums[first]
  if not inner then
    inner = {}
    sums[first] = inner
  end
  inner[second] = (inner[second] or 0) + by
end

local function tally(book, record, by)
  add(book.node, record[NODE], by)
  add_to(book.rt, record[REGION], record[TYPE], by)
  if record[WEDDING] ~= '' then add_to(book.wt, record[WEDDING], record[TYPE], by) end
  if record[SUPPLIER] ~= '' then add(book.supplier, record[SUPPLIER], by) end
end

local function flow(book, region, what, by) add_to(book.flow, region, what, by) end

-- Returns what a ledger holds by the names of the counts' fields.
local function flat(book)
  local counts = {}
  for _, kind in ipairs({'node', 'supplier'}) do
    for name, by in pairs(book[kind]) do counts[kind .. ':' .. name] = by end
  end
  for _, kind in ipairs({'rt', 'wt'}) do
    for name, types in pairs(book[kind]) do
      for letter, by in pairs(types) do counts[kind .. ':' .. name .. '|' .. TYPES[letter]] = by end
    end
  end
  return counts
end

local function write(book)
  local counts, changed = book.shard .. ':counts', false
  for name, by in pairs(flat(book)) do
    if by ~= 0 then
      changed = true
      if redis.call('HINCRBY', counts, name, by) <= 0 then redis.call('HDEL', counts, name) end
    end
  end
  -- An audit that reads page by page sees by this whether anything moved meanwhile.
  if changed then redis.call('HINCRBY', counts, 'moves', 1) end
  for region, whats in pairs(book.flow) do
    for what, by in pairs(whats) do
      if by ~= 0 then redis.call('HINCRBY', book.shard .. ':flow', region .. '|' .. what, by) end
    end
  end
end

local function parts(ref)
  return string.match(ref or '', '^([^/]+)/([^/]+)/([^/]+)$')
end

local function group(shard, tenant) return shard .. ':t:' .. tenant end

local function held(shard, tenant, user)
  local packed = redis.call('HGET', group(shard, tenant), user)
  return packed and cmsgpack.unpack(packed) or {}
end

local function hold(shard, tenant, user, records)
  if #records == 0 then
    redis.call('HDEL', group(shard, tenant), user)
  else
    redis.call('HSET', group(shard, tenant), user, cmsgpack.pack(records))
  end
end

local function place(records, id)
  for i, record in ipairs(records) do
    if record[ID] == id then return i end
  end
end

-- Takes a connection out of truth and counts; the caller takes refs out of the sorted sets. Returns its record, or nothing.
local function take_out(book, ref)
  local tenant, user, id = parts(ref)
  if not tenant then return nil end
  local records = held(book.shard, tenant, user)
  local i = place(records, id)
  if not i then return nil end
  local record = table.remove(records, i)
  hold(book.shard, tenant, user, records)
  tally(book, record, -1)
  return record
end

local function forget(shard, refs)
  local poor = redis.call('EXISTS', shard .. ':poor') == 1
  for first = 1, #refs, MOST_IN_A_CALL do
    local last = math.min(#refs, first + MOST_IN_A_CALL - 1)
    redis.call('ZREM', shard .. ':active', unpack(refs, first, last))
    if poor then redis.call('ZREM', shard .. ':poor', unpack(refs, first, last)) end
  end
end

-- Ends connections that nobody holds, and tells each gateway its own in one message.
local function end_all(shard, refs, why)
  local book, by_node, ended = ledger(shard), {}, 0
  for _, ref in ipairs(refs) do
    local record = take_out(book, ref)
    if record then
      ended = ended + 1
      flow(book, record[REGION], why, 1)
      local ids = by_node[record[NODE]] or {}
      by_node[record[NODE]] = ids
      ids[#ids + 1] = record[ID]
    end
  end
  if #refs > 0 then forget(shard, refs) end
  write(book)
  for node, ids in pairs(by_node) do redis.call('PUBLISH', 'wedops:close:' .. node, table.concat(ids, ' ')) end
  return ended
end

local function kind_of(channel) return string.match(channel, '^[^:]+') end

local function subscribe_to(record, channels, profile)
  local has, kinds, changed = {}, {}, false
  local list = record[CHANNELS] == '' and {} or record[CHANNELS]
  for _, channel in ipairs(list) do has[channel] = true end
  for _, channel in ipairs(channels) do
    local kind = problem('channels', channel, true) and 'refused' or kind_of(channel)
    local answer = kinds[kind] or {ok = {}, refused = {}}
    kinds[kind] = answer
    local why
    if kind == 'refused' then why = 'invalid'
    elseif has[channel] then why = nil
    elseif profile and not string.find(',' .. profile .. ',', ',' .. kind .. ',', 1, true) then why = 'not_in_profile'
    elseif #list >= MOST_CHANNELS then why = 'too_many'
    else
      list[#list + 1], has[channel], changed = channel, true, true
    end
    if why then answer.refused[#answer.refused + 1] = {tostring(channel), why} else answer.ok[#answer.ok + 1] = channel end
  end
  record[CHANNELS] = #list > 0 and list or ''
  return kinds, changed
end

-- E-model's delay and loss impairments (ITU-T G.107) as simplified by Cole and Rosenbluth (ACM CCR 31(2), 2001), of one-way
-- delay d = srtt/2 + 2 jitter and the share of errors: R = 93.2 - 0.024 d - 0.11 (d - 177.3)+ - 30 ln(1 + 15 e). A reconnect within
-- the life of the connection costs 2, ten at most. The score is R out of 93.2 as 0-100.
local function score(record)
  local d = record[SRTT] / 2 + 2 * record[JITTER]
  local e = record[ERRORS] / math.max(1, record[ERRORS] + record[MESSAGES])
  local r = 93.2 - 0.024 * d - 0.11 * math.max(0, d - 177.3) - 30 * math.log(1 + 15 * e)
  return math.max(0, math.min(100, (r - 2 * math.min(10, record[RECONNECTS])) / 0.932))
end
