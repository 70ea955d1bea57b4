"""Words that say that a refusal lasts are confirmed at once; what passes is not mistaken for it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from endpoint_cases import IN_DRESS, LASTING, RATES, Body
from endpoint_client import HELLO, TurningClock, client
from fake_endpoint import FakeEndpoint, Fault, status

from autointerp.core.errors import RequestFailedError, RequestRefusedError, UpstreamError
from autointerp.llm import ChatReply, OpenAICompatible


async def _asked(
    endpoint: FakeEndpoint, model: OpenAICompatible, fault: Fault, n: int
) -> list[ChatReply | BaseException]:
    await model.reply(HELLO)
    endpoint.dress = lambda _: fault
    asked = (model.reply(replace(HELLO, seed=seed)) for seed in range(n))
    found = await asyncio.gather(*asked, return_exceptions=True)
    await model.close()
    return found


def stopped(endpoint: FakeEndpoint, fault: Fault, said: str, *, n: int = 6) -> tuple[int, float]:
    """Requests and seconds that it takes to stop in the midst of a run, with these words."""
    world = TurningClock()
    model = client(endpoint.base_url, world, negotiates=True, max_in_flight=2)
    found = asyncio.run(_asked(endpoint, model, fault, n))
    assert all(isinstance(one, UpstreamError) for one in found)
    assert not any(isinstance(one, RequestFailedError | RequestRefusedError) for one in found)
    assert all(said in str(one) for one in found), found
    assert not any(one.retryable for one in found if isinstance(one, UpstreamError))
    return len(endpoint.bodies) + len(endpoint.probes) - 3, sum(world.slept)


@pytest.mark.parametrize("code", [200, 400, 403, 429])
@pytest.mark.parametrize("name", LASTING)
def test_words_that_say_a_lasting_refusal_stop_a_run_at_once(
    endpoint: FakeEndpoint, name: str, code: int
) -> None:
    fault = IN_DRESS["chat"](code, LASTING[name], "error")
    n_sent, seconds = stopped(endpoint, fault, LASTING[name])
    # With 400 it may be a form or too little room besides.
    assert n_sent <= 2 + (12 if code == 400 else 10)
    assert seconds <= 10


@pytest.mark.parametrize("code", [500, 503])
@pytest.mark.parametrize("name", LASTING)
def test_with_a_status_of_an_outage_they_stop_it_after_a_minute(
    endpoint: FakeEndpoint, name: str, code: int
) -> None:
    fault = IN_DRESS["chat"](code, LASTING[name], "error")
    n_sent, seconds = stopped(endpoint, fault, LASTING[name])
    assert n_sent <= 2 + 10
    assert seconds <= 62


PAGE = (
    b"<!DOCTYPE html><html><head><title>Payments API | 502: Bad gateway</title></head>"
    b"<body><h1>Bad gateway</h1><p>Billing is not reached, insufficient funds</p></body></html>"
)
OUTAGES = {
    "a_page": (Fault(502, PAGE, {"Content-Type": "text/html"}), 300),
    "a_budget": (
        status(503, "The engine has no token budget, budget exceeded; queue is full"),
        40,
    ),
    "a_wallet": (status(500, "wallet-service did not start"), 40),
    "a_plan": (status(504, "the user of the pool is locked"), 40),
}


@pytest.mark.parametrize("name", OUTAGES)
def test_a_short_outage_whose_words_resemble_them_is_waited_for(
    endpoint: FakeEndpoint, name: str
) -> None:
    world = TurningClock()
    model = client(endpoint.base_url, world, negotiates=True)
    fault, away_s = OUTAGES[name]

    async def ask() -> ChatReply:
        await model.reply(HELLO)
        until = world.now + away_s
        endpoint.dress = lambda _: fault if world.now < until else None
        reply = await model.reply(HELLO)
        await model.close()
        return reply

    assert asyncio.run(ask()).text == "3, 0"


@pytest.mark.parametrize("code", [200, 400, 403, 429])
@pytest.mark.parametrize("dress", IN_DRESS)
def test_they_do_in_every_dress(endpoint: FakeEndpoint, dress: str, code: int) -> None:
    words = LASTING["balance"]
    n_sent, seconds = stopped(endpoint, IN_DRESS[dress](code, words, "api_error"), words)
    assert n_sent <= 2 + 10
    assert seconds <= 10


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (429, "insufficient_quota"),
        (429, "billing_hard_limit_reached"),
        (500, "insufficient_quota"),
        (503, "creditsExhausted"),
        (500, "account_suspended"),
        (500, "invalid_api_key"),
        (402, "x"),
    ],
)
def test_codes_do_where_the_words_say_nothing(endpoint: FakeEndpoint, code: int, name: str) -> None:
    n_sent, seconds = stopped(endpoint, IN_DRESS["chat"](code, "nyt ei käy", name), "nyt ei käy")
    assert n_sent <= 2 + 10
    assert seconds <= 10


@pytest.mark.parametrize("name", ["balance", "credit", "key", "account", "a_day"])
@pytest.mark.parametrize(
    "headers",
    [
        {"x-ratelimit-remaining": "0"},
        {"X-RateLimit-Remaining-Requests": "0"},
        {"ratelimit-remaining": "0", "ratelimit-reset": "86000"},
    ],
)
def test_a_header_that_counts_nothing_left_does_not_make_a_rate_of_them(
    endpoint: FakeEndpoint, name: str, headers: dict[str, str]
) -> None:
    fault = status(429, LASTING[name], headers=headers)
    n_sent, seconds = stopped(endpoint, fault, LASTING[name])
    assert n_sent <= 2 + 10
    assert seconds <= 10


def test_words_that_come_only_in_the_midst_of_an_outage_do(endpoint: FakeEndpoint) -> None:
    world = TurningClock()
    model = client(endpoint.base_url, world, negotiates=True)

    async def ask() -> str:
        await model.reply(HELLO)
        n_before = len(endpoint.bodies) + len(endpoint.probes)
        lasting = status(500, LASTING["account"], code="account_suspended")

        def dress(_: Body) -> Fault:
            n_sent = len(endpoint.bodies) + len(endpoint.probes) - n_before
            return status(503, "starting") if n_sent <= 8 else lasting

        endpoint.dress = dress
        with pytest.raises(UpstreamError) as caught:
            await model.reply(HELLO)
        await model.close()
        return str(caught.value)

    assert LASTING["account"] in asyncio.run(ask())
    assert sum(world.slept) < 60


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("n_limited", [1, 3, 4])
def test_what_passes_is_waited_for_though_its_words_resemble_them(
    endpoint: FakeEndpoint, name: str, n_limited: int
) -> None:
    world = TurningClock()
    model = client(endpoint.base_url, world, negotiates=True)

    async def ask() -> ChatReply:
        await model.reply(HELLO)
        endpoint.faults_for_probes = True
        endpoint.faults.extend([RATES[name]] * n_limited)
        reply = await model.reply(HELLO)
        await model.close()
        return reply

    assert asyncio.run(ask()).text == "3, 0"
    assert world.slept


@pytest.mark.parametrize("code", [402, 403, 429, 500])
@pytest.mark.parametrize("name", ["quota", "key", "account", "chinese"])
def test_nothing_stops_where_the_tiny_question_is_answered(
    endpoint: FakeEndpoint, name: str, code: int
) -> None:
    model = client(endpoint.base_url, TurningClock(), negotiates=True)

    async def ask() -> ChatReply:
        await model.reply(HELLO)
        endpoint.faults.append(IN_DRESS["chat"](code, LASTING[name], "error"))
        reply = await model.reply(HELLO)
        await model.close()
        return reply

    assert asyncio.run(ask()).text == "3, 0"
    # With 402 and 403 it is looked whether it is a server's of several, or an option's.
    assert len(endpoint.probes) <= 2 + (12 if code in (402, 403) else 1)
    assert model.features.asked_without == ()


def test_an_outage_in_words_that_say_nothing_of_the_kind_stays_one(endpoint: FakeEndpoint) -> None:
    world = TurningClock()
    model = client(endpoint.base_url, world, negotiates=True)

    async def ask() -> ChatReply:
        await model.reply(HELLO)
        away_until = world.now + 120
        endpoint.dress = lambda _: (
            status(503, "palvelu ei vastaa") if world.now < away_until else None
        )
        reply = await model.reply(HELLO)
        await model.close()
        return reply

    assert asyncio.run(ask()).text == "3, 0"
