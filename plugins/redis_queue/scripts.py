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
9. ``leases``: hash; who holds what until when, and which run of Redis this is true of
"""

from __future__ import annotations

__all__ = ["KEYS", "LEASE", "PUT", "REPORT"]

KEYS = ("jobs", "records", "states", "entries", "index", "ended", "counts", "sequence", "leases")

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
local history, group = tonumber(ARGV[1]), ARGV[2]
local function report(key, record, state, final)
  local old = redis.call('HGET', KEYS[3], key)
  if redis.call('ZSCORE', KEYS[6], key) then return end
  if not old and not final then return end
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
  end
end
for at = 3, #ARGV, 4 do
  report(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3] == '1')
end
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
return 1
"""
"""ARGV: history, group; then of each record: job key, record, state, 1 where that is final.

A record that is not final changes nothing for a job that has ended, or that Redis does not know:
its producer must see that it is unknown, and put it again. Ended jobs beyond `history` go.
"""

LEASE = """
local key, name, holder, ttl = KEYS[9], ARGV[1], ARGV[2], tonumber(ARGV[3])
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HGET', key, 'run') ~= run then
  redis.call('DEL', key)
  redis.call('HSET', key, 'run', run, 'not_before', now + ttl)
end
if now < tonumber(redis.call('HGET', key, 'not_before')) then return false end
local h, u, t = 'holder:' .. name, 'until:' .. name, 'term:' .. name
local mine = redis.call('HGET', key, h) == holder
if not mine and now < tonumber(redis.call('HGET', key, u) or 0) then return false end
if ttl == 0 then
  if mine then redis.call('HSET', key, u, 0) end
  return false
end
if not mine then redis.call('HSET', key, h, holder, t, ARGV[4]) end
redis.call('HSET', key, u, string.format('%d', now + ttl))
return redis.call('HGET', key, t)
"""
"""ARGV: name, holder, milliseconds (0 gives it up), a term if a new one begins.

A Redis that was started again may have lost its last writes, and one without the hash has lost
all: for the time of a lease nobody gets one. The hash has no expiry, so that it is not evicted
before keys that have.
"""
