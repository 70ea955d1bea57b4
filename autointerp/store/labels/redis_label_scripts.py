"""Lua of labels in Redis, which the server runs as one step, and the names of what it touches."""

from __future__ import annotations

from autointerp.store.redis_connection import PREFIX

KEPT = "kept:"
"""Begins the name of a change that is of a label which is kept beside a newer one."""

# KEYS: labels, rows, row-changes, row-change, failed-labels, models, kept-rows, kept of the unit.
# ARGV: field, label, row or "", whether it failed, model, digest of the label that was there or "",
# side/origin to keep that one as or "", its row or "", side/origin of the new one.
# The number of the change, 0 without a row or where nothing is put; -1 where another label is there
# by now.
PUT_LABEL = f"""
local there = redis.call('HGET', KEYS[1], ARGV[1])
if ARGV[4] == '1' and there and redis.call('SISMEMBER', KEYS[5], ARGV[1]) == 0 then return 0 end
if ARGV[6] ~= (there and redis.sha1hex(there) or '') then return -1 end
local unit = '{KEPT}' .. string.match(ARGV[1], '^(.*)/') .. '/'
if ARGV[7] ~= '' then
  local kept = unit .. ARGV[7]
  redis.call('HSET', KEYS[8], ARGV[7], there)
  redis.call('HSET', KEYS[7], kept, ARGV[8])
  if ARGV[8] ~= '' then
    redis.call('ZADD', KEYS[3], redis.call('INCR', KEYS[4]), kept)
  end
end
-- First of what is always written: a server that is full refuses this, and nothing after a write.
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if redis.call('HDEL', KEYS[8], ARGV[9]) == 1 then
  redis.call('HDEL', KEYS[7], unit .. ARGV[9])
  redis.call('ZREM', KEYS[3], unit .. ARGV[9])
end
if ARGV[4] == '1' then
  redis.call('SADD', KEYS[5], ARGV[1])
else
  redis.call('SREM', KEYS[5], ARGV[1])
end
local change = 0
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
  change = redis.call('INCR', KEYS[4])
  redis.call('ZADD', KEYS[3], change, ARGV[1])
end
redis.call('SADD', KEYS[6], ARGV[5])
return change
"""

# KEYS: labels, row-changes, row-change, kept-rows, kept of the unit.
# ARGV: field, digest of the label that is there or "", side/origin, label, row or "".
# -1 where another label is there by now.
PUT_KEPT = f"""
local there = redis.call('HGET', KEYS[1], ARGV[1])
if ARGV[2] ~= (there and redis.sha1hex(there) or '') then return -1 end
local kept = '{KEPT}' .. string.match(ARGV[1], '^(.*)/') .. '/' .. ARGV[3]
redis.call('HSET', KEYS[5], ARGV[3], ARGV[4])
redis.call('HSET', KEYS[4], kept, ARGV[5])
if ARGV[5] ~= '' then
  redis.call('ZADD', KEYS[2], redis.call('INCR', KEYS[3]), kept)
end
return 1
"""

# KEYS: rows, row-changes, row-change, kept-rows, row-blocks, row-block-starts.
# ARGV: change, most rows, whether blocks are read, last change or "+inf".
# The last change, and names and rows or a block; without rows nothing is new.
ROWS_SINCE = """
local newest = tonumber(redis.call('GET', KEYS[3]) or 0)
local since, till = tonumber(ARGV[1]), ARGV[4]
if since > newest then since = 0 end
if ARGV[3] == '1' then
  local block = redis.call('ZRANGEBYSCORE', KEYS[6], '(' .. since, '+inf', 'LIMIT', 0, 1)[1]
  if block then
    local first, last = string.match(block, '^(%d+)-(%d+)$')
    if tonumber(first) == since + 1 then
      return {last, {}, redis.call('HGET', KEYS[5], block) or ''}
    end
    -- So that the next block can be read whole.
    till = tostring(tonumber(first) - 1)
  end
end
local changed = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. since, till, 'WITHSCORES',
  'LIMIT', 0, ARGV[2])
local rows, last = {}, since
for i = 1, #changed, 2 do
  rows[#rows + 1] = changed[i]
  rows[#rows + 1] = redis.call('HGET', KEYS[1], changed[i])
    or redis.call('HGET', KEYS[4], changed[i]) or ''
  last = changed[i + 1]
end
if till ~= '+inf' and #changed / 2 < tonumber(ARGV[2]) then last = till end
return {tostring(last), rows}
"""

# KEYS: row-block-starts. The last change that is in a block.
LAST_OF_BLOCKS = """
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0)[1]
return last and string.match(last, '-(%d+)$') or '0'
"""

# KEYS: row-blocks, row-block-starts, labels, kept-rows.
# ARGV: first change, last, rows, changes of a block, and how many times as many changes in blocks
# as there are rows are too many: then all blocks are dropped.
ADD_BLOCK = """
local before = redis.call('ZREVRANGE', KEYS[2], 0, 0)[1]
local done = before and tonumber(string.match(before, '-(%d+)$')) or 0
if done + 1 ~= tonumber(ARGV[1]) then return 0 end
local name = ARGV[1] .. '-' .. ARGV[2]
redis.call('HSET', KEYS[1], name, ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[1], name)
local n, most = redis.call('ZCARD', KEYS[2]), tonumber(ARGV[5])
local rows = redis.call('HLEN', KEYS[3]) + redis.call('HLEN', KEYS[4])
if n > most and n * ARGV[4] > most * rows then redis.call('DEL', KEYS[1], KEYS[2]) end
return 1
"""

# KEYS: rows, row-changes, labels, kept-rows. ARGV: fields. False where there is no label any more.
ROWS_AGAIN = """
local rows = {}
for i, field in ipairs(ARGV) do
  local listed = redis.call('ZSCORE', KEYS[2], field)
  local kept = redis.call('HGET', KEYS[4], field)
  listed = listed and (kept or redis.call('HEXISTS', KEYS[3], field) == 1)
  rows[i] = listed and (kept or redis.call('HGET', KEYS[1], field) or '')
end
return rows
"""

# KEYS: row-change, row-marks. ARGV: a change, a mark for it where it has none. False for a change
# that is still to come. Of many marks that of the oldest change is dropped.
MARK = """
if tonumber(redis.call('GET', KEYS[1]) or 0) < tonumber(ARGV[1]) then return false end
if redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2]) == 1 and redis.call('HLEN', KEYS[2]) > 64 then
  local oldest = tonumber(ARGV[1])
  for _, change in ipairs(redis.call('HKEYS', KEYS[2])) do
    oldest = math.min(oldest, tonumber(change))
  end
  redis.call('HDEL', KEYS[2], tostring(oldest))
end
return redis.call('HGET', KEYS[2], ARGV[1])
"""


def kept_key(model: str, unit: str) -> str:
    """Where the labels are that are kept of a unit, ``HOOK/INDEX``, by side and origin."""
    return f"{PREFIX}kept:{model}:{unit}"
