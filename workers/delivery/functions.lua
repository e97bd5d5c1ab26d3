#!lua name=wedops_delivery
-- What gateways say of urgent messages: who got them, and who came and may have missed some.
--
--   wedops:{urgent}:in   stream   entries `receipts` (wedding, message, recipient, state, …) and `joined`
--                                 (wedding, recipient, …), each a list with spaces between; the urgent lane
--                                 empties it

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

-- Returns what is wrong with rows of `size` values: wedding, (message,) recipient (, state).
local function bad_rows(args, size)
  if #args == 0 or #args % size ~= 0 or #args > size * MAX_IN_A_CALL then
    return 'send ' .. size .. ' values for each, ' .. MAX_IN_A_CALL .. ' at most'
  end
  for i = 1, #args, size do
    local wrong = bad_id('wedding', args[i]) or (size == 4 and bad_id('message', args[i + 1]))
    if not wrong and not is_recipient(args[i + (size == 4 and 2 or 1)]) then
      wrong = 'recipient must be planner, couple, supplier:ID or guest:ID'
    elseif not wrong and size == 4 and not STATES[args[i + 3]] then
      wrong = 'state must be sent, delivered, displayed or acknowledged'
    end
    if wrong then return wrong end
  end
end

-- Keeps rows that are sound until the urgent lane reads them. The server's clock says when they came.
local function keep(keys, args, kind, wrong)
  if wrong then return refuse(wrong) end
  redis.call('XADD', keys[1], 'MAXLEN', '~', KEPT, '*', kind, table.concat(args, ' '))
  return 1
end

-- KEYS stream; ARGV wedding, message's identifier, recipient, state, … Returns 1.
local function receipts(keys, args) return keep(keys, args, 'receipts', bad_rows(args, 4)) end

-- KEYS stream; ARGV wedding, recipient, … Returns 1. What they have not acknowledged is published again.
local function joined(keys, args) return keep(keys, args, 'joined', bad_rows(args, 2)) end

redis.register_function('wedops_receipts', receipts)
redis.register_function('wedops_joined', joined)
