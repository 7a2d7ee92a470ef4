"""What Redis does for the cache, each step at once and alone.

Below the prefix: ``v:KEY`` a hash (``d`` the value, ``g`` the milliseconds that it is kept past its time, ``a`` those
that it is due ahead of it, ``t`` its tags with their versions), whose own time to live is the value's; ``l:KEY`` the
lease of those who make the value; ``t:TAG`` the version of a tag.

A tag is invalidated by deleting its version: a missing one matches none, so that neither an eviction nor a restart can
bring old values back. A lease likewise: an invalidation deletes it, and a value is put only by those who hold it still.

Each change is told on a channel, with who made it: the server's own invalidation messages (CLIENT TRACKING) tell a
client of its own scripts' writes too, NOLOOP or not, and then it would drop what it has just put.
"""

from __future__ import annotations

from typing import Final

from framework.redis import Script

__all__ = ["DELETE", "PUT", "READ", "RELEASE", "UNTAG"]

_VERSIONS: Final = """
local function versions_of(prefix, first, fresh)
  local versions = ''
  for i = first, #ARGV do
    local name = prefix .. ARGV[i]
    local version = redis.call('GET', name)
    if not version then
      version = fresh
      redis.call('SET', name, version, 'PX', 120000)
    end
    versions = versions .. version .. ' ' .. ARGV[i] .. '\\n'
  end
  return versions
end
"""

READ: Final = Script(
    _VERSIONS
    + """
-- KEYS: value, lease. ARGV: prefix of tags, fresh nonce or '' for no lease, its milliseconds, 1 for one in any case,
-- tags of the load.
local v = redis.call('HMGET', KEYS[1], 'd', 'g', 'a', 't')
local left = 0
if v[1] then
  left = redis.call('PTTL', KEYS[1])
  for version, tag in string.gmatch(v[4], '(%S+) ([^\\n]*)\\n') do
    if redis.call('GET', ARGV[1] .. tag) ~= version then
      v[1] = false
      break
    end
  end
end
if ARGV[2] == '' or (ARGV[4] == '0' and v[1] and left > v[2] + v[3]) then
  return {v[1], left, v[2], v[3], v[4]}
end
local lease = redis.call('GET', KEYS[2])
local first = 0
if not lease then
  lease = ARGV[2]
  first = 1
  redis.call('SET', KEYS[2], lease, 'PX', ARGV[3])
end
return {v[1], left, v[2], v[3], v[4], lease, first, versions_of(ARGV[1], 5, ARGV[2])}
"""
)

PUT: Final = Script(
    _VERSIONS
    + """
-- KEYS: value, lease. ARGV: prefix of tags, lease or '' for whatever there is, value, grace, ahead, time to live,
-- versions of the tags, fresh nonce, channel, message, tags (without a lease).
local versions = ARGV[7]
if ARGV[2] ~= '' then
  if redis.call('GET', KEYS[2]) ~= ARGV[2] then return 0 end
  for version, tag in string.gmatch(versions, '(%S+) ([^\\n]*)\\n') do
    if redis.call('GET', ARGV[1] .. tag) ~= version then return 0 end
  end
else
  versions = versions_of(ARGV[1], 11, ARGV[8])
end
local life = tonumber(ARGV[6])
for _, tag in string.gmatch(versions, '(%S+) ([^\\n]*)\\n') do
  local name = ARGV[1] .. tag
  if redis.call('PTTL', name) < life + 60000 then
    redis.call('PEXPIRE', name, 2 * life + 120000)
  end
end
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[1], 'd', ARGV[3], 'g', ARGV[4], 'a', ARGV[5], 't', versions)
redis.call('PEXPIRE', KEYS[1], life)
redis.call('PUBLISH', ARGV[9], ARGV[10])
return 1
"""
)

DELETE: Final = Script(
    """
-- KEYS: value, lease, value, lease... ARGV: channel, node, name of each value.
local count = 0
for i = 1, #KEYS, 2 do
  redis.call('DEL', KEYS[i + 1])
  count = count + redis.call('DEL', KEYS[i])
  -- Of one that is not there too: somebody may be about to put it.
  redis.call('PUBLISH', ARGV[1], ARGV[2] .. 'k' .. ARGV[2 + (i + 1) / 2])
end
return count
"""
)

UNTAG: Final = Script(
    """
-- KEYS: versions of tags. ARGV: channel, node, name of each tag.
for i = 1, #KEYS do
  redis.call('DEL', KEYS[i])
  redis.call('PUBLISH', ARGV[1], ARGV[2] .. 't' .. ARGV[2 + i])
end
return #KEYS
"""
)

RELEASE: Final = Script("""
-- KEYS: lease. ARGV: the lease that is held.
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
""")
