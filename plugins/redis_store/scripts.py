"""The store's Lua scripts: each runs whole or not at all, and all keys are of one slot.

KEYS are lease, writer, values and order. The lease names who may write, until it expires. The
writer names who held it last and stays: a lease that ran out unnoticed (the server was away, the
process was stopped) may be taken up again only if nobody else has had it meanwhile.
"""

from __future__ import annotations

__all__ = ["COMMIT", "RELEASE", "TAKE"]

TAKE = """
-- ARGV: token, milliseconds. Gives 0 or how many milliseconds another one's lease still has.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return math.max(redis.call('PTTL', KEYS[1]), 1)
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SET', KEYS[2], ARGV[1])
return 0
"""

COMMIT = """
-- ARGV: token, milliseconds, number of deletes, the deletes, key and value of each put.
-- Gives 1, or 0 where the lease is another's.
local holder = redis.call('GET', KEYS[1])
if holder ~= ARGV[1] and (holder or redis.call('GET', KEYS[2]) ~= ARGV[1]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local puts = 4 + tonumber(ARGV[3])
for i = 4, puts - 1 do
  redis.call('HDEL', KEYS[3], ARGV[i])
  redis.call('ZREM', KEYS[4], ARGV[i])
end
for i = puts, #ARGV, 2 do
  redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
  redis.call('ZADD', KEYS[4], 0, ARGV[i])
end
return 1
"""

RELEASE = """
-- ARGV: token.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
return 0
"""
