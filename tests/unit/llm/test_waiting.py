"""An endpoint that answers short requests only: what is said of it, and when it is given up."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest
from endpoint_cases import Body
from endpoint_client import HELLO, TurningClock, client
from fake_endpoint import FakeEndpoint, Fault, cut, hang_up, html, slow, status

from autointerp.core.errors import RequestFailedError, UpstreamError
from autointerp.llm import (
    ChatReply,
    ChatRequest,
    ClientDependencies,
    ClientOptions,
    Message,
    OpenAICompatible,
)

LONG = replace(HELLO, messages=(Message("user", "some words " * 250),), max_tokens=400)
FAULTS = {
    "cut": cut(),
    "no_word": hang_up(),
    "502": status(502),
    "503": status(503, "too long?"),
    "page": html(),
    "slow": slow(),
}
TIMEOUTS = {"slow": 0.4}
"""Seconds for an answer where that matters; no machine is so slow that a short one takes longer."""


def is_long(body: Body) -> bool:
    return len(str(body["messages"])) > 1_000


def outcomes(
    endpoint: FakeEndpoint, *requests: ChatRequest, said: list[str], **options: object
) -> list[ChatReply | BaseException]:
    """What comes of requests sent at once, after a first short one."""
    world = TurningClock()
    model = OpenAICompatible(
        endpoint.base_url,
        "fake",
        options=ClientOptions(**options),  # type: ignore[arg-type]
        dependencies=ClientDependencies(sleep=world.sleep, clock=world.clock, on_event=said.append),
    )

    async def ask() -> list[ChatReply | BaseException]:
        await model.reply(HELLO)
        found = await asyncio.gather(*map(model.reply, requests), return_exceptions=True)
        await model.close()
        return found

    return asyncio.run(ask())


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("n", [1, 6])
def test_where_no_question_is_answered_all_are_given_up_and_it_is_said_before(
    endpoint: FakeEndpoint, fault: str, n: int
) -> None:
    endpoint.dress = lambda body: FAULTS[fault] if is_long(body) else None
    said: list[str] = []
    asked = (replace(LONG, seed=seed) for seed in range(n))
    found = outcomes(endpoint, *asked, said=said, timeout_s=TIMEOUTS.get(fault, 60))
    assert {type(one) for one in found} == {UpstreamError}
    assert len([body for body in endpoint.bodies if is_long(body)]) <= n * 8
    assert len(said) == 1
    assert f"the LLM at {endpoint.base_url}" in said[0]
    assert "it is asked again, for at most 900 s a question" in said[0]


@pytest.mark.parametrize("fault", FAULTS)
def test_others_go_on(endpoint: FakeEndpoint, fault: str) -> None:
    endpoint.dress = lambda body: FAULTS[fault] if is_long(body) else None
    # So many that some are answered between its attempts.
    n = 800 if fault == "slow" else 100
    short = [replace(HELLO, seed=seed) for seed in range(n)]
    timeout_s = TIMEOUTS.get(fault, 60)
    found = outcomes(endpoint, LONG, *short, said=[], max_in_flight=2, timeout_s=timeout_s)
    assert [type(one) for one in found] == [RequestFailedError] + [ChatReply] * n


def test_a_question_that_hangs_while_others_are_answered_is_asked_three_times(
    endpoint: FakeEndpoint,
) -> None:
    endpoint.dress = lambda body: slow() if is_long(body) else None
    short = [replace(HELLO, seed=seed) for seed in range(800)]
    said: list[str] = []
    found = outcomes(endpoint, LONG, *short, said=said, max_in_flight=2, timeout_s=0.4)
    assert isinstance(found[0], RequestFailedError)
    assert "gave no answer within 0.4 s, 3 times" in str(found[0])
    assert [is_long(body) for body in endpoint.bodies].count(True) <= 4


def test_what_passes_with_the_next_attempt_is_not_spoken_of(endpoint: FakeEndpoint) -> None:
    said: list[str] = []
    seen: set[int] = set()

    def dress(body: Body) -> Fault | None:
        is_first = is_long(body) and body["seed"] not in seen
        seen.add(body.get("seed", 0))
        return cut() if is_first else None

    endpoint.dress = dress
    found = outcomes(endpoint, *(replace(LONG, seed=seed) for seed in range(4)), said=said)
    assert {type(one) for one in found} == {ChatReply}
    assert said == []


def test_no_outage_is_taken_for_a_question_that_fails(endpoint: FakeEndpoint) -> None:
    endpoint.dress = lambda _: status(503) if len(endpoint.answered) else None
    said: list[str] = []
    [found] = outcomes(endpoint, LONG, said=said, deadline_s=1, longest_wait_s=0.1)
    assert isinstance(found, UpstreamError)
    assert not isinstance(found, RequestFailedError)
    assert "did not come back within 1 s" in str(found)
    assert len(said) == 1


@pytest.mark.parametrize(("answered_after", "n_attempts"), [(1, 7), (2, 6), (99, 6)])
def test_a_call_whose_failures_open_the_circuit_at_its_end_is_sent_once_more(
    endpoint: FakeEndpoint, answered_after: int, n_attempts: int
) -> None:
    """It may have been an outage: five in a row, with another question answered before them."""
    model = client(endpoint.base_url, TurningClock(), attempts=6, max_in_flight=4)
    n_sent, answered = iter(range(1, 99)), threading.Event()

    def dress(body: Body) -> Fault | None:
        if not is_long(body):
            return None
        if next(n_sent) == answered_after + 1:
            answered.wait(30)
        return cut()

    async def ask() -> BaseException | None:
        await model.reply(HELLO)
        endpoint.dress = dress
        asked = asyncio.ensure_future(model.reply(LONG))
        while len(endpoint.bodies) < 2 + answered_after and not asked.done():
            await asyncio.sleep(0)
        await model.reply(replace(HELLO, seed=1))
        answered.set()
        await asyncio.wait([asked])
        await model.close()
        return asked.exception()

    assert f"cut the connection, {n_attempts} times" in str(asyncio.run(ask()))
    assert next(n_sent) == n_attempts + 1
