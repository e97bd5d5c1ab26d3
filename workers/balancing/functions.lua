#!lua name=wedops_balancing
-- Nodes, as they report themselves, and where each wedding's people go.
--
-- KEYS[1] is always `wedops:{nodes}`; all keys begin with it.
--   …:facts    hash    node -> its last report, as JSON
--   …:seen     zset    node -> when it reported last, ms
--   …:places   hash    wedding -> the nodes its people go to, best first, separated by spaces
--   …:r:NODE   string  theoretical arrival time of the next join, ms: reconnects are paced
-- Time is the server's.

local SILENT_MS = 5000

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function refuse(text)
  return redis.error_reply('REFUSED ' .. text)
end

local function bad_name(name, value)
  if type(value) ~= 'string' or #value > 128 or not string.match(value, '^[%w._:@-]+$') then
    return name .. ' must be 1-128 letters, digits, dots, colons, dashes, underscores'
  end
end

local function bad_number(name, value, most)
  if type(value) ~= 'number' or value < 0 or value > most then return name .. ' must be a number from 0 to ' .. most end
end

-- KEYS nodes; ARGV report as JSON: node, region, url, capacity, connections, cpu, memory (shares, 0-1), network (bytes/s), draining.
-- Returns 1. To be called each second; a node that is silent for 5 s is out.
local function report(keys, args)
  local read, facts = pcall(cjson.decode, args[1] or '')
  if not read or type(facts) ~= 'table' then return refuse('the report must be a JSON object') end
  local wrong = bad_name('node', facts.node) or bad_name('region', facts.region)
    or bad_number('capacity', facts.capacity, 1e6) or bad_number('connections', facts.connections, 1e6)
    or bad_number('cpu', facts.cpu or 0, 1) or bad_number('memory', facts.memory or 0, 1) or bad_number('network', facts.network or 0, 1e12)
  if not wrong and (type(facts.url) ~= 'string' or #facts.url > 256) then wrong = 'url must be a text of 256 characters at most' end
  if wrong then return refuse(wrong) end
  redis.call('HSET', keys[1] .. ':facts', facts.node, args[1])
  redis.call('ZADD', keys[1] .. ':seen', now_ms(), facts.node)
  return 1
end

local function facts_of(key, node)
  local text = redis.call('HGET', key .. ':facts', node)
  return text and cjson.decode(text)
end

local function alive(key, node, now)
  local seen = tonumber(redis.call('ZSCORE', key .. ':seen', node))
  return seen and now - seen < SILENT_MS
end

-- The least filled node that lives, of the region if it has one left, but for `avoid`.
local function least_filled(key, region, avoid, now)
  local best, best_load
  for _, node in ipairs(redis.call('ZRANGEBYSCORE', key .. ':seen', now - SILENT_MS, '+inf')) do
    local facts = facts_of(key, node)
    if facts and node ~= avoid and not facts.draining and facts.capacity > 0 then
      local load = facts.connections / facts.capacity + (facts.region == region and 0 or 1000)
      if not best or load < best_load or (load == best_load and node < best) then best, best_load = node, load end
    end
  end
  return best
end

-- GCRA on a node's joins, so that those who lost theirs do not storm the next one. Couples and planners do not wait for guests.
local function wait_for(key, node, user_type, per_second, now)
  local at, every = key .. ':r:' .. node, 1000 / per_second
  local arrival = math.max(now, tonumber(redis.call('GET', at)) or 0)
  redis.call('SET', at, arrival + every, 'PX', math.ceil(arrival + every - now) + 1000)
  if user_type == 'couple' or user_type == 'planner' then return 0 end
  return math.max(0, math.floor(arrival - now - 1000))
end

-- KEYS nodes; ARGV wedding, user_type, region, node to avoid or '', joins a second. Returns JSON: node, url, wait_ms, and for couples
-- and planners backup and backup_url; or {} when no node lives.
local function route(keys, args)
  local key, wedding, user_type, region, avoid = keys[1], args[1], args[2], args[3], args[4] or ''
  local wrong = bad_name('wedding', wedding) or bad_name('region', region)
  if wrong then return refuse(wrong) end
  local now, chosen, backup = now_ms(), nil, nil
  for node in string.gmatch(redis.call('HGET', key .. ':places', wedding) or '', '%S+') do
    if node ~= avoid and alive(key, node, now) then
      local facts = facts_of(key, node)
      -- A wedding that is spread fills its first node, then the next.
      if not chosen and facts.connections < facts.capacity then chosen = node elseif not backup then backup = node end
    end
  end
  if not chosen then
    chosen = least_filled(key, region, avoid, now)
    if not chosen then return '{}' end
    -- The next of the wedding follows; the plan may put them elsewhere later.
    if avoid == '' then redis.call('HSETNX', key .. ':places', wedding, chosen) end
  end
  local answer = {node = chosen, url = facts_of(key, chosen).url, wait_ms = wait_for(key, chosen, user_type, tonumber(args[5]) or 200, now)}
  if user_type == 'couple' or user_type == 'planner' then
    backup = backup or least_filled(key, region, chosen, now)
    if backup and backup ~= chosen then answer.backup, answer.backup_url = backup, facts_of(key, backup).url end
  end
  return cjson.encode(answer)
end

redis.register_function('wedops_report', report)
redis.register_function('wedops_route', route)
