"""Lua of jobs and workers: each script is one step of the server, and may run twice.

Where a call must know whether it was the one that did something, it brings a token that is kept
with the effect: the same call, sent again because its reply was lost, finds its own token. The
first write of every script is one that a full server refuses, so that it does all or nothing.
"""

from __future__ import annotations

_EVENT = """
local function say(events, kind, data)
  redis.call('XADD', events, 'MAXLEN', '~', 100000, '*', 'kind', kind, 'data', data)
end
"""
_NOW = """
local function now()
  local time = redis.call('TIME')
  return string.format('%d.%06d', time[1], time[2])
end
"""
_RESET = """
local function reset(items, number, lease)
  if redis.call('HDEL', items, 'd' .. number) == 1 then redis.call('HINCRBY', items, 'done', -1) end
  redis.call('HDEL', items, 'a' .. number, 's' .. number)
  redis.call('DEL', lease)
end
"""

# KEYS job, jobs, jobs of the owner, open, open of the owner, idempotency, plan items, events
# ARGV id, whether there is an idempotency key, body, event, fields and values...
SUBMIT = (
    _EVENT
    + """
if ARGV[2] == '1' then
  local known = redis.call('HMGET', KEYS[6], 'job', 'body')
  if known[1] and known[2] ~= ARGV[3] then return false end
  if known[1] then return known[1] end
end
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], unpack(ARGV, 5))
  redis.call('ZADD', KEYS[2], 0, ARGV[1])
  redis.call('ZADD', KEYS[3], 0, ARGV[1])
  redis.call('SADD', KEYS[4], ARGV[1])
  redis.call('SADD', KEYS[5], ARGV[1])
  redis.call('HSETNX', KEYS[7], 'n', 1)
  say(KEYS[8], 'state', ARGV[4])
  if ARGV[2] == '1' then redis.call('HSET', KEYS[1], 'asked', KEYS[6]) end
end
if ARGV[2] == '1' then redis.call('HSET', KEYS[6], 'job', ARGV[1], 'body', ARGV[3]) end
return ARGV[1]
"""
)

# KEYS job ; ARGV name of a field, text
ADD_FIELD = """
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) end
return 1
"""

_MOVED = """
local function moved(job, state, final, reason, event, keep_s)
  local id, events, open, open_of = ARGV[1], KEYS[2], KEYS[3], KEYS[4]
  local was_final = redis.call('HGET', job, 'ended')
  redis.call('HSET', job, 'state', state)
  redis.call('HDEL', job, 'reason', 'ended')
  if reason ~= '' then redis.call('HSET', job, 'reason', reason) end
  say(events, 'state', event)
  if final then
    redis.call('HSET', job, 'ended', now())
    redis.call('SREM', open, id)
    redis.call('SREM', open_of, id)
    redis.call('EXPIRE', events, keep_s)
    return
  end
  if was_final then redis.call('HINCRBY', job, 'generation', 1) end
  if state == 'running' then redis.call('HSETNX', job, 'started', now()) end
  redis.call('SADD', open, id)
  redis.call('SADD', open_of, id)
  redis.call('PERSIST', events)
end
"""

# KEYS job, events, open, open of the owner
# ARGV id, token, state, 1 where it is final, reason, event, seconds to keep events, states...
MOVE = (
    _EVENT
    + _NOW
    + _MOVED
    + """
local fields = redis.call('HMGET', KEYS[1], 'state', 'mover')
if fields[2] == ARGV[2] then return 1 end
for i = 8, #ARGV do
  if fields[1] == ARGV[i] then
    redis.call('HSET', KEYS[1], 'mover', ARGV[2])
    moved(KEYS[1], ARGV[3], ARGV[4] == '1', ARGV[5], ARGV[6], ARGV[7])
    return 1
  end
end
return 0
"""
)

# KEYS job, sharers of its collection, jobs, jobs of the owner, open, open of the owner, all others
# of the job...
# ARGV id, states that have not ended...
FORGET = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 1 end
local fields = redis.call('HMGET', KEYS[1], 'ended', 'asked', 'state')
for i = 2, #ARGV do
  if not fields[1] and fields[3] == ARGV[i] then return 0 end
end
if fields[2] then redis.call('DEL', fields[2]) end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
for _, i in ipairs({2, 5, 6}) do redis.call('SREM', KEYS[i], ARGV[1]) end
redis.call('DEL', KEYS[1], unpack(KEYS, 7))
return 1
"""

# KEYS sharers, all others of the collection...
FORGET_COLLECTION = """
if redis.call('SCARD', KEYS[1]) > 0 then return 0 end
redis.call('DEL', unpack(KEYS))
return 1
"""

# KEYS job, events, open, open of the owner, labels, items of RECORDS, items of LABEL
# ARGV id, token, event, prefix of leases of RECORDS, of LABEL, states, label and chunk by turns...
REOPEN = (
    _EVENT
    + _NOW
    + _MOVED
    + _RESET
    + """
local fields = redis.call('HMGET', KEYS[1], 'ended', 'mover', 'taken')
if fields[2] == ARGV[2] then return tonumber(fields[3]) end
if not fields[1] then return 0 end
local taken, chunks, counts = {}, {}, {}
for i = 7, #ARGV, 2 do
  local status = redis.call('HGET', KEYS[5], ARGV[i])
  status = status and string.match(status, '^[^:]+')
  if status and string.find(ARGV[6], ' ' .. status .. ' ', 1, true) then
    taken[#taken + 1] = ARGV[i]
    chunks[ARGV[i + 1]] = true
    counts[status] = (counts[status] or 0) + 1
  end
end
if #taken == 0 then return 0 end
redis.call('HSET', KEYS[1], 'mover', ARGV[2], 'taken', #taken)
for _, label in ipairs(taken) do redis.call('HDEL', KEYS[5], label) end
for status, n in pairs(counts) do redis.call('HINCRBY', KEYS[1], status, -n) end
for number in pairs(chunks) do
  reset(KEYS[6], number, ARGV[4] .. number)
  reset(KEYS[7], number, ARGV[5] .. number)
end
moved(KEYS[1], 'running', false, '', ARGV[3], 0)
return #taken
"""
)

# KEYS job, mark of this call ; ARGV requests, tokens, dollars or nothing
SPEND = """
if not redis.call('SET', KEYS[2], 1, 'NX', 'PX', 600000) then return 0 end
redis.call('HINCRBY', KEYS[1], 'requests', ARGV[1])
redis.call('HINCRBY', KEYS[1], 'tokens', ARGV[2])
if ARGV[3] ~= '' then
  redis.call('HINCRBYFLOAT', KEYS[1], 'usd', ARGV[3])
elseif ARGV[1] ~= '0' or ARGV[2] ~= '0' then
  redis.call('HSET', KEYS[1], 'unpriced', 1)
end
return 1
"""

# KEYS items ; ARGV number, token
SET_ITEMS = """
if redis.call('HSETNX', KEYS[1], 'n', ARGV[1]) == 1 then
  redis.call('HSET', KEYS[1], 'by', ARGV[2])
end
return redis.call('HGET', KEYS[1], 'by') == ARGV[2] and 1 or 0
"""

# KEYS items and lease by turns ; ARGV numbers
RESET = (
    _RESET
    + """
for i = 1, #ARGV do reset(KEYS[2 * i - 1], ARGV[i], KEYS[2 * i]) end
return 1
"""
)

# KEYS items, lease ; ARGV number, claim, milliseconds
TAKE = """
local fields = redis.call('HMGET', KEYS[1], 'n', 'd' .. ARGV[1])
if not fields[1] or tonumber(ARGV[1]) >= tonumber(fields[1]) or fields[2] then return 0 end
local held = redis.call('GET', KEYS[2])
if held then return held == ARGV[2] and 1 or 0 end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
redis.call('HINCRBY', KEYS[1], 'a' .. ARGV[1], 1)
return 1
"""

# KEYS lease ; ARGV claim, milliseconds
RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

# KEYS items, lease, events, sharers
# ARGV number, claim, 1 where it is done, stage, prefix of events
RELEASE = (
    _EVENT
    + """
if redis.call('GET', KEYS[2]) ~= ARGV[2] then
  return redis.call('HGET', KEYS[1], 'd' .. ARGV[1]) == ARGV[2] and 1 or 0
end
if ARGV[3] == '1' then
  redis.call('HSET', KEYS[1], 'd' .. ARGV[1], ARGV[2])
  local done = redis.call('HINCRBY', KEYS[1], 'done', 1)
  local data = string.format('{"stage":"%s","number":%d,"done":%d,"total":%d}',
    ARGV[4], ARGV[1], done, redis.call('HGET', KEYS[1], 'n'))
  say(KEYS[3], 'stage', data)
  for _, job in ipairs(redis.call('SMEMBERS', KEYS[4])) do say(ARGV[5] .. job, 'stage', data) end
end
redis.call('DEL', KEYS[2])
return 1
"""
)

# KEYS job, labels, events ; ARGV label, status, token, summary
COMMIT = (
    _EVENT
    + """
local status = ARGV[2] .. ':' .. ARGV[3]
if redis.call('HSETNX', KEYS[2], ARGV[1], status) == 0 then
  return redis.call('HGET', KEYS[2], ARGV[1]) == status and 1 or 0
end
redis.call('HINCRBY', KEYS[1], ARGV[2], 1)
say(KEYS[3], 'label', ARGV[4])
return 1
"""
)

# KEYS leader ; ARGV who, milliseconds
LEAD = """
local leader = redis.call('GET', KEYS[1])
if leader and leader ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

# KEYS reply ; ARGV reply, milliseconds
REPLY = """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
