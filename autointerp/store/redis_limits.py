"""EndpointLimits of LLM endpoints that all workers share, kept in Redis. Times are the server's."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from typing import Any

from typing_extensions import override

from autointerp.core.backoff import Backoff
from autointerp.core.errors import AutointerpError, UpstreamError
from autointerp.core.limits import EndpointLimits, LimitGrant, LimitReport, LimitStore
from autointerp.store.redis_connection import PREFIX, RedisConnection

# One step of the server, see `LimitStore`. A holder says how many slots it has, which takes the
# place of what was known of it. Slots are shared out evenly: a holder with less than its share may
# always have a free one, and beyond its share it leaves alone what others have waited for longer.
# Requests and tokens come out of buckets that are small and fill so slowly that no minute holds
# more than its limit.
# KEYS state, holders
# ARGV holder, lease ms, slots in use, most slots, requests a minute, tokens a minute, successes,
#   round of a refusal or -1, tokens to correct, pause ms, ms that a slot was held or 0,
#   tokens of each waiting request...
# A holder's text: slots in use, moment its lease ends, slots it waits for, moment it began to
#   wait, moment that ends unless it comes again.
_EXCHANGE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local me, lease, used, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local rpm, tpm = tonumber(ARGV[5]), tonumber(ARGV[6])
local first = 12

local fields = redis.call('HMGET', KEYS[1], 'allowed', 'round', 'paused', 'hold', 'requests',
  'tokens', 'at', 'largest')
local allowed = tonumber(fields[1] or most)
local round = tonumber(fields[2] or 0)
local paused = tonumber(fields[3] or 0)
local hold = tonumber(fields[4] or 100)
local elapsed = math.max(0, now - tonumber(fields[7] or now)) / 1000

local others, n, in_use, before, since = {}, 1, 0, used, now
local holders = redis.call('HGETALL', KEYS[2])
for i = 1, #holders, 2 do
  local u, ends, w, s, e = string.match(holders[i + 1], '(%S+) (%S+) (%S+) (%S+) (%S+)')
  u, ends, w, s, e = tonumber(u), tonumber(ends), tonumber(w), tonumber(s), tonumber(e)
  if holders[i] == me then
    before = math.max(before, u)
    if w > 0 and s < now then since = s end
  elseif ends < now or ends > now + 600000 then
    redis.call('HDEL', KEYS[2], holders[i])
  else
    if e < now then w = 0 end
    in_use = in_use + u
    if u > 0 or w > 0 then n = n + 1 end
    others[#others + 1] = {u, w, s}
  end
end

local n_succeeded, refused = tonumber(ARGV[7]), tonumber(ARGV[8])
if n_succeeded > 0 and allowed < most then
  allowed = math.min(most, allowed + n_succeeded / allowed)
end
if refused == round then
  round = round + 1
  allowed = math.max(1, math.min(allowed, in_use + before) / 2)
end
if paused > now + 3600000 then paused = 0 end
local asked_ms, held = tonumber(ARGV[10]), tonumber(ARGV[11])
if asked_ms > 0 then paused = math.max(paused, now + asked_ms) end
if held > 0 then hold = 0.7 * hold + 0.3 * held end

local burst, rate, requests = 0, 0, 0
if rpm > 0 then
  burst = math.max(1, math.floor(rpm / 20))
  rate = (rpm - burst + 1) / 60
  requests = math.min(burst, tonumber(fields[5] or burst) + rate * elapsed)
end
local largest, deep, flow, tokens = 0, 0, 0, 0
if tpm > 0 then
  largest = tonumber(fields[8] or 0) * math.pow(0.5, elapsed / 600)
  for i = first, #ARGV do largest = math.max(largest, tonumber(ARGV[i])) end
  deep = math.min(math.max(tpm / 20, largest), tpm / 2)
  flow = (tpm - deep) / 60
  tokens = math.min(deep, tonumber(fields[6] or deep) + flow * elapsed - tonumber(ARGV[9]))
end

local slots = math.max(1, math.floor(math.min(allowed, most) + 0.000001))
local share, reserved = slots / n, 0
for _, other in ipairs(others) do
  if other[2] > 0 and other[3] < since then
    reserved = reserved + math.min(other[2], math.max(0, math.ceil(share) - other[1]))
  end
end

local granted, wait, for_slot = 0, 0, false
for i = first, #ARGV do
  local cost = math.min(tonumber(ARGV[i]), deep)
  local free = slots - in_use - used
  if paused > now then
    wait = paused - now
  elseif free < 1 or (used + 1 > share and free <= reserved) then
    for_slot = true
    wait = used > 0 and 1000 or math.min(1000, math.max(5, hold / 2))
  elseif rpm > 0 and requests < 0.999999 then
    wait = 1000 * (1 - requests) / rate
  elseif tpm > 0 and tokens < cost - 0.000001 then
    wait = 1000 * (cost - tokens) / flow
  end
  if wait > 0 then break end
  granted, used, requests, tokens = granted + 1, used + 1, requests - 1, tokens - tonumber(ARGV[i])
end

redis.call('HSET', KEYS[1], 'round', round, 'paused', paused, 'hold', hold,
  'requests', requests, 'tokens', tokens, 'at', string.format('%.3f', now), 'largest', largest)
if allowed < most or (fields[1] and tonumber(fields[1]) > most) then
  redis.call('HSET', KEYS[1], 'allowed', allowed)
else
  redis.call('HDEL', KEYS[1], 'allowed')
end
if granted > 0 then since = now end
local left = for_slot and #ARGV - first + 1 - granted or 0
if used + left > 0 then
  redis.call('HSET', KEYS[2], me, string.format('%d %.3f %d %.3f %.3f', used, now + lease, left,
    since, now + wait + 1000))
else
  redis.call('HDEL', KEYS[2], me)
end
redis.call('PEXPIRE', KEYS[1], 3600000)
redis.call('PEXPIRE', KEYS[2], 3600000)
return {granted, round, math.ceil(wait), n}
"""


_LOG = logging.getLogger(__name__)
_ANSWER_S = 1.0
_BACKOFF = Backoff(0.5, 10.0)


class RedisLimitStore(LimitStore):
    """Keeps limits in Redis. An exchange is one command, which several threads may send.

    While the server is away, it is tried again after waits that double, and every exchange in
    between fails at once.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._link: RedisConnection | None = None
        self._n_failed, self._retry_at = 0, 0.0

    @override
    def exchange(self, endpoint: str, limits: EndpointLimits, report: LimitReport) -> LimitGrant:
        if time.monotonic() < self._retry_at:
            raise UpstreamError("Redis could not be reached a moment ago", retryable=True)
        # Addresses may hold passwords, and keys are seen by whoever looks into the server.
        name = f"{PREFIX}limits:{hashlib.sha256(endpoint.encode()).hexdigest()[:32]}"
        try:
            reply = self._open().script(
                _EXCHANGE, [name, f"{name}:holders"], _arguments(limits, report)
            )
        except AutointerpError as error:
            self._failed(error)
            raise
        self._recovered()
        n, round_, wait_ms, n_sharing = reply
        return LimitGrant(int(n), int(round_), int(wait_ms) / 1000, int(n_sharing))

    def close(self) -> None:
        """Closes the connections that nobody uses."""
        if self._link is not None:
            self._link.close()

    def _open(self) -> RedisConnection:
        with self._lock:
            if self._link is None:
                self._link = RedisConnection(self._url, patience_s=0.0, answer_s=_ANSWER_S)
            return self._link

    def _failed(self, error: Exception) -> None:
        with self._lock:
            if not self._n_failed:
                _LOG.warning(
                    "this worker uses only its own share of the limits of LLMs until Redis "
                    "is back: %s",
                    error,
                )
            self._n_failed += 1
            self._retry_at = time.monotonic() + _BACKOFF.wait_s(self._n_failed)

    def _recovered(self) -> None:
        if self._n_failed:
            with self._lock:
                self._n_failed = 0
            _LOG.info("limits of LLMs are shared through Redis again")


def _arguments(limits: EndpointLimits, report: LimitReport) -> list[Any]:
    return [
        report.holder,
        int(1000 * report.lease_s),
        report.used,
        limits.in_flight,
        limits.requests or 0,
        limits.tokens or 0,
        report.n_succeeded,
        -1 if report.refused_round is None else report.refused_round,
        report.tokens,
        int(1000 * report.pause_s),
        0 if report.held_s is None else max(1, int(1000 * report.held_s)),
        *report.wanted,
    ]
