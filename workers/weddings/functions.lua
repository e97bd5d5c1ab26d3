#!lua name=wedops_weddings
-- When each wedding is to be looked at.

-- KEYS due; ARGV id, the score it was taken at, its next score or '' for never, and so on. One that was
-- listed anew meanwhile has another score: it changed after it was looked at, so its turn stands.
local function looked(keys, args)
  for first = 1, #args, 3 do
    local id, taken, later = args[first], tonumber(args[first + 1]), tonumber(args[first + 2])
    local score = redis.call('ZSCORE', keys[1], id)
    if score and tonumber(score) == taken then
      if later then
        redis.call('ZADD', keys[1], later, id)
      else
        redis.call('ZREM', keys[1], id)
      end
    end
  end
  return 'OK'
end

redis.register_function{function_name = 'wedops_weddings_looked', callback = looked, flags = {'allow-oom'}}
