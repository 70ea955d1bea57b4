"""A rate limit that others get through, or that passes in its time, loses no question."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from endpoint_cases import BARE
from endpoint_client import HELLO, TurningClock, client, failure, run
from fake_endpoint import FakeEndpoint, Fault, status

from autointerp.core.errors import RequestFailedError
from autointerp.llm import ChatReply
from autointerp.llm.rate_limiter import LocalRateLimiter

WORDS = {"unknown": "Liian monta pyyntöä", "known": "Rate limit reached"}
Dress = Callable[[object], Fault | None]


def at_most(n: int, within_s: float, world: TurningClock, fault: Fault) -> Dress:
    """Answers so many requests of any so many seconds."""
    moments: list[float] = []

    def dress(_: object) -> Fault | None:
        recent = [moment for moment in moments if world.now - moment < within_s]
        if len(recent) >= n:
            return fault
        moments.append(world.now)
        return None

    return dress


def ask_all(
    endpoint: FakeEndpoint, world: TurningClock, n: int, dress: Dress, *, max_in_flight: int = 4
) -> list[ChatReply | BaseException]:
    """What so many questions at once come to, once the endpoint has answered one."""
    model = client(endpoint.base_url, world, negotiates=True, max_in_flight=max_in_flight)

    async def ask() -> list[ChatReply | BaseException]:
        await model.reply(HELLO)
        endpoint.dress = dress
        asked = (model.reply(replace(HELLO, seed=seed)) for seed in range(n))
        found = await asyncio.gather(*asked, return_exceptions=True)
        await model.close()
        return found

    return asyncio.run(ask())


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize(("n", "within_s"), [(8, 20), (3, 60), (1, 20), (2, 59), (20, 60)])
def test_a_rate_of_any_size_answers_all_in_the_end(
    endpoint: FakeEndpoint, n: int, within_s: float, words: str
) -> None:
    world = TurningClock()
    dress = at_most(n, within_s, world, status(429, WORDS[words]))
    found = ask_all(endpoint, world, 24, dress)
    assert {one.text if isinstance(one, ChatReply) else str(one) for one in found} == {"3, 0"}
    assert len(endpoint.bodies) <= 24 * (2 + 8 // n)


@pytest.mark.parametrize("max_in_flight", [1, 4])
@pytest.mark.parametrize("name", [*BARE, *WORDS])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_few_a_minute_answer_all_about_as_soon_as_can_be(
    endpoint: FakeEndpoint, n: int, name: str, max_in_flight: int
) -> None:
    """Questions that wait look whether the limit has passed: tiny ones would take its room."""
    world = TurningClock()
    began = world.now
    fault = BARE[name] if name in BARE else status(429, WORDS[name])
    dress = at_most(n, 60, world, fault)
    found = ask_all(endpoint, world, 5, dress, max_in_flight=max_in_flight)
    assert {one.text if isinstance(one, ChatReply) else str(one) for one in found} == {"3, 0"}
    n_minutes = 4 // n
    # Looks come 4, 8, 16 and 32 s apart.
    assert world.now - began <= 60 * n_minutes + 60
    assert len(endpoint.probes) <= 2 + n_minutes + 1
    assert len(endpoint.bodies) <= 1 + 5 + 4 + 6 * n_minutes


@pytest.mark.parametrize("name", BARE)
@pytest.mark.parametrize("n", [1, 12])
@pytest.mark.parametrize("lasts_s", [10, 30, 70])
def test_a_bare_limit_that_lasts_a_while_loses_no_question(
    endpoint: FakeEndpoint, name: str, n: int, lasts_s: float
) -> None:
    world = TurningClock()
    until = world.now + lasts_s
    found = ask_all(endpoint, world, n, lambda _: BARE[name] if world.now < until else None)
    assert {one.text if isinstance(one, ChatReply) else str(one) for one in found} == {"3, 0"}
    # In flight together they burn few: the others wait.
    assert len(endpoint.bodies) <= 1 + n + 8


@pytest.mark.parametrize("negotiates", [True, False])
def test_it_may_last_a_while_from_the_first_question_on(
    endpoint: FakeEndpoint, negotiates: bool
) -> None:
    world = TurningClock()
    until = world.now + 30
    endpoint.dress = lambda _: Fault(429) if world.now < until else None
    assert run(client(endpoint.base_url, world, negotiates=negotiates), HELLO).text == "3, 0"
    assert len(endpoint.bodies) + len(endpoint.probes) <= 10


@pytest.mark.parametrize("name", BARE)
def test_a_bare_limit_that_does_not_pass_ends_all_together(
    endpoint: FakeEndpoint, name: str
) -> None:
    world = TurningClock()
    endpoint.dress = lambda _: BARE[name]
    error = failure(lambda: run(client(endpoint.base_url, world, max_in_flight=4), *[HELLO] * 9))
    assert error.retryable
    assert "answered 429 to a tiny question too, and does not say how long" in str(error)
    assert len(endpoint.bodies) + len(endpoint.probes) <= 4 + 3 + 6
    assert sum(world.slept) >= 90


def test_a_question_that_alone_meets_a_limit_fails_while_others_are_answered(
    endpoint: FakeEndpoint,
) -> None:
    """Its time is over at some point; it stops nobody else."""
    world = TurningClock()
    found = ask_all(endpoint, world, 8, lambda body: Fault(429) if body["seed"] == 3 else None)
    lost = [one for one in found if not isinstance(one, ChatReply)]
    assert [type(one) for one in lost] == [RequestFailedError]
    assert len(endpoint.bodies) <= 1 + 8 + 25


def test_what_was_sent_before_goes_ahead_of_what_was_not() -> None:
    order: list[int] = []
    rng = random.Random(1)

    async def scene() -> None:
        world = TurningClock()
        one = LocalRateLimiter(sleep=world.sleep, clock=world.clock)

        async def go(number: int) -> None:
            async with one.acquire(1, is_again=number >= 8):
                order.append(number)

        one.pause(1)
        numbers = rng.sample(range(1, 12), 11)
        await asyncio.gather(*map(go, numbers))

    asyncio.run(scene())
    first, *others = order
    assert others == [n for n in others if n >= 8] + [n for n in others if n < 8]
