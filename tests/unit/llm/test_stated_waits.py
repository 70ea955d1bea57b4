"""Waits that a service states: obeyed up to two minutes each and told; hours end a run."""

from __future__ import annotations

import asyncio

import pytest
from endpoint_cases import IN_DRESS
from endpoint_client import HELLO, TurningClock, client, run
from fake_endpoint import FakeEndpoint, Fault, json_body, status

from autointerp.core.errors import UpstreamError
from autointerp.llm import ChatReply, ClientDependencies, ClientOptions, OpenAICompatible

MINUTES: dict[str, tuple[Fault, float]] = {
    "header_45": (status(429, "slow", headers={"Retry-After": "45"}), 45),
    "header_60": (status(429, "slow", headers={"Retry-After": "60"}), 60),
    "header_90_at_503": (status(503, "slow", headers={"Retry-After": "90"}), 90),
    "header_40_at_529": (status(529, "slow", headers={"Retry-After": "40"}), 40),
    "header_50_at_500": (status(500, "slow", headers={"Retry-After": "50"}), 50),
    "chat": (IN_DRESS["chat"](429, "slow down, try again in 75 s", "rate_limit_error"), 75),
    "responses": (IN_DRESS["responses"](429, "Please try again in 1m15s.", "rate_limit"), 75),
    "anthropic": (IN_DRESS["anthropic"](429, "please wait 90 seconds", "rate_limit_error"), 90),
    "gemini": (
        json_body(
            [{"error": {"code": 429, "details": [{"retryDelay": "47s"}], "message": "n"}}], 429
        ),
        47,
    ),
    "in_a_200": (json_body({"error": {"code": 429, "message": "retry after 100 seconds"}}), 100),
    "quota_words": (status(429, "Your quota is used up, try again in 2 minutes"), 120),
    "german": (status(429, "Bitte in 2 Minuten erneut versuchen"), 120),
    "chinese": (status(429, "请在 1 分钟后重试"), 60),
    "field": (status(429, "slow", resets_in_seconds=66), 66),
}
HOURS = {
    "header": status(429, "closed for today", headers={"Retry-After": "7200"}),
    "header_at_503": status(503, "closed for today", headers={"Retry-After": "86400"}),
    "chat": IN_DRESS["chat"](429, "closed for today, try again in 5 hours", "x"),
    "responses": IN_DRESS["responses"](429, "closed for today, try again in 1 day 3 hours", "x"),
    "anthropic": IN_DRESS["anthropic"](429, "closed for today; retry after 3h20m", "x"),
    "gemini": IN_DRESS["gemini"](429, "closed for today. Please retry in 11h2m3.5s.", "x"),
    "text": IN_DRESS["text"](429, "closed for today, wait 2 hours", "x"),
    "in_a_200": json_body({"error": {"code": 429, "message": "closed for today: wait 120 min"}}),
    "field": status(429, "closed for today", resets_in_seconds=9000),
}


def asked(
    endpoint: FakeEndpoint, world: TurningClock, said: list[str], fault: Fault, n_faults: int
) -> ChatReply:
    """The reply to a second question, before which so many requests fail."""
    dependencies = ClientDependencies(sleep=world.sleep, clock=world.clock, on_event=said.append)
    options = ClientOptions(negotiates=False)
    model = OpenAICompatible(endpoint.base_url, "fake", options=options, dependencies=dependencies)

    async def ask() -> ChatReply:
        try:
            await model.reply(HELLO)
            endpoint.faults_for_probes = True
            endpoint.faults.extend([fault] * n_faults)
            return await model.reply(HELLO)
        finally:
            await model.close()

    return asyncio.run(ask())


@pytest.mark.parametrize("name", MINUTES)
def test_a_wait_of_up_to_two_minutes_is_obeyed_and_told(endpoint: FakeEndpoint, name: str) -> None:
    world, said = TurningClock(), list[str]()
    fault, wait_s = MINUTES[name]
    assert asked(endpoint, world, said, fault, 1).text == "3, 0"
    assert len(endpoint.bodies) == 3
    assert wait_s <= sum(world.slept) <= min(120, wait_s + 0.5)
    assert len(said) == 1
    assert f"asked again in {sum(world.slept):.0f} s" in said[0]
    assert f"answered {fault.status if fault.status != 200 else 429}" in said[0]


@pytest.mark.parametrize("code", [408, 409, 425, 429, 500, 503, 529])
@pytest.mark.parametrize("negotiates", [True, False])
def test_a_stated_wait_is_obeyed_where_it_is_the_very_first_answer(
    endpoint: FakeEndpoint, code: int, negotiates: bool
) -> None:
    world = TurningClock()
    until = world.now + 30
    fault = status(code, "hetki", headers={"Retry-After": "30"})
    endpoint.dress = lambda _: fault if world.now < until else None
    assert run(client(endpoint.base_url, world, negotiates=negotiates), HELLO).text == "3, 0"
    assert 30 <= sum(world.slept) <= 31
    # What was refused, once, and what was answered then.
    assert len(endpoint.bodies) + len(endpoint.probes) == 2 + (2 if negotiates else 0)


def test_every_such_wait_is_told(endpoint: FakeEndpoint) -> None:
    world, said = TurningClock(), list[str]()
    asked(endpoint, world, said, status(429, "hidas", headers={"Retry-After": "60"}), 3)
    assert len(said) == 3
    assert "it says: hidas" in said[0]
    # With a moment before a tiny question, as three in a row met a limit.
    assert 180 <= sum(world.slept) <= 184


def test_short_waits_are_told_once_in_a_while(endpoint: FakeEndpoint) -> None:
    world, said = TurningClock(), list[str]()
    asked(endpoint, world, said, status(429, "hidas", headers={"Retry-After": "9"}), 3)
    assert len(said) == 1


def test_a_longer_wait_is_cut_into_such_waits(endpoint: FakeEndpoint) -> None:
    world, said = TurningClock(), list[str]()
    asked(endpoint, world, said, status(429, "hidas", headers={"Retry-After": "400"}), 2)
    assert sum(world.slept) == 240


@pytest.mark.parametrize(
    ("fault", "away_s"),
    [
        (status(429, "hidas", headers={"Retry-After": "600"}), 600),
        (status(429, "hidas, try again in 12m"), 720),
        (status(503, "hidas", headers={"Retry-After": "800"}), 800),
        (status(500, "hidas", headers={"Retry-After": "700"}), 700),
    ],
)
def test_a_stated_delay_within_the_deadline_is_waited_for_to_its_end(
    endpoint: FakeEndpoint, fault: Fault, away_s: float
) -> None:
    world = TurningClock()
    assert served_after(endpoint, world, fault, away_s).text == "3, 0"
    assert away_s <= sum(world.slept) <= away_s + 120


def test_a_delay_that_is_stated_for_ever_ends(endpoint: FakeEndpoint) -> None:
    world = TurningClock()
    fault = status(429, "hidas", headers={"Retry-After": "600"})
    with pytest.raises(UpstreamError, match="hidas"):
        served_after(endpoint, world, fault, 1e9)
    assert sum(world.slept) <= 1500


@pytest.mark.parametrize("name", HOURS)
def test_a_wait_of_hours_ends_the_run_with_the_words_of_the_service(
    endpoint: FakeEndpoint, name: str
) -> None:
    world = TurningClock()
    with pytest.raises(UpstreamError, match="asks to wait .* s.*closed for today") as caught:
        asked(endpoint, world, [], HOURS[name], 99)
    assert caught.value.retryable
    assert len(endpoint.bodies) + len(endpoint.probes) == 1 + 1 + 2
    assert sum(world.slept) == 6


def test_a_wait_of_hours_that_one_request_alone_is_told_is_not_obeyed(
    endpoint: FakeEndpoint,
) -> None:
    world = TurningClock()
    assert asked(endpoint, world, [], HOURS["header"], 2).text == "3, 0"
    assert sum(world.slept) <= 7


def served_after(
    endpoint: FakeEndpoint, world: TurningClock, fault: Fault, away_s: float
) -> ChatReply:
    """The reply to a question where all is refused so for a time, once one was answered."""
    model = client(endpoint.base_url, world, negotiates=True)

    async def ask() -> ChatReply:
        await model.reply(HELLO)
        until = world.now + away_s
        endpoint.dress = lambda _: fault if world.now < until else None
        try:
            return await model.reply(HELLO)
        finally:
            await model.close()

    return asyncio.run(ask())


_SPENT = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}
_GROWING = {**_SPENT, "x-ratelimit-limit-requests": "60"}


@pytest.mark.parametrize(
    ("headers", "away_s"),
    [
        (_SPENT, 360),
        # Of a bucket that is filled evenly, and of a count that begins anew.
        (_GROWING, 6),
        (_GROWING, 360),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "784112377"}, 600),
        (
            {
                "anthropic-ratelimit-tokens-remaining": "0",
                "anthropic-ratelimit-tokens-reset": "1994-11-06T08:59:37Z",
            },
            600,
        ),
        ({"RateLimit": '"burst";r=5;t=1, "hour";r=0;t=500'}, 500),
        ({"RateLimit": "limit=100, remaining=0, reset=150"}, 150),
    ],
)
@pytest.mark.parametrize("code", [429, 403])
def test_a_limit_of_which_nothing_remains_is_waited_for_until_it_is_reset(
    endpoint: FakeEndpoint, headers: dict[str, str], away_s: float, code: int
) -> None:
    world = TurningClock()
    fault = status(code, "hidas", headers=headers, code="rate_limit_exceeded")
    assert served_after(endpoint, world, fault, away_s).text == "3, 0"
    assert away_s <= sum(world.slept) <= away_s + 130


@pytest.mark.parametrize(
    "headers",
    [
        {"x-ratelimit-remaining-requests": "90", "x-ratelimit-reset-requests": "10m"},
        {"x-ratelimit-reset-requests": "10m"},
        {"RateLimit": '"hour";r=900;t=600'},
    ],
)
def test_a_limit_of_which_something_remains_is_not_waited_for(
    endpoint: FakeEndpoint, headers: dict[str, str]
) -> None:
    world = TurningClock()
    assert asked(endpoint, world, [], status(429, "hidas", headers=headers), 1).text == "3, 0"
    assert sum(world.slept) <= 31


def test_a_limit_that_is_reset_in_hours_ends_a_run_soon(endpoint: FakeEndpoint) -> None:
    world = TurningClock()
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "784151777"}
    with pytest.raises(UpstreamError, match="asks to wait 3.* s.*hidas"):
        asked(endpoint, world, [], status(429, "hidas", headers=headers), 99)
    assert sum(world.slept) == 6


@pytest.mark.parametrize("code", [400, 403, 422])
@pytest.mark.parametrize(
    "told", [{"headers": {"Retry-After": "20"}}, {"code": "rate_limit_exceeded"}]
)
def test_a_rate_limit_is_told_by_a_delay_or_a_code_whatever_its_status(
    endpoint: FakeEndpoint, code: int, told: dict[str, object]
) -> None:
    world = TurningClock()
    assert asked(endpoint, world, [], status(code, "hidas", **told), 3).text == "3, 0"
    assert len(endpoint.bodies) == 2 + 3


@pytest.mark.parametrize(
    "words",
    [
        "Rate limit exceeded: 60 requests per minute. Unused credits are removed after 30 days.",
        "Too many requests. Support is available 24 hours a day.",
        "Rate limit: 60 requests per hour. Upgrade for access within 24 hours.",
        "Limit of 60 requests per minute: other tiers try again in 2 hours",
        "Zu viele Anfragen, 60 pro Minute. Nach 30 Tagen verfallen Reste.",
    ],
)
def test_a_rate_limit_beside_other_times_is_waited_for(endpoint: FakeEndpoint, words: str) -> None:
    assert served_after(endpoint, TurningClock(), status(429, words), 40).text == "3, 0"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (504, "upstream request timed out after 300 seconds"),
        (503, "Waited 300 seconds in queue, gave up"),
        (408, "no body, 300 seconds"),
        (500, "worker: 240 seconds"),
    ],
)
def test_what_a_server_has_spent_is_no_wait_that_it_asks_for(
    endpoint: FakeEndpoint, code: int, words: str
) -> None:
    world = TurningClock()
    assert asked(endpoint, world, [], status(code, words), 2).text == "3, 0"
    assert sum(world.slept) <= 3


def test_a_server_that_says_when_it_is_back_is_waited_for(endpoint: FakeEndpoint) -> None:
    for words in ("We will be back in 20 minutes", "Maintenance, try again in 20 minutes"):
        assert served_after(endpoint, TurningClock(), status(503, words), 400).text == "3, 0"
