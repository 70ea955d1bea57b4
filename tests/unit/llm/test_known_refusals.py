"""What was found out of refused prompts is kept, paid for and looked into again when it must be."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from endpoint_client import HELLO, TurningClock, client
from fake_endpoint import FakeEndpoint, Fault, status

from autointerp.core.config import Budget
from autointerp.core.errors import RequestRefusedError, UpstreamError
from autointerp.llm import ChatModel, ChatReply, ChatRequest, Message
from autointerp.llm.budget import BudgetedModel
from autointerp.llm.wrapped_model import PromptTooLongError

Outcome = ChatReply | BaseException


def bad(n: int, *, n_words: int = 1) -> ChatRequest:
    """A question that a filter stops."""
    return replace(HELLO, messages=(Message("user", f"bad {n} " + "word " * n_words),))


def good(n: int) -> ChatRequest:
    return replace(HELLO, seed=n)


def refuse(endpoint: FakeEndpoint, fault: Fault, *, all_of_them: bool = False) -> None:
    endpoint.dress = lambda body: fault if all_of_them or "bad" in str(body) else None


async def replies(model: ChatModel, *requests: ChatRequest) -> list[Outcome]:
    return await asyncio.gather(*map(model.reply, requests), return_exceptions=True)


@pytest.mark.parametrize("max_in_flight", [1, 4])
@pytest.mark.parametrize("code", [400, 403, 404, 405, 422])
def test_a_key_that_is_revoked_in_the_words_of_a_filter_stops_a_run(
    endpoint: FakeEndpoint, code: int, max_in_flight: int
) -> None:
    model = client(endpoint.base_url, TurningClock(), negotiates=True, max_in_flight=max_in_flight)

    async def ask() -> list[Outcome]:
        await model.reply(HELLO)
        refuse(endpoint, status(code, "Kielletty"))
        assert isinstance((await replies(model, bad(0)))[0], RequestRefusedError)
        await replies(model, *map(good, range(6)))
        refuse(endpoint, status(code, "Kielletty"), all_of_them=True)
        found = await replies(model, *map(good, range(100, 140)))
        await model.close()
        return found

    found = asyncio.run(ask())
    assert {type(one) for one in found} <= {UpstreamError, RequestRefusedError}
    n_lost = sum(isinstance(one, RequestRefusedError) for one in found)
    assert n_lost <= 3
    assert "Kielletty" in str(found[-1])
    assert len(endpoint.probes) <= 2 + 12 + 15


@pytest.mark.parametrize("code", [400, 403])
def test_a_filter_that_stops_most_prompts_costs_few_tiny_questions(
    endpoint: FakeEndpoint, code: int
) -> None:
    model = client(endpoint.base_url, TurningClock(), negotiates=True, max_in_flight=8)

    async def ask() -> list[Outcome]:
        await model.reply(HELLO)
        refuse(endpoint, status(code, "Kielletty"))
        asked = (good(n) if n % 10 == 9 else bad(n) for n in range(100))
        found = await replies(model, *asked)
        await model.close()
        return found

    found = asyncio.run(ask())
    assert sum(isinstance(one, ChatReply) for one in found) == 10
    assert sum(isinstance(one, RequestRefusedError) for one in found) == 90
    assert len(endpoint.probes) <= 2 + 12 + 90 // 3


@pytest.mark.parametrize("n_words", [1, 500])
@pytest.mark.parametrize("code", [400, 403])
def test_all_that_is_charged_for_looking_into_refusals_is_recorded(
    endpoint: FakeEndpoint, code: int, n_words: int
) -> None:
    inner = client(endpoint.base_url, TurningClock(), negotiates=True)
    model = BudgetedModel(inner, budget=Budget(), price=None)

    async def ask() -> None:
        await model.reply(HELLO)
        for n, words in enumerate(("ei", "nein", "non")):
            refuse(endpoint, status(code, words))
            await replies(model, bad(n, n_words=n_words))
        await model.reply(good(1))
        await model.close()

    asyncio.run(ask())
    total = model.ledger.total
    charged = [sum(each) for each in zip(*endpoint.charged, strict=True)]
    assert [total.prompt_tokens, total.completion_tokens] == charged


def test_what_others_are_charged_meanwhile_is_recorded_once(endpoint: FakeEndpoint) -> None:
    inner = client(endpoint.base_url, TurningClock(), negotiates=True, max_in_flight=8)
    model = BudgetedModel(inner, budget=Budget(), price=None)

    async def ask() -> None:
        await model.reply(HELLO)
        endpoint.dress = lambda body: status(400, "ach") if "temperature" in body else None
        asked = (replace(good(n), temperature=0.5 if n % 4 == 0 else None) for n in range(40))
        assert all(isinstance(one, ChatReply) for one in await replies(model, *asked))
        await model.close()

    asyncio.run(ask())
    total = model.ledger.total
    charged = [sum(each) for each in zip(*endpoint.charged, strict=True)]
    assert [total.prompt_tokens, total.completion_tokens] == charged


@pytest.mark.parametrize(
    ("code", "name"),
    [(404, "model_unavailable"), (403, "region_unavailable"), (400, "too_many_tools")],
)
def test_a_code_of_what_is_missing_or_too_much_is_no_rate_limit(
    endpoint: FakeEndpoint, code: int, name: str
) -> None:
    world = TurningClock()
    model = client(endpoint.base_url, world, negotiates=True)
    refuse(endpoint, status(code, "ei ole", code=name), all_of_them=True)
    [found] = asyncio.run(replies(model, HELLO))
    assert isinstance(found, UpstreamError)
    assert not found.retryable
    assert len(endpoint.probes) <= 3
    assert not world.slept


def test_a_prompt_of_too_many_tokens_by_its_code_is_too_long(endpoint: FakeEndpoint) -> None:
    model = client(endpoint.base_url, TurningClock(), negotiates=True)

    async def ask() -> Outcome:
        await model.reply(HELLO)
        fault = status(400, "The prompt has 9000 tokens in this context", code="too_many_tokens")
        refuse(endpoint, fault)
        [found] = await replies(model, bad(0, n_words=900))
        await model.close()
        return found

    assert isinstance(asyncio.run(ask()), PromptTooLongError)


@pytest.mark.parametrize("kind", ["requests", "tokens"])
def test_answers_that_tell_of_a_reset_in_minutes_are_not_waited_behind(
    endpoint: FakeEndpoint, kind: str
) -> None:
    """A limit of which nothing remains, so that the next is refused if that is true."""
    world = TurningClock()
    headers = {f"x-ratelimit-remaining-{kind}": "0", f"x-ratelimit-reset-{kind}": "6m0s"}
    endpoint.disturb = lambda _, answer: replace(answer, headers={**answer.headers, **headers})
    model = client(endpoint.base_url, world)
    assert all(isinstance(one, ChatReply) for one in asyncio.run(replies(model, good(1), good(2))))
    assert not world.slept


def test_a_limit_behind_another_fault_is_first_taken_for_one_that_grows_evenly(
    endpoint: FakeEndpoint,
) -> None:
    world = TurningClock()
    told = {"limit": "60", "remaining": "0", "reset": "6m0s"}
    headers = {f"x-ratelimit-{name}-requests": text for name, text in told.items()}
    endpoint.faults.extend([status(500, "ei"), status(429, "hidas", headers=headers)])
    model = client(endpoint.base_url, world)
    assert isinstance(asyncio.run(replies(model, HELLO))[0], ChatReply)
    assert sum(world.slept) <= 8


@pytest.mark.parametrize("words", ["The key was revoked", "Quota used up", "Guthaben aufgebraucht"])
@pytest.mark.parametrize("code", [400, 403])
def test_what_lasts_by_its_words_is_no_rate_limit_where_a_gateway_adds_a_delay(
    endpoint: FakeEndpoint, code: int, words: str
) -> None:
    world = TurningClock()
    model = client(endpoint.base_url, world, negotiates=True)

    async def ask() -> list[Outcome]:
        await model.reply(HELLO)
        fault = status(code, words, headers={"Retry-After": "5"})
        refuse(endpoint, fault, all_of_them=True)
        found = await replies(model, *map(good, range(4)))
        await model.close()
        return found

    found = asyncio.run(ask())
    assert {type(one) for one in found} == {UpstreamError}
    assert not any(getattr(one, "retryable", True) for one in found)
    assert sum(world.slept) <= 6
