"""Limits of an endpoint that several processes share through a real server."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from labelling import wait_until

from autointerp.core.limits import EndpointLimits, LimitReport
from autointerp.llm.shared_rate_limiter import SharedLimits, SharedRateLimiter
from autointerp.serving import Valkey
from autointerp.store.redis_limits import RedisLimitStore

WANTED = tuple([1] * 20)


def test_endpoints_are_separate_and_no_address_is_in_a_key(redis_url: str) -> None:
    store = RedisLimitStore(redis_url)
    secret = "https://user:pass@host/v1"
    asked = LimitReport("h", 0, WANTED)
    assert store.exchange(secret, EndpointLimits(3), asked).n == 3
    assert store.exchange(secret, EndpointLimits(3), LimitReport("i", 0, WANTED)).n == 0
    assert store.exchange("another", EndpointLimits(3), asked).n == 3
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        kept = [key for key in client.scan_iter("*limits*")]
        assert len(kept) == 4
        said = str([(key, client.hgetall(key), client.ttl(key)) for key in kept])
        assert not any(word in said for word in ("host", "user", "pass", "another"))
        assert all(client.ttl(key) > 0 for key in kept)
    store.close()


def test_a_report_that_came_twice_takes_no_place_twice(redis_url: str) -> None:
    store = RedisLimitStore(redis_url)
    for _ in range(3):
        grant = store.exchange("e", EndpointLimits(4), LimitReport("h", 0, (1, 1, 1)))
        assert (grant.n, grant.wait_s) == (3, 0)
    assert store.exchange("e", EndpointLimits(4), LimitReport("other", 0, WANTED)).n == 1
    store.close()


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    calls=st.lists(st.tuples(st.floats(0, 20), st.integers(1, 60)), min_size=5, max_size=40),
    requests=st.integers(1, 40),
    tokens=st.integers(120, 600),
)
def test_no_minute_of_the_server_holds_more_than_its_limits(
    redis_url: str, calls: list[tuple[float, int]], requests: int, tokens: int
) -> None:
    store, moments, passed = RedisLimitStore(redis_url), list[tuple[float, float, int]](), 0.0
    limits = EndpointLimits(1000, requests, tokens)
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()

        def passes(seconds: float) -> None:
            # The server's clock is not ours to turn: what it remembers is made older instead.
            for state in client.keys("autointerp:1:limits:*"):
                if not state.endswith(b":holders"):
                    at = float(client.hget(state, "at"))  # type: ignore[arg-type]
                    client.hset(state, "at", f"{at - 1000 * seconds:.3f}")

        def now() -> float:
            seconds, micros = client.time()  # type: ignore[misc]
            return float(seconds) + float(micros) / 1e6 + passed

        for gap, cost in calls:
            wait_s, n = gap, 0
            while not n:
                passed += wait_s
                passes(wait_s)
                earliest = now()
                grant = store.exchange("e", limits, LimitReport("h", 0, (cost,)))
                n, wait_s = grant.n, grant.wait_s
            moments.append((earliest, now(), cost))
    store.close()
    for first, _, _ in moments:
        # Surely within a minute, however long an exchange took.
        inside = [cost for early, late, cost in moments if early >= first and late < first + 59.5]
        assert len(inside) <= requests
        assert sum(inside) <= tokens


def test_without_redis_each_worker_keeps_to_its_share_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = Valkey(tmp_path / "valkey")
    server.start()
    store = RedisLimitStore(server.url)
    inside, most = 0, list[int]()

    async def go(limiter: SharedRateLimiter) -> None:
        nonlocal inside
        async with limiter.acquire(1) as permit:
            inside += 1
            most.append(inside)
            await asyncio.sleep(0.02)
            limiter.correct(permit, 2)
            limiter.succeeded()
            inside -= 1

    async def several(n: int) -> int:
        limiter = SharedRateLimiter(SharedLimits(store, "e", EndpointLimits(8), n_sharing=4))
        most.clear()
        await asyncio.gather(*(go(limiter) for _ in range(n)))
        await limiter.close()
        return max(most)

    assert asyncio.run(several(20)) == 8
    server.stop()
    assert [asyncio.run(several(10)) for _ in range(3)] == [2, 2, 2]
    server.start()
    wait_until(lambda: asyncio.run(several(20)) == 8)
    server.stop()
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [
        r.getMessage() for r in warnings if "own share of the limits" not in r.getMessage()
    ] == []
    assert len(warnings) == 1
    assert "shared through Redis again" in caplog.text
    store.close()
