#!lua name=wedops_delivery
-- What gateways say of urgent messages: who got them, and who came and may have missed some.
--
--   wedops:{urgent}:in   stream   entries `receipts` (message, recipient, state, …) and `joined` (wedding,
--                                 recipient, …), each a list with spaces between; the urgent lane empties it

local MAX_IN_A_CALL = 500
-- So many entries are kept while nobody reads them: a day of a large Saturday.
local KEPT = 1000000
local STATES = {sent = true, delivered = true, displayed = true, acknowledged = true}

-- `supplier:id`, `guest:id`, `planner` or `couple`.
local function is_recipient(value)
  local kind, id = string.match(value or '', '^(%l+):(.+)$')
  if kind then return (kind == 'supplier' or kind == 'guest') and is_id(id) end
  return value == 'planner' or value == 'couple'
end

local function bad_count(args, size)
  if #args == 0 or #args % size ~= 0 or #args > size * MAX_IN_A_CALL then
    return 'send ' .. size .. ' values for each, ' .. MAX_IN_A_CALL .. ' at most'
  end
end

-- KEYS stream; ARGV message's identifier, recipient, state, … Returns 1. The server's clock says when.
local function receipts(keys, args)
  local wrong = bad_count(args, 3)
  if wrong then return refuse(wrong) end
  for i = 1, #args, 3 do
    wrong = bad_id('message', args[i])
    if not wrong and not is_recipient(args[i + 1]) then
      wrong = 'recipient must be planner, couple, supplier:ID or guest:ID'
    elseif not wrong and not STATES[args[i + 2]] then
      wrong = 'state must be sent, delivered, displayed or acknowledged'
    end
    if wrong then return refuse(wrong) end
  end
  redis.call('XADD', keys[1], 'MAXLEN', '~', KEPT, '*', 'receipts', table.concat(args, ' '))
  return 1
end

-- KEYS stream; ARGV wedding, recipient, … Returns 1. What they have not acknowledged is published again.
local function joined(keys, args)
  local wrong = bad_count(args, 2)
  if wrong then return refuse(wrong) end
  for i = 1, #args, 2 do
    wrong = bad_id('wedding', args[i])
    if not wrong and not is_recipient(args[i + 1]) then
      wrong = 'recipient must be planner, couple, supplier:ID or guest:ID'
    end
    if wrong then return refuse(wrong) end
  end
  redis.call('XADD', keys[1], 'MAXLEN', '~', KEPT, '*', 'joined', table.concat(args, ' '))
  return 1
end

redis.register_function('wedops_receipts', receipts)
redis.register_function('wedops_joined', joined)
