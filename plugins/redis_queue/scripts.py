"""What must happen in Redis at once, as Lua.

The keys of a queue, in the order in which each script gets them (all in one hash slot):

1. ``jobs``: the stream; an entry holds the key of a job
2. ``records``: hash, job key → record as JSON
3. ``states``: hash, job key → state
4. ``entries``: hash, key of an open job → its entry in the stream
5. ``index``: sorted set of job keys by when they were put
6. ``ended``: sorted set of the keys of ended jobs, by the same number
7. ``counts``: hash, state → number of jobs
8. ``sequence``: counter
"""

from __future__ import annotations

__all__ = ["KEYS", "PUT", "REPORT"]

KEYS = ("jobs", "records", "states", "entries", "index", "ended", "counts", "sequence")

PUT = """
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
redis.call('HSET', KEYS[4], ARGV[1], redis.call('XADD', KEYS[1], '*', 'key', ARGV[1]))
redis.call('ZADD', KEYS[5], redis.call('INCR', KEYS[8]), ARGV[1])
redis.call('HINCRBY', KEYS[7], ARGV[3], 1)
return 1
"""
"""ARGV: job key, record, state. Returns 1 where the job is new."""

REPORT = """
local key, record, state = ARGV[1], ARGV[2], ARGV[3]
local final, history, group = ARGV[4] == '1', tonumber(ARGV[5]), ARGV[6]
local old = redis.call('HGET', KEYS[3], key)
if redis.call('ZSCORE', KEYS[6], key) then return 0 end
if not old and not final then return 0 end
redis.call('HSET', KEYS[2], key, record)
redis.call('HSET', KEYS[3], key, state)
if old then
  redis.call('HINCRBY', KEYS[7], old, -1)
else
  redis.call('ZADD', KEYS[5], redis.call('INCR', KEYS[8]), key)
end
redis.call('HINCRBY', KEYS[7], state, 1)
if final then
  local entry = redis.call('HGET', KEYS[4], key)
  if entry then
    redis.call('XACK', KEYS[1], group, entry)
    redis.call('XDEL', KEYS[1], entry)
    redis.call('HDEL', KEYS[4], key)
  end
  redis.call('ZADD', KEYS[6], redis.call('ZSCORE', KEYS[5], key), key)
  local extra = redis.call('ZCARD', KEYS[6]) - history
  if extra > 0 then
    for _, gone in ipairs(redis.call('ZRANGE', KEYS[6], 0, extra - 1)) do
      redis.call('HINCRBY', KEYS[7], redis.call('HGET', KEYS[3], gone), -1)
      redis.call('HDEL', KEYS[2], gone)
      redis.call('HDEL', KEYS[3], gone)
      redis.call('ZREM', KEYS[5], gone)
      redis.call('ZREM', KEYS[6], gone)
    end
  end
end
return 1
"""
"""ARGV: job key, record, state, 1 where that is final, history, group.

A record that is not final changes nothing for a job that has ended, or that Redis does not know:
its producer must see that it is unknown, and put it again. Ended jobs beyond `history` go.
"""
