"""What every limiter to an endpoint keeps to, whether its callers are of one process or of many."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

import pytest

from autointerp.core.limits import EndpointLimits
from autointerp.llm.rate_limiter import LocalRateLimiter, RateLimiter
from autointerp.llm.shared_rate_limiter import SharedLimits, SharedRateLimiter
from autointerp.store.redis_limits import RedisLimitStore

Scene = Callable[[Sequence[RateLimiter]], Awaitable[None]]
Play = Callable[[EndpointLimits, Scene], None]


def local_limiters(limits: EndpointLimits) -> list[RateLimiter]:
    """Two callers of one process."""
    limiter = LocalRateLimiter(sleep=asyncio.sleep, clock=time.monotonic)
    limiter.tighten(limits)
    return [limiter, limiter]


@pytest.fixture(params=["local", "redis"])
def play(request: pytest.FixtureRequest) -> Iterator[Play]:
    """Plays a scene with two limiters to one endpoint."""
    if request.param == "local":
        yield playing(local_limiters)
        return
    store = RedisLimitStore(request.getfixturevalue("redis_url"))
    yield playing(
        lambda limits: [SharedRateLimiter(SharedLimits(store, "e", limits)) for _ in range(2)]
    )
    store.close()


def playing(make: Callable[[EndpointLimits], Sequence[RateLimiter]]) -> Play:
    async def run(limits: EndpointLimits, scene: Scene) -> None:
        limiters = make(limits)
        await scene(limiters)
        for limiter in limiters:
            await limiter.close()

    return lambda limits, scene: asyncio.run(run(limits, scene))


class Crowd:
    """Requests on their way."""

    def __init__(self, seconds: float = 0.01) -> None:
        self.seconds, self.n, self.most, self.moments = seconds, 0, 0, list[float]()

    async def go(self, limiter: RateLimiter, n_tokens: int = 1) -> None:
        async with limiter.acquire(n_tokens):
            self.moments.append(time.monotonic())
            self.n += 1
            self.most = max(self.most, self.n)
            await asyncio.sleep(self.seconds)
            self.n -= 1

    async def all(self, limiters: Sequence[RateLimiter], n: int) -> None:
        await asyncio.gather(*(self.go(limiter) for _ in range(n) for limiter in limiters))


async def cut(limiter: RateLimiter, n: int = 1) -> None:
    """So many requests, all at the same time, are refused as too much."""
    together = asyncio.Barrier(n)

    async def refused() -> None:
        async with limiter.acquire(1) as permit:
            await together.wait()
            limiter.throttled(permit)

    await asyncio.gather(*(refused() for _ in range(n)))


def test_no_more_than_the_limit_are_on_their_way_and_all_get_through(play: Play) -> None:
    crowd = Crowd()

    async def scene(limiters: Sequence[RateLimiter]) -> None:
        await crowd.all(limiters, 20)

    play(EndpointLimits(3), scene)
    assert (len(crowd.moments), crowd.most) == (40, 3)


def test_a_place_is_taken_in_turns_where_there_is_only_one(play: Play) -> None:
    turns = []

    async def scene(limiters: Sequence[RateLimiter]) -> None:
        async def go(number: int) -> None:
            async with limiters[number].acquire(1):
                turns.append(number)
                await asyncio.sleep(0.01)

        await asyncio.gather(*(go(number % 2) for number in range(20)))

    play(EndpointLimits(1), scene)
    assert len(turns) == 20
    assert 3 <= sum(turns[:10]) <= 7


def test_what_one_is_refused_halves_the_number_in_flight_of_all_once(play: Play) -> None:
    crowd = Crowd()

    async def scene(limiters: Sequence[RateLimiter]) -> None:
        await cut(limiters[0], 8)
        await crowd.all(limiters, 8)

    play(EndpointLimits(8), scene)
    assert crowd.most == 4


def test_successes_grow_it_back(play: Play) -> None:
    crowd = Crowd()

    async def scene(limiters: Sequence[RateLimiter]) -> None:
        await cut(limiters[0], 4)
        for _ in range(8):
            for limiter in limiters:
                async with limiter.acquire(1):
                    limiter.succeeded()
        await asyncio.sleep(0.05)
        await crowd.all(limiters, 8)

    play(EndpointLimits(4), scene)
    assert crowd.most == 4


def test_a_pause_that_one_is_asked_for_holds_everybody_back(play: Play) -> None:
    crowd = Crowd()
    asked = []

    async def scene(limiters: Sequence[RateLimiter]) -> None:
        await crowd.go(limiters[1])
        limiters[0].pause(0.4)
        asked.append(time.monotonic())
        await asyncio.sleep(0.05)
        await crowd.all(limiters, 1)

    play(EndpointLimits(4), scene)
    assert all(0.39 <= moment - asked[0] < 60 for moment in crowd.moments[1:])


def test_one_that_gives_up_waiting_leaves_no_place_behind(play: Play) -> None:
    crowd = Crowd()

    async def scene(limiters: Sequence[RateLimiter]) -> None:
        async with limiters[0].acquire(1):
            waiting = [
                asyncio.create_task(crowd.go(limiter)) for limiter in limiters for _ in range(3)
            ]
            await asyncio.sleep(0.05)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        assert not crowd.moments
        async with asyncio.timeout(300):
            await crowd.all(limiters, 3)

    play(EndpointLimits(1), scene)
    assert crowd.most == 1


@pytest.mark.parametrize("limits", [EndpointLimits(8, requests=3), EndpointLimits(8, tokens=30)])
def test_a_minute_that_is_full_lets_nobody_in(play: Play, limits: EndpointLimits) -> None:
    crowd = Crowd()

    async def scene(limiters: Sequence[RateLimiter]) -> None:
        waiting = [
            asyncio.create_task(crowd.go(limiter, 10)) for limiter in limiters for _ in range(3)
        ]
        async with asyncio.timeout(300):
            while not crowd.moments:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    play(limits, scene)
    assert 1 <= len(crowd.moments) <= 3
