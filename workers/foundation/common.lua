-- What every library has, put after its first line: functions of two libraries cannot call each other.

-- The server's time: no gateway's clock can make a live connection look abandoned.
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function refuse(text)
  return redis.error_reply('REFUSED ' .. text)
end

-- The same as ID in workers/weddings/rules.py: what the calendar takes can join. A colon separates parts, so
-- no id has one.
local function is_id(value)
  return type(value) == 'string' and #value <= 128 and string.match(value, '^%w[%w._@-]*$') ~= nil
end

-- Returns a problem, or nothing. Ids go into key names, so they are checked here and nowhere else has to.
local function bad_id(name, value)
  if not is_id(value) then
    return name .. ' must be 1-128 letters, digits, dots, at signs, dashes, underscores, '
      .. 'a letter or digit first'
  end
end

-- Has guests give way where an emergency mode holds: at their wedding, or in their region.
local function heed_emergencies(limits, wedding, region)
  local scopes = limits.emergencies or {}
  local holds = scopes['wedding:' .. (wedding or '')] or scopes['region:' .. (region or '')]
  if holds and limits.shares then limits.shares.guest = limits.guests_emergency end
end

-- Returns how many connections of a node people of a type may fill: its capacity, the pool's limit at most,
-- and of that their share. Admission lets in, and routing sends, by this figure. `limits` are those of
-- connections/rules, `routing_limits`.
local function allowed(limits, capacity, user_type)
  -- A worker of before writes `guests` and `vendors` until it is gone.
  local shares = limits.shares or {guest = limits.guests, vendor = limits.vendors}
  local share = shares[user_type] or 1
  return math.floor(math.min(limits.pool or math.huge, capacity or math.huge) * share)
end
