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
    "401": status(401, "ach"),
    "402": status(402, "Diese Option ist in Ihrem Tarif nicht enthalten"),
    "403": status(403, "ach"),
    "407_without_words": Fault(407),
    "400_of_a_key": status(400, "ach", code="invalid_api_key"),
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

OF_AN_OPTION = {
    "400": (status(400, "ach"), 0),
    "401": (status(401, "ach"), 1),
    "402": (status(402, "Not in your plan: upgrade"), 1),
    "403": (status(403, "ach"), 1),
    "418": (status(418, "nein"), 0),
    "422": (Fault(422), 0),
    "500": (status(500, "ach"), 3),
    "503": (status(503, "ach"), 3),
    "503_page": (html(503), 3),
    "529": (Fault(529), 3),
    "cut": (hang_up(), 3),
    "page": (html(), 3),
}
"""What refuses an option, and how many more than those in flight are sent before that is told."""


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


@pytest.mark.parametrize("fault", OF_AN_OPTION)
@pytest.mark.parametrize("max_in_flight", [1, 4])
def test_questions_that_wait_for_their_turn_take_the_form_that_was_learnt_meanwhile(
    endpoint: FakeEndpoint, fault: str, max_in_flight: int
) -> None:
    made, n_more = OF_AN_OPTION[fault]
    model = client(endpoint, TurningClock(), max_in_flight=max_in_flight)

    async def ask() -> None:
        await model.reply(WHOLE)
        endpoint.dress = lambda body: made if "seed" in body else None
        questions = (replace(WHOLE, seed=seed) for seed in range(30))
        replies = await asyncio.gather(*map(model.reply, questions))
        assert {reply.text for reply in replies} == {"3, 0"}
        await model.close()

    asyncio.run(ask())
    # Those in flight are refused; what may pass is asked three times before it is looked into.
    refused = [body for body in endpoint.bodies[1:] if "seed" in body]
    assert len(refused) <= max_in_flight + n_more
    assert len(endpoint.bodies) <= 1 + 30 + max_in_flight + n_more
    assert len(endpoint.probes) <= 10 + 13
    assert model.features.asked_without == ("seed",)


@pytest.mark.parametrize("code", [401, 402, 403])
def test_a_key_that_is_revoked_in_the_words_of_a_refused_option_stops_a_run(
    endpoint: FakeEndpoint, code: int
) -> None:
    model = client(endpoint, TurningClock(), max_in_flight=4)

    async def ask() -> list[object]:
        await model.reply(WHOLE)
        endpoint.dress = lambda body: status(code, "ach") if "seed" in body else None
        assert (await model.reply(WHOLE)).text == "3, 0"
        n_before = len(endpoint.bodies) + len(endpoint.probes)
        endpoint.dress = lambda _: status(code, "ach")
        questions = (replace(WHOLE, seed=seed) for seed in range(30))
        found = await asyncio.gather(*map(model.reply, questions), return_exceptions=True)
        assert len(endpoint.bodies) + len(endpoint.probes) - n_before <= 4 + 20
        await model.close()
        return list(found)

    found = asyncio.run(ask())
    assert {type(one) for one in found} == {UpstreamError}
    assert all("it says: ach" in str(one) for one in found)


@pytest.mark.parametrize("code", [401, 402, 407])
def test_a_key_that_is_revoked_while_options_are_found_out_stops_at_once(
    endpoint: FakeEndpoint, code: int
) -> None:
    n_sent = iter(range(10**9))
    endpoint.dress = lambda _: status(code, "ach") if next(n_sent) else None
    model = client(endpoint, TurningClock())
    with pytest.raises(UpstreamError, match="it says: ach"):
        asyncio.run(model.reply(WHOLE))
    assert not endpoint.bodies
    assert len(endpoint.probes) <= MOST_PROBES
