"""One address behind which servers differ: some take an option that the others refuse."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from endpoint_cases import Body, has, has_system, lacks_limit
from endpoint_client import Clockwork, TurningClock
from endpoint_client import client as any_client
from fake_endpoint import FakeEndpoint, Fault, hang_up, json_body, status

from autointerp.core.errors import RequestRefusedError
from autointerp.llm import ChatRequest, JsonSchema, Message, OpenAICompatible
from autointerp.llm.negotiation import MOST_PROBES

SCHEMA = JsonSchema("levels", '{"type": "array"}')
TURNS = (Message("system", "be brief; write JSON"), Message("user", "rate"))
WHOLE = ChatRequest(TURNS, 9, 0.7, 5, (), SCHEMA, None, 20)
OPTIONS = {
    "temperature": has("temperature"),
    "seed": has("seed"),
    "schema": has("response_format"),
    "logprobs": has("logprobs"),
    "system": has_system,
    "limit": has("max_tokens"),
    "all": has("temperature", "seed", "response_format", "logprobs"),
}
FAULTS = {
    "400": status(400, "ach"),
    "403": status(403, "ach"),
    "404": status(404, "ach"),
    "422_without_words": Fault(422),
    "500": status(500, "ach"),
    "in_a_200": json_body({"error": "ach"}),
    "no_choices": json_body({"choices": []}),
    "long": status(400, "no longer taken in this context"),
    "cut": hang_up(),
    "429": status(429, "ach ja"),
    "named": status(400, "unknown fields: temperature, seed, response_format, logprobs"),
}


def each_other() -> Callable[[], bool]:
    """Every second request, from the second on."""
    turns = iter(range(10**9))
    return lambda: bool(next(turns) % 2)


def at_random(seed: int) -> Callable[[], bool]:
    rng = random.Random(seed)
    return lambda: rng.random() < 0.5


def client(endpoint: FakeEndpoint, world: Clockwork) -> OpenAICompatible:
    return any_client(endpoint.base_url, world, negotiates=True, max_in_flight=4)


def ask_all(model: OpenAICompatible, n: int) -> None:
    async def ask() -> None:
        for seed in range(n):
            assert (await model.reply(replace(WHOLE, seed=seed))).text == "3, 0"
        asked = (model.reply(replace(WHOLE, seed=n + seed)) for seed in range(n))
        assert {reply.text for reply in await asyncio.gather(*asked)} == {"3, 0"}
        await model.close()

    asyncio.run(ask())


@pytest.mark.parametrize("turn", ["each_other", 1])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", OPTIONS)
def test_no_question_is_lost_where_every_other_request_is_refused_an_option(
    endpoint: FakeEndpoint, name: str, fault: str, turn: str | int
) -> None:
    is_other = each_other() if isinstance(turn, str) else at_random(turn)

    def dress(body: Body) -> Fault | None:
        return FAULTS[fault] if is_other() and OPTIONS[name](body) else None

    endpoint.dress = dress
    ask_all(client(endpoint, TurningClock()), 10)
    assert len(endpoint.bodies) <= 20 * 3
    assert len(endpoint.probes) <= 6 * MOST_PROBES


@pytest.mark.parametrize("name", OPTIONS)
def test_it_is_said_where_servers_begin_to_differ_in_the_midst_of_a_run(
    endpoint: FakeEndpoint, name: str
) -> None:
    model, is_other = client(endpoint, TurningClock()), each_other()

    async def ask() -> None:
        await model.reply(WHOLE)
        endpoint.dress = lambda b: FAULTS["400"] if is_other() and OPTIONS[name](b) else None
        for seed in range(20):
            assert (await model.reply(replace(WHOLE, seed=seed))).text == "3, 0"
        await model.close()

    asyncio.run(ask())
    assert not OPTIONS[name](endpoint.bodies[-1])
    notes = " ".join(model.features.notes)
    assert (
        "accepted some options in one request and refused them in the next" in notes
        or "asked without" in notes
    )
    assert len(endpoint.bodies) <= 1 + 20 + 8


def test_only_what_is_named_is_left_out_where_something_is_named(endpoint: FakeEndpoint) -> None:
    model, is_other = client(endpoint, TurningClock()), each_other()

    async def ask() -> None:
        await model.reply(WHOLE)
        named = status(400, "temperature: unknown")
        endpoint.dress = lambda b: named if "temperature" in b and is_other() else None
        for seed in range(12):
            await model.reply(replace(WHOLE, seed=seed))
        await model.close()

    asyncio.run(ask())
    assert model.features.asked_without == ("temperature",)


def test_servers_may_need_a_limit_besides(endpoint: FakeEndpoint) -> None:
    is_other = each_other()

    def dress(body: Body) -> Fault | None:
        if lacks_limit(body):
            return status(400, "a limit is needed")
        return status(400, "ach") if is_other() and "seed" in body else None

    endpoint.dress = dress
    ask_all(client(endpoint, TurningClock()), 12)
    assert len(endpoint.answered) == 24
    assert not any(lacks_limit(body) for body in endpoint.answered)


@pytest.mark.parametrize("body", [{"choices": []}, {"choices": [{"message": {}}]}])
@pytest.mark.parametrize("long", [1, 500])
def test_prompts_that_get_no_reply_in_any_form_leave_the_options_as_they_were(
    endpoint: FakeEndpoint, body: object, long: int
) -> None:
    model = client(endpoint, TurningClock())

    async def ask() -> None:
        await model.reply(WHOLE)
        before = model.known
        endpoint.dress = lambda sent: json_body(body) if "bad" in str(sent) else None
        for seed in range(4):
            turns = (Message("user", f"bad {seed}, JSON" * long),)
            assert (await model.reply(replace(WHOLE, messages=turns))).text == ""
            assert (await model.reply(replace(WHOLE, seed=seed))).text == "3, 0"
        assert model.known == before
        await model.close()

    asyncio.run(ask())
    assert has("seed", "response_format", "logprobs")(endpoint.bodies[-1])
    assert len(endpoint.bodies) == 1 + 4 * (2 + 1)
    assert not model.features.notes


def test_an_option_refused_by_no_reply_is_found_behind_a_prompt_that_gets_none(
    endpoint: FakeEndpoint,
) -> None:
    model = client(endpoint, TurningClock())

    async def ask() -> None:
        await model.reply(WHOLE)
        empty = json_body({"choices": []})
        endpoint.dress = lambda sent: empty if "bad" in str(sent) else None
        await model.reply(replace(WHOLE, messages=(Message("user", "bad, JSON"),)))
        endpoint.dress = lambda sent: empty if "seed" in sent else None
        assert (await model.reply(WHOLE)).text == "3, 0"
        await model.close()

    asyncio.run(ask())
    assert model.features.asked_without == ("seed",)


def test_words_about_a_prompt_are_looked_into_once(endpoint: FakeEndpoint) -> None:
    model = client(endpoint, TurningClock())

    async def ask() -> None:
        await model.reply(WHOLE)
        endpoint.dress = lambda body: status(400, "Nicht zulässig") if "bad" in str(body) else None
        for seed in range(4):
            turns = (Message("user", f"bad {seed}, JSON"),)
            with pytest.raises(RequestRefusedError, match="Nicht zulässig"):
                await model.reply(replace(WHOLE, messages=turns))
            await model.reply(replace(WHOLE, seed=seed))
        await model.close()

    n_probes = len(endpoint.probes)
    asyncio.run(ask())
    # Each once, and the first in its plain form too, beside tiny questions.
    assert [str(body).count("bad") for body in endpoint.bodies] == [0, 1, 1, 0, 1, 0, 1, 0, 1, 0]
    assert len(endpoint.probes) == n_probes + 2 + 9
    assert model.features.asked_without == ()
