"""The scripts for Redis: one atomic decision by all policies of a limiter, with the same numbers as in memory.

A script is put together for the policies of one limiter, their terms written into it as constants. States do not depend
on the terms, so that a changed limit holds for old keys. The time is the server's, in microseconds, unless the caller
gives one (some hosted services refuse TIME in scripts). Whole numbers below 2**53 are exact in Lua's doubles;
``policy`` sees to it that there are no others. It uses what every server has: no undeclared keys, no library beyond
string, math and table.

ARGV: mode (0 peek, 1 consume, 2 refund), cost, milliseconds to keep a state beyond its use, and the time or "".
The reply has for each policy: allowed, remaining, retry, reset; times in nanoseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from framework.plugins.ratelimit.policy import Policy, terms_of
from framework.plugins.ratelimit.windows import SCALE
from framework.redis import Script

__all__ = ["script_of"]

_HEAD: Final = """
local mode = tonumber(ARGV[1])
local cost = tonumber(ARGV[2])
local margin = tonumber(ARGV[3])
local now
if ARGV[4] == '' then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
else
  now = tonumber(ARGV[4])
end
local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min
local format, match = string.format, string.match
local refused = false
"""

# Each block reads key I and leaves: okI, leftI (before anything is taken), retryI, resetI, and what TAKE needs.
_BUCKET: Final = """
local debtI, aheadI = 0, false
local foundI = redis.call('GET', KEYS[I])
if foundI then
  local at, owed = match(foundI, '^(%d+) (%d+)$')
  debtI = max(0, owed - (now - at) * 1000)
  aheadI = debtI > AHEAD
  if aheadI then debtI = LIMIT end
end
local okI, retryI = true, 0
if mode == 2 then
  if cost > QUOTA then debtI = 0 else debtI = max(0, debtI - cost * INTERVAL) end
elseif cost > QUOTA then
  okI, retryI = false, -1
elseif debtI + cost * INTERVAL > LIMIT then
  okI, retryI = false, debtI + cost * INTERVAL - LIMIT
end
local leftI, resetI = floor(max(0, LIMIT - debtI) / INTERVAL), debtI
"""
_BUCKET_TAKE: Final = """
if mode == 1 and okI then
  debtI = debtI + cost * INTERVAL
  leftI = leftI - cost
  resetI = debtI
end
if mode == 1 or foundI then
  redis.call('SET', KEYS[I], format('%.0f %.0f', now, debtI), 'PX', format('%.0f', ceil(debtI / 1000000) + margin + 1))
end
"""

_FIXED: Final = """
local startI, countI = 0, 0
local foundI = redis.call('GET', KEYS[I])
if foundI then
  local start, count = match(foundI, '^(%d+) (%d+)$')
  startI, countI = tonumber(start), tonumber(count)
end
local currentI = now - now % PERIOD
local aheadI = startI > currentI + PERIOD
if aheadI then
  startI = currentI
elseif startI < currentI then
  startI, countI = currentI, 0
end
if mode == 2 then countI = max(0, countI - cost) end
local okI, retryI, resetI = true, 0, 0
local leftI = max(0, QUOTA - countI)
local endsI = (startI + PERIOD - now) * 1000
if countI > 0 then resetI = endsI end
if mode ~= 2 then
  if cost > QUOTA then
    okI, retryI = false, -1
  elseif cost > leftI then
    okI, retryI = false, endsI
  end
end
"""
_FIXED_TAKE: Final = """
if mode == 1 and okI then
  countI = countI + cost
  leftI = leftI - cost
  if countI > 0 then resetI = endsI end
end
if mode == 1 or foundI then
  redis.call('SET', KEYS[I], format('%.0f %.0f', startI, countI),
    'PX', format('%.0f', ceil(endsI / 1000000) + margin + 1))
end
"""

_SLIDING: Final = """
local startI, countI, beforeI = 0, 0, 0
local foundI = redis.call('GET', KEYS[I])
if foundI then
  local start, count, before = match(foundI, '^(%d+) (%d+) (%d+)$')
  startI, countI, beforeI = tonumber(start), tonumber(count), tonumber(before)
end
local currentI = now - now % PERIOD
local aheadI = startI > currentI + PERIOD
if aheadI then
  startI = currentI
elseif startI < currentI then
  if startI >= currentI - PERIOD then beforeI = countI else beforeI = 0 end
  startI, countI = currentI, 0
end
if mode == 2 then countI = max(0, countI - cost) end
local weightI = SCALE - floor(max(0, now - startI) * SCALE / PERIOD)
local usedI = beforeI * weightI + countI * SCALE
local okI, retryI, resetI = true, 0, 0
local leftI = floor(max(0, QUOTA * SCALE - usedI) / SCALE)
if countI > 0 then
  resetI = (startI + 2 * PERIOD - now) * 1000
elseif beforeI > 0 then
  resetI = (startI + PERIOD - now) * 1000
end
if mode ~= 2 then
  if cost > QUOTA then
    okI, retryI = false, -1
  elseif usedI + cost * SCALE > QUOTA * SCALE then
    local start, before, room = startI, beforeI, QUOTA - cost - countI
    if room < 0 then start, before, room = startI + PERIOD, countI, QUOTA - cost end
    local weight = min(SCALE, floor(room * SCALE / before))
    okI, retryI = false, max(1, start + ceil((SCALE - weight) * PERIOD / SCALE) - now) * 1000
  end
end
"""
_SLIDING_TAKE: Final = """
if mode == 1 and okI then
  countI = countI + cost
  leftI = leftI - cost
  if countI > 0 then resetI = (startI + 2 * PERIOD - now) * 1000 end
end
if mode == 1 or foundI then
  redis.call('SET', KEYS[I], format('%.0f %.0f %.0f', startI, countI, beforeI),
    'PX', format('%.0f', ceil((startI + 2 * PERIOD - now) / 1000) + margin + 1))
end
"""

_LOG: Final = """
local usedI, timeI, goneI, aheadI = redis.call('LLEN', KEYS[I]), now, 0, false
local newestI = now - PERIOD
if usedI > 0 then
  newestI = tonumber(redis.call('LINDEX', KEYS[I], 0))
  if newestI > now + PERIOD then
    aheadI, newestI = true, now
  else
    timeI = max(now, newestI)
    while goneI < usedI and tonumber(redis.call('LINDEX', KEYS[I], -1 - goneI)) <= timeI - PERIOD do
      goneI = goneI + 1
    end
    usedI = usedI - goneI
    if usedI == 0 then newestI = timeI - PERIOD end
  end
end
local takenI = 0
if mode == 2 then
  takenI = min(cost, usedI)
  usedI = usedI - takenI
end
local okI, retryI, resetI = true, 0, (newestI + PERIOD - timeI) * 1000
local leftI = max(0, QUOTA - usedI)
if mode ~= 2 then
  if cost > QUOTA then
    okI, retryI = false, -1
  elseif cost > leftI then
    local oldest = now
    if not aheadI then oldest = tonumber(redis.call('LINDEX', KEYS[I], QUOTA - cost)) end
    okI, retryI = false, (oldest + PERIOD - timeI) * 1000
  end
end
"""
_LOG_TAKE: Final = """
local text = format('%.0f', timeI)
if aheadI then
  for index = 0, redis.call('LLEN', KEYS[I]) - 1 do redis.call('LSET', KEYS[I], index, text) end
end
for _ = 1, goneI do redis.call('RPOP', KEYS[I]) end
for _ = 1, takenI do redis.call('LPOP', KEYS[I]) end
if mode == 1 and okI then
  for _ = 1, cost do redis.call('LPUSH', KEYS[I], text) end
  leftI = leftI - cost
end
local newest = redis.call('LINDEX', KEYS[I], 0)
if newest then
  resetI = (newest + PERIOD - timeI) * 1000
  redis.call('PEXPIRE', KEYS[I], format('%.0f', ceil((timeI - now + PERIOD) / 1000) + margin + 1))
else
  resetI = 0
end
"""
_BLOCKS: Final = (
    (_BUCKET, _BUCKET_TAKE),
    (_FIXED, _FIXED_TAKE),
    (_SLIDING, _SLIDING_TAKE),
    (_LOG, _LOG_TAKE),
)


def script_of(policies: Sequence[Policy]) -> Script:
    """The script that decides by these policies, whose keys it is given in their order."""
    blocks: list[str] = []
    takes: list[str] = []
    for number, policy in enumerate(policies, start=1):
        terms = terms_of(policy)
        names: dict[str, int | str] = {
            "QUOTA": terms.quota,
            "PERIOD": terms.period,
            "INTERVAL": terms.interval,
            "LIMIT": terms.limit,
            "AHEAD": terms.ahead,
            "SCALE": SCALE,
            "KEYS[I]": f"KEYS[{number}]",
        }
        block, take = (_filled(text, names, number) for text in _BLOCKS[terms.code])
        blocks.append(block)
        if not policy.shadow:
            blocks.append(f"if not ok{number} then refused = true end\n")
        takes.append(
            f"if ok{number} and not refused or mode == 1 and not ok{number} and ahead{number} then{take}end\n"
        )
    told = ", ".join(
        f"ok{number} and 1 or 0, left{number}, retry{number}, reset{number}"
        for number in range(1, len(policies) + 1)
    )
    commit = f"if mode ~= 0 then\n{''.join(takes)}end\n"
    return Script(f"{_HEAD}{''.join(blocks)}{commit}return {{{told}}}\n")


def _filled(text: str, names: dict[str, int | str], number: int) -> str:
    for name, value in names.items():
        text = text.replace(name, str(value))
    for name in ("debt", "found", "ok", "retry", "left", "reset", "start", "count", "current", "ends", "before",
                 "weight", "used", "time", "gone", "ahead", "newest", "taken"):  # fmt: skip
        text = text.replace(f"{name}I", f"{name}{number}")
    return text
