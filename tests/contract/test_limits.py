"""What every gate to an endpoint keeps to, whether its callers are of one process or of many."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

import pytest

from autointerp.core.limits import Limits
from autointerp.llm.common_gate import CommonGate, CommonLimits
from autointerp.llm.limits import Gate, LocalGate
from autointerp.store.redis.limits import RedisLimits

Scene = Callable[[Sequence[Gate]], Awaitable[None]]
Play = Callable[[Limits, Scene], None]


def local_gates(limits: Limits) -> list[Gate]:
    """Two callers of one process."""
    gate = LocalGate(sleep=asyncio.sleep, clock=time.monotonic)
    gate.tighten(
        in_flight=limits.in_flight,
        requests_per_minute=limits.requests,
        tokens_per_minute=limits.tokens,
    )
    return [gate, gate]


@pytest.fixture(params=["local", "redis"])
def play(request: pytest.FixtureRequest) -> Iterator[Play]:
    """Plays a scene with two gates to one endpoint."""
    if request.param == "local":
        yield playing(local_gates)
        return
    turnstile = RedisLimits(request.getfixturevalue("redis_url"))
    yield playing(
        lambda limits: [CommonGate(CommonLimits(turnstile, "e", limits)) for _ in range(2)]
    )
    turnstile.close()


def playing(make: Callable[[Limits], Sequence[Gate]]) -> Play:
    async def run(limits: Limits, scene: Scene) -> None:
        gates = make(limits)
        await scene(gates)
        for gate in gates:
            await gate.close()

    return lambda limits, scene: asyncio.run(run(limits, scene))


class Crowd:
    """Requests on their way."""

    def __init__(self, seconds: float = 0.01) -> None:
        self.seconds, self.n, self.most, self.moments = seconds, 0, 0, list[float]()

    async def go(self, gate: Gate, n_tokens: int = 1) -> None:
        async with gate.passing(n_tokens):
            self.moments.append(time.monotonic())
            self.n += 1
            self.most = max(self.most, self.n)
            await asyncio.sleep(self.seconds)
            self.n -= 1

    async def all(self, gates: Sequence[Gate], n: int) -> None:
        await asyncio.gather(*(self.go(gate) for _ in range(n) for gate in gates))


async def cut(gate: Gate, n: int = 1) -> None:
    """So many requests, all at the same time, are refused as too much."""
    together = asyncio.Barrier(n)

    async def refused() -> None:
        async with gate.passing(1) as passage:
            await together.wait()
            gate.too_much(passage)

    await asyncio.gather(*(refused() for _ in range(n)))


def test_no_more_than_the_limit_are_on_their_way_and_all_get_through(play: Play) -> None:
    crowd = Crowd()

    async def scene(gates: Sequence[Gate]) -> None:
        await crowd.all(gates, 20)

    play(Limits(3), scene)
    assert (len(crowd.moments), crowd.most) == (40, 3)


def test_a_place_is_taken_in_turns_where_there_is_only_one(play: Play) -> None:
    turns = []

    async def scene(gates: Sequence[Gate]) -> None:
        async def go(number: int) -> None:
            async with gates[number].passing(1):
                turns.append(number)
                await asyncio.sleep(0.01)

        await asyncio.gather(*(go(number % 2) for number in range(20)))

    play(Limits(1), scene)
    assert len(turns) == 20
    assert 3 <= sum(turns[:10]) <= 7


def test_what_one_is_refused_halves_the_number_in_flight_of_all_once(play: Play) -> None:
    crowd = Crowd()

    async def scene(gates: Sequence[Gate]) -> None:
        await cut(gates[0], 8)
        await crowd.all(gates, 8)

    play(Limits(8), scene)
    assert crowd.most == 4


def test_successes_grow_it_back(play: Play) -> None:
    crowd = Crowd()

    async def scene(gates: Sequence[Gate]) -> None:
        await cut(gates[0], 4)
        for _ in range(8):
            for gate in gates:
                async with gate.passing(1):
                    gate.succeeded()
        await asyncio.sleep(0.05)
        await crowd.all(gates, 8)

    play(Limits(4), scene)
    assert crowd.most == 4


def test_a_pause_that_one_is_asked_for_holds_everybody_back(play: Play) -> None:
    crowd = Crowd()
    asked = []

    async def scene(gates: Sequence[Gate]) -> None:
        await crowd.go(gates[1])
        gates[0].pause(0.4)
        asked.append(time.monotonic())
        await asyncio.sleep(0.05)
        await crowd.all(gates, 1)

    play(Limits(4), scene)
    assert all(0.39 <= moment - asked[0] < 60 for moment in crowd.moments[1:])


def test_one_that_gives_up_waiting_leaves_no_place_behind(play: Play) -> None:
    crowd = Crowd()

    async def scene(gates: Sequence[Gate]) -> None:
        async with gates[0].passing(1):
            waiting = [asyncio.create_task(crowd.go(gate)) for gate in gates for _ in range(3)]
            await asyncio.sleep(0.05)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        assert not crowd.moments
        async with asyncio.timeout(300):
            await crowd.all(gates, 3)

    play(Limits(1), scene)
    assert crowd.most == 1


@pytest.mark.parametrize("limits", [Limits(8, requests=3), Limits(8, tokens=30)])
def test_a_minute_that_is_full_lets_nobody_in(play: Play, limits: Limits) -> None:
    crowd = Crowd()

    async def scene(gates: Sequence[Gate]) -> None:
        waiting = [asyncio.create_task(crowd.go(gate, 10)) for gate in gates for _ in range(3)]
        async with asyncio.timeout(300):
            while not crowd.moments:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    play(limits, scene)
    assert 1 <= len(crowd.moments) <= 3
