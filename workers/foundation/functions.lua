#!lua name=wedops_foundation
-- Leases with an owner, a time to live and a fencing number; and a firing that only one beat may claim.

-- KEYS lease, counter; ARGV token, ttl_ms. Returns the fencing number, or 0 when somebody else holds the
-- lease. The same token gets in again: a task that was redelivered after its worker died must not wait for
-- itself.
local function take(keys, args)
  local owner = redis.call('GET', keys[1])
  if owner and owner ~= args[1] then return 0 end
  redis.call('SET', keys[1], args[1], 'PX', args[2])
  return redis.call('INCR', keys[2])
end

-- KEYS lease; ARGV token. Returns 1 when it was ours.
local function drop(keys, args)
  if redis.call('GET', keys[1]) ~= args[1] then return 0 end
  return redis.call('DEL', keys[1])
end

-- KEYS lease, counter, record; ARGV token, ttl_ms, started_ms, due_ms. Returns the fencing number, or 0 and
-- counts a skip. It waited since it was fired: its moment on the grid may lie before there was a beat.
local function begin(keys, args)
  local fence = take(keys, args)
  if fence == 0 then
    redis.call('HINCRBY', keys[3], 'skipped', 1)
  else
    local since = tonumber(redis.call('HGET', keys[3], 'fired')) or tonumber(args[4])
    redis.call('HSET', keys[3], 'started', args[3], 'waited', math.max(0, args[3] - since))
  end
  return fence
end

-- KEYS lease, record; ARGV token, finished_ms, result. The run is recorded even when the lease ran out
-- meanwhile.
local function finish(keys, args)
  redis.call('HSET', keys[2], 'finished', args[2], 'result', args[3])
  -- A run that failed is no answer: a job that fails each time has stopped doing its work.
  -- `nothing_due` is what a beat of the version before says.
  if args[3] == 'ok' or args[3] == 'nothing_due' then redis.call('HSET', keys[2], 'unanswered', 0) end
  redis.call('HINCRBY', keys[2], 'runs', 1)
  if args[3] == 'failed' then redis.call('HINCRBY', keys[2], 'failed', 1) end
  return drop(keys, args)
end

-- KEYS record; ARGV due_ms, pace_ms, fired_ms, beat. Returns 1 for the first beat that claims this moment.
local function claim(keys, args)
  local now = redis.call('TIME')[1] * 1000
  local due, pace = tonumber(args[1]), tonumber(args[2])
  local last = tonumber(redis.call('HGET', keys[1], 'due')) or 0
  -- The server's clock decides the beats': one that runs ahead must not keep the others from firing.
  if not due or not pace or due ~= due or pace ~= pace or due > now + 2000 then return 0 end
  if last > now + pace then last = 0 end
  if due <= last then return 0 end
  redis.call('HSET', keys[1], 'due', args[1], 'pace', args[2], 'fired', args[3], 'beat', args[4])
  redis.call('HINCRBY', keys[1], 'unanswered', 1)
  return 1
end

-- KEYS record; ARGV due_ms. What was claimed could not be sent: the moment is open again.
local function unclaim(keys, args)
  if redis.call('HGET', keys[1], 'due') ~= args[1] then return 0 end
  redis.call('HINCRBY', keys[1], 'unanswered', -1)
  return redis.call('HDEL', keys[1], 'due')
end

-- KEYS stream, queue; ARGV letter's id, message. Returns 1 for who took it out of the stream: he alone sends
-- it again.
local function replay(keys, args)
  local mine = redis.call('XDEL', keys[1], args[1])
  if mine == 1 then redis.call('LPUSH', keys[2], args[2]) end
  return mine
end

-- A server that is full must not keep jobs from running: it is they that free it.
local function register(name, callback)
  redis.register_function{function_name = name, callback = callback, flags = {'allow-oom'}}
end

register('wedops_once_take', take)
register('wedops_once_drop', drop)
register('wedops_letter_replay', replay)
register('wedops_job_claim', claim)
register('wedops_job_unclaim', unclaim)
register('wedops_job_begin', begin)
register('wedops_job_finish', finish)
