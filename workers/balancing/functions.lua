#!lua name=wedops_balancing
-- Nodes, as they report themselves, and where each wedding's people go.
--
-- KEYS[1] is always `wedops:{nodes}`; all keys begin with it.
--   …:facts    hash    node -> its last report, as JSON
--   …:seen     zset    node -> when it reported last, ms
--   …:places   hash    wedding -> the nodes its users go to, best first, separated by spaces
--   …:drained  set     nodes that an operator empties: nobody is sent there until they are back
--   …:limits   string  pool and shares as JSON, as admission has them; the control plane writes it with those
--   …:near     hash    region -> other regions, nearest first, separated by spaces
--   …:met:W    string  where users of a wedding went whose placements were missing or failed them; gone
--                      six hours after the last of them
--   …:r:WHAT   string  theoretical arrival time, ms, of a node's next join, and of a person's next question

-- `wedops nodes` and the control plane decide by the same figure, in balancing/rules.py.
local SILENT_MS = 5000
local MET_FOR_MS = 6 * 3600 * 1000
local LONGEST_WAIT_MS = 30000
local USER_TYPES = {guest = true, vendor = true, planner = true, couple = true}

local function bad_number(name, value, max)
  if type(value) ~= 'number' or not (value >= 0 and value <= max) then
    return name .. ' must be a number from 0 to ' .. max
  end
end

-- KEYS nodes; ARGV report as JSON: node, region, url, capacity, connections, cpu, memory (shares, 0-1),
-- network (bytes/s), draining. Returns 1. To be called each second; a node that is silent for 5 s is out. One
-- without a url is counted, and nobody is sent there.
local function report(keys, args)
  local read, facts = pcall(cjson.decode, args[1] or '')
  if not read or type(facts) ~= 'table' then return refuse('the report must be a JSON object') end
  local wrong = bad_id('node', facts.node) or bad_id('region', facts.region)
    or bad_number('capacity', facts.capacity, 1e6) or bad_number('connections', facts.connections, 1e6)
    or bad_number('cpu', facts.cpu or 0, 1) or bad_number('memory', facts.memory or 0, 1)
    or bad_number('network', facts.network or 0, 1e12)
  if not wrong and (type(facts.url) ~= 'string' or not string.match(facts.url, '^[!-~]*$')
    or #facts.url > 256) then
    wrong = 'url must be a text of 256 plain characters at most'
  end
  if not wrong and facts.draining ~= nil and type(facts.draining) ~= 'boolean' then
    wrong = 'draining must be true or false'
  end
  if wrong then return refuse(wrong) end
  -- Only what was checked is kept: whatever else a gateway sends is its own.
  redis.call('HSET', keys[1] .. ':facts', facts.node, cjson.encode({
    node = facts.node, region = facts.region, url = facts.url, capacity = math.floor(facts.capacity),
    connections = math.floor(facts.connections), cpu = facts.cpu or 0,
    memory = facts.memory or 0, network = facts.network or 0,
    draining = facts.draining or false,
  }))
  redis.call('ZADD', keys[1] .. ':seen', now_ms(), facts.node)
  return 1
end

-- KEYS nodes; ARGV node. It goes on purpose: nobody is alarmed. Returns 1, or 0 when it was not known.
local function leave(keys, args)
  redis.call('HDEL', keys[1] .. ':facts', args[1] or '')
  return redis.call('ZREM', keys[1] .. ':seen', args[1] or '')
end

local function facts_of(key, node)
  local text = redis.call('HGET', key .. ':facts', node)
  return text and cjson.decode(text)
end

-- Returns a node's facts if somebody of this type may be sent there: admission lets them in.
local function open_to(key, limits, node, user_type, now)
  local seen = tonumber(redis.call('ZSCORE', key .. ':seen', node))
  local facts = seen and now - seen < SILENT_MS and facts_of(key, node)
  if facts and facts.url ~= '' and not facts.draining
    and facts.connections < allowed(limits, facts.capacity, user_type)
    and redis.call('SISMEMBER', key .. ':drained', node) == 0 then
    return facts
  end
end

-- The least filled node that takes them, of the nearest region that has one, but for `avoid` and `also`.
local function least_filled(key, limits, region, avoid, user_type, now, also)
  local best, best_load, distance, steps = nil, nil, {[region] = 0}, 0
  for near in string.gmatch(redis.call('HGET', key .. ':near', region) or '', '%S+') do
    steps = steps + 1
    distance[near] = steps
  end
  for _, node in ipairs(redis.call('ZRANGEBYSCORE', key .. ':seen', now - SILENT_MS, '+inf')) do
    local facts = node ~= avoid and node ~= also and open_to(key, limits, node, user_type, now)
    if facts then
      local load = facts.connections / facts.capacity + 1000 * (distance[facts.region] or steps + 1)
      if not best or load < best_load or (load == best_load and node < best) then
        best, best_load = node, load
      end
    end
  end
  return best
end

-- GCRA: `every` ms between two, `burst` of them at once. Returns the ms to wait; who has to wait longer than
-- `longest` is not counted.
local function paced(at, every, burst, longest, now)
  local arrival = math.max(now, tonumber(redis.call('GET', at)) or 0)
  local wait = math.floor(arrival - now - every * burst)
  if wait > longest then return longest end
  redis.call('SET', at, arrival + every, 'PX', math.ceil(arrival + every - now))
  return math.max(0, wait)
end

-- Returns the first node of a wedding that lets somebody of a type in, and the next one: of those it was
-- placed on, then of those its people were sent to.
local function of_wedding(key, limits, wedding, went, avoid, user_type, now)
  local chosen, backup
  for node in string.gmatch((redis.call('HGET', key .. ':places', wedding) or '') .. ' ' .. went, '%S+') do
    -- A wedding that is spread fills its first node, then the next.
    if node ~= avoid and open_to(key, limits, node, user_type, now) then
      if not chosen then chosen = node elseif not backup and node ~= chosen then backup = node end
    end
  end
  return chosen, backup
end

-- Returns what is wrong with a request for a route, or nothing.
local function bad_request(wedding, region, user_type, user, per_second)
  return bad_id('wedding', wedding) or bad_id('region', region)
    or (not USER_TYPES[user_type] and 'user_type must be one of couple, planner, vendor, guest')
    or (user ~= '' and bad_id('user', user))
    or (not per_second or not (per_second >= 1 and per_second <= 100000))
      and 'joins a second must be a number from 1 to 100000'
end

-- KEYS nodes; ARGV wedding, user_type, region, node to avoid or '', joins a second, the user or '', 1 for a
-- vendor who may have a backup. Returns JSON: node, url, wait_ms, and for couples, planners and such vendors
-- backup and backup_url; or {} when no node takes them.
local function route(keys, args)
  local key, wedding, user_type, region = keys[1], args[1], args[2], args[3]
  local avoid, user = args[4] or '', args[6] or ''
  local per_second = tonumber(args[5] or 200)
  local wrong = bad_request(wedding, region, user_type, user, per_second)
  if wrong then return refuse(wrong) end
  local now, critical = now_ms(), user_type == 'couple' or user_type == 'planner'
  local published = redis.call('GET', key .. ':limits')
  -- Before limits are published admission lets nobody in.
  if not published then return '{}' end
  local limits, met = cjson.decode(published), key .. ':met:' .. wedding
  heed_emergencies(limits, wedding, region)
  local went = redis.call('GET', met) or ''
  local chosen, backup = of_wedding(key, limits, wedding, went, avoid, user_type, now)
  if not chosen then
    chosen = least_filled(key, limits, region, avoid, user_type, now)
    if not chosen then return '{}' end
    -- The next of the wedding follows: first of all whoever else is failed by the same node.
    if #went > 400 then went = '' end
    redis.call('SET', met, went .. ' ' .. chosen, 'PX', MET_FOR_MS)
  end
  -- Who asks again and again waits by themselves, and keeps nobody else waiting.
  local wait = user ~= '' and paced(key .. ':r:user:' .. user, 1000, 10, LONGEST_WAIT_MS, now) or 0
  if wait == 0 and not critical then
    wait = paced(key .. ':r:' .. chosen, 1000 / per_second, per_second, LONGEST_WAIT_MS, now)
  end
  local answer = {node = chosen, url = facts_of(key, chosen).url, wait_ms = wait}
  if critical or args[7] == '1' then
    backup = backup or least_filled(key, limits, region, chosen, user_type, now, avoid)
    if backup then answer.backup, answer.backup_url = backup, facts_of(key, backup).url end
  end
  return cjson.encode(answer)
end

local function register(name, work, flag)
  local function callback(keys, args)
    if keys[1] ~= 'wedops:{nodes}' then return refuse('the key must be wedops:{nodes}') end
    return work(keys, args)
  end
  redis.register_function{function_name = name, callback = callback, flags = {flag}}
end

register('wedops_report', report, 'allow-oom')
register('wedops_leave', leave, 'allow-oom')
register('wedops_route', route)
