"""What all callers of one endpoint share: numbers in flight and a minute, pauses."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace

import pytest
from endpoint_client import HELLO, Ask, Clockwork, TurningClock, client
from fake_endpoint import FakeEndpoint, json_body, status
from hypothesis import given, settings
from hypothesis import strategies as st

from autointerp.core.limits import EndpointLimits
from autointerp.llm import ChatRequest, OpenAICompatible
from autointerp.llm.rate_limiter import LocalRateLimiter

MINUTE = 60.0


def limiter(world: Clockwork, in_flight: int = 8, **more: int) -> LocalRateLimiter:
    made = LocalRateLimiter(sleep=world.sleep, clock=world.clock)
    made.tighten(EndpointLimits(in_flight, **more))
    return made


def test_two_clients_of_an_endpoint_share_its_limit(world: Clockwork) -> None:
    three = threading.Barrier(3)

    def linger(_: ChatRequest) -> str:
        # Three are inside at once; a fourth would have the time to join them.
        three.wait(300)
        time.sleep(0.03)
        return "x"

    async def both(models: list[OpenAICompatible]) -> None:
        asked = [m.reply(replace(HELLO, seed=seed)) for seed in range(6) for m in models]
        await asyncio.gather(*asked)
        for model in models:
            await model.close()

    with FakeEndpoint(linger) as endpoint:
        limits = (3, 5)
        asyncio.run(both([client(endpoint.base_url, world, max_in_flight=n) for n in limits]))
    assert len(endpoint.bodies) == 12
    assert endpoint.most_in_flight == 3


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 20), st.integers(1, 50)), min_size=1, max_size=40),
    st.integers(1, 6),
    st.integers(50, 200),
)
def test_no_minute_holds_more_than_its_limits(
    calls: list[tuple[float, int]], most: int, tokens: int
) -> None:
    async def let_in() -> list[tuple[float, int]]:
        world = TurningClock()
        one = limiter(world, requests=most, tokens=tokens)
        moments = []
        for gap, cost in calls:
            world.now += gap
            async with one.acquire(cost):
                moments.append((world.now, cost))
        return moments

    moments = asyncio.run(let_in())
    assert len(moments) == len(calls)
    for start, _ in moments:
        inside = [cost for moment, cost in moments if start <= moment < start + MINUTE - 1e-3]
        assert len(inside) <= most
        assert sum(inside) <= tokens


def test_what_a_request_did_cost_takes_the_place_of_the_estimate() -> None:
    async def three() -> list[float]:
        world = TurningClock()
        one = limiter(world, tokens=100)
        for used in (5, 5, 90, 5):
            async with one.acquire(90) as permit:
                one.correct(permit, used)
        return world.slept

    assert asyncio.run(three()) == [MINUTE]


def test_too_much_halves_once_a_round_and_successes_grow_it_back() -> None:
    async def heights() -> list[float]:
        one = limiter(Clockwork(), in_flight=8)
        found = []
        async with asyncio.TaskGroup() as group:
            inside = asyncio.Event()

            async def fail(last: bool) -> None:
                async with one.acquire(1) as permit:
                    if last:
                        inside.set()
                    await inside.wait()
                    one.throttled(permit)
                    found.append(one.allowed_in_flight)

            for number in range(8):
                group.create_task(fail(number == 7))
        for _ in range(100):
            one.succeeded()
            found.append(one.allowed_in_flight)
        return found

    found = asyncio.run(heights())
    assert found[:8] == [4.0] * 8
    assert 4.9 < found[11] < 5.0 < found[12]
    assert found[-1] == 8.0


def test_a_limit_that_is_hit_never_falls_below_one() -> None:
    async def fall() -> float:
        one = limiter(Clockwork(), in_flight=3)
        for _ in range(5):
            async with one.acquire(1) as permit:
                one.throttled(permit)
        return one.allowed_in_flight

    assert asyncio.run(fall()) == 1.0


@pytest.mark.parametrize("code", [429, 503])
def test_one_retry_after_holds_every_call_back(code: int) -> None:
    world = TurningClock()
    arrived = []

    def note(request: ChatRequest) -> str:
        arrived.append((request.seed, world.now))
        return "x"

    async def one_then_many(model: OpenAICompatible) -> None:
        first = asyncio.create_task(model.reply(replace(HELLO, seed=0)))
        while not world.slept:
            await asyncio.sleep(0.001)
        await asyncio.gather(first, *(model.reply(replace(HELLO, seed=n)) for n in range(1, 5)))
        await model.close()

    with FakeEndpoint(note) as endpoint:
        endpoint.faults.append(status(code, headers={"Retry-After": "9"}))
        started = world.now
        asyncio.run(one_then_many(client(endpoint.base_url, world)))
    assert len(arrived) == 5
    assert all(moment >= started + 9 for _, moment in arrived)


def test_an_endpoint_that_has_nothing_left_is_not_asked(
    endpoint: FakeEndpoint, ask: Ask, world: Clockwork
) -> None:
    choice = {"message": {"content": "x"}, "finish_reason": "stop"}
    fault = json_body({"choices": [choice]})
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "8s"}
    endpoint.faults.append(replace(fault, headers=headers))

    async def twice(model: OpenAICompatible) -> None:
        await model.reply(HELLO)
        await model.reply(HELLO)
        await model.close()

    asyncio.run(twice(client(endpoint.base_url, world)))
    assert world.slept == [8.0]
