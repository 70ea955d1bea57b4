"""An option that is refused only from the middle of a run on, however that is told."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from endpoint_cases import Body, has, has_system, lacks_limit
from endpoint_client import Clockwork, TurningClock
from endpoint_client import client as any_client
from fake_endpoint import FakeEndpoint, Fault, hang_up, html, json_body, status

from autointerp.core.errors import RequestRefusedError, UpstreamError
from autointerp.llm import ChatRequest, Features, JsonSchema, Message, OpenAICompatible
from autointerp.llm.negotiation import MOST_PROBES

SCHEMA = JsonSchema("levels", '{"type": "array"}')
TURNS = (Message("system", "be brief; write JSON"), Message("user", "rate"))
WHOLE = ChatRequest(TURNS, 9, 0.7, 5, ("\n",), SCHEMA, None, 20)
GRAMMAR = replace(WHOLE, grammar='root ::= "3, 0"')
# What is refused, and what is told of it.
OPTIONS = {
    "temperature": (has("temperature"), ("temperature",)),
    "seed": (has("seed"), ("seed",)),
    "stop": (has("stop"), ("stop",)),
    "grammar": (has("grammar"), ()),
    "schema": (has("response_format"), ("JSON schema",)),
    "logprobs": (has("logprobs"), ("log-probabilities",)),
    "system": (has_system, ("system role",)),
    "limit": (has("max_tokens"), ()),
    "two": (has("seed", "temperature"), ("seed", "temperature")),
}
FAULTS = {
    "400": status(400, "ach"),
    "422": status(422, "ach"),
    "409": status(409, "ach"),
    "an_error_in_a_200": json_body({"error": {"message": "ach"}}),
    "500": status(500, "ach"),
    "501": status(501, "ach"),
    "429": status(429, "ach"),
    "429_with_a_wait": status(429, "ach", headers={"Retry-After": "2"}),
    "429_in_a_200": json_body({"code": 429, "msg": "ach"}),
    "503": status(503, "ach"),
    "503_with_a_wait": status(503, "ach", headers={"Retry-After": "2"}),
    "529": status(529, "ach"),
    "cut": hang_up(),
    "page": html(),
    "ended": json_body({"choices": [{"message": {"content": "3"}, "finish_reason": "error"}]}),
}


def client(endpoint: FakeEndpoint, world: Clockwork, **more: object) -> OpenAICompatible:
    more = {"negotiates": True, "deadline_s": 5, **more}
    return any_client(endpoint.base_url, world, features=Features(grammar=True), **more)


def asked(name: str) -> ChatRequest:
    return GRAMMAR if name == "grammar" else WHOLE


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", OPTIONS)
def test_no_question_is_lost_and_the_option_is_left_out(
    endpoint: FakeEndpoint, name: str, fault: str
) -> None:
    refused, without = OPTIONS[name]
    model = client(endpoint, TurningClock())

    async def ask() -> None:
        await model.reply(asked(name))
        endpoint.dress = lambda body: FAULTS[fault] if refused(body) else None
        for n in (1, 5, 1):
            questions = (replace(asked(name), seed=n + seed) for seed in range(n))
            replies = await asyncio.gather(*map(model.reply, questions))
            assert {reply.text for reply in replies} == {"3, 0"}
        await model.close()

    asyncio.run(ask())
    assert model.features.asked_without == without
    assert not refused(endpoint.bodies[-1])
    assert len(endpoint.probes) <= 2 * MOST_PROBES + 3


@pytest.mark.parametrize("fault", FAULTS)
def test_no_question_is_lost_where_a_limit_of_tokens_is_required(
    endpoint: FakeEndpoint, fault: str
) -> None:
    model = client(endpoint, TurningClock())
    refused: list[str] = []

    def dress(body: Body) -> Fault | None:
        if lacks_limit(body):
            return status(400, "nein")
        return FAULTS[fault] if has(*refused)(body) else None

    async def ask() -> None:
        endpoint.dress = dress
        await model.reply(WHOLE)
        refused.append("temperature")
        replies = [await model.reply(replace(WHOLE, seed=seed)) for seed in range(3)]
        assert {reply.text for reply in replies} == {"3, 0"}
        await model.close()

    asyncio.run(ask())
    assert model.features.asked_without == ("temperature",)
    assert "max_tokens" in endpoint.bodies[-1]


@pytest.mark.parametrize("fault", ["429", "429_with_a_wait", "503", "cut", "page"])
def test_what_another_process_found_out_may_have_changed(
    endpoint: FakeEndpoint, tmp_path: object, fault: str
) -> None:
    def asks() -> OpenAICompatible:
        model = client(endpoint, TurningClock(), capabilities=tmp_path)

        async def ask() -> None:
            assert (await model.reply(WHOLE)).text == "3, 0"
            await model.close()

        asyncio.run(ask())
        return model

    asks()
    endpoint.dress = lambda body: FAULTS[fault] if "temperature" in body else None
    assert asks().features.asked_without == ("temperature",)


@pytest.mark.parametrize("fault", ["429", "429_with_a_wait", "503", "cut", "page"])
def test_what_is_no_refusal_of_an_option_is_asked_once_more_in_its_plain_form(
    endpoint: FakeEndpoint, fault: str
) -> None:
    """A rate limit or an outage that lasts: the form of the questions stays what it was."""
    model = client(endpoint, TurningClock(), attempts=3, deadline_s=5)

    async def ask() -> list[Body]:
        await model.reply(WHOLE)
        n_before = len(endpoint.bodies)
        endpoint.dress = lambda _: FAULTS[fault]
        with pytest.raises(UpstreamError) as caught:
            await asyncio.wait_for(model.reply(WHOLE), 60)
        assert caught.value.retryable
        assert not isinstance(caught.value, RequestRefusedError)
        failed = endpoint.bodies[n_before:]
        endpoint.dress = lambda _: None
        assert (await model.reply(WHOLE)).text == "3, 0"
        await model.close()
        return failed

    failed = asyncio.run(ask())
    assert model.features.asked_without == ()
    assert all("seed" in body for body in failed[:-1])


@pytest.mark.parametrize("fault", [status(400, "ach"), status(418, "nein"), Fault(422)])
@pytest.mark.parametrize("max_in_flight", [1, 4])
def test_questions_that_wait_for_their_turn_take_the_form_that_was_learnt_meanwhile(
    endpoint: FakeEndpoint, fault: Fault, max_in_flight: int
) -> None:
    model = client(endpoint, TurningClock(), max_in_flight=max_in_flight)

    async def ask() -> None:
        await model.reply(WHOLE)
        endpoint.dress = lambda body: fault if "seed" in body else None
        questions = (replace(WHOLE, seed=seed) for seed in range(30))
        replies = await asyncio.gather(*map(model.reply, questions))
        assert {reply.text for reply in replies} == {"3, 0"}
        await model.close()

    asyncio.run(ask())
    # Those in flight are refused.
    refused = [body for body in endpoint.bodies[1:] if "seed" in body]
    assert len(refused) <= max_in_flight
    assert len(endpoint.bodies) <= 1 + 30 + max_in_flight
