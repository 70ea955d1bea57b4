"""An endpoint is asked what it takes, and no refusal's words or status decide."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from endpoint_cases import (
    LIMITING,
    REFUSING,
    Refusing,
    has,
    has_array_schema,
    has_system,
    lacks_limit,
    limit_below,
)
from endpoint_client import HELLO, Clockwork, TurningClock, run
from endpoint_client import client as any_client
from fake_endpoint import FakeEndpoint, Fault, html, json_body, status

from autointerp.core.errors import RequestRefusedError, UpstreamError
from autointerp.llm import ChatRequest, JsonSchema, Message, OpenAICompatible
from autointerp.llm.capabilities import LIMITS, PROBE_TOKENS
from autointerp.llm.negotiation import MOST_PROBES

SCHEMA = JsonSchema("levels", '{"type": "array"}')
TURNS = (Message("system", "be brief; write JSON"), Message("user", "rate"))
WHOLE = ChatRequest(TURNS, 9, 0.7, 5, (), SCHEMA, None, 20)


def client(base_url: str, world: Clockwork, **more: object) -> OpenAICompatible:
    return any_client(base_url, world, negotiates=True, **more)


@pytest.mark.parametrize("case", REFUSING, ids=lambda case: case.name)
def test_what_is_refused_is_found_out_before_the_first_question(
    endpoint: FakeEndpoint, world: Clockwork, case: Refusing
) -> None:
    case.dress(endpoint)
    model = client(endpoint.base_url, world)
    assert run(model, WHOLE).text == "3, 0"
    # Only a question has room to tell a limit that is too small from one that is not taken.
    takes_limits = "token limit" not in case.without
    assert len(endpoint.bodies) == (1 if takes_limits else 2)
    assert has(*LIMITS)(endpoint.bodies[-1]) == takes_limits
    assert len(endpoint.probes) <= MOST_PROBES
    assert model.features.asked_without == case.without
    assert world.slept == []


@pytest.mark.parametrize("case", LIMITING, ids=lambda case: case.name)
def test_an_option_that_is_told_of_a_rate_limit_for_ever_is_left_out(
    endpoint: FakeEndpoint, world: Clockwork, case: Refusing
) -> None:
    case.dress(endpoint)
    model = client(endpoint.base_url, world)
    assert run(model, WHOLE).text == "3, 0"
    assert model.features.asked_without == case.without
    assert len(endpoint.bodies) == 1
    assert len(endpoint.probes) <= MOST_PROBES


def test_an_option_with_a_rate_limit_is_left_out_where_a_limit_of_tokens_is_required(
    endpoint: FakeEndpoint, world: Clockwork
) -> None:
    def dress(body: dict[str, object]) -> Fault | None:
        return status(400, "?") if lacks_limit(body) else Fault(429) if "seed" in body else None

    endpoint.dress = dress
    model = client(endpoint.base_url, world)
    assert run(model, WHOLE).text == "3, 0"
    assert model.features.asked_without == ("seed",)


@pytest.mark.parametrize("n_limited", [1, 2, 4, 6])
def test_a_rate_limit_during_negotiation_is_waited_for(
    endpoint: FakeEndpoint, world: Clockwork, n_limited: int
) -> None:
    seen: list[object] = []

    def dress(body: dict[str, object]) -> Fault | None:
        seen.append(body)
        return status(429, "slow down") if 1 < len(seen) < 2 + n_limited else None

    endpoint.dress = dress
    model = client(endpoint.base_url, world)
    assert run(model, WHOLE).text == "3, 0"
    assert model.features.asked_without == ()
    assert world.slept


@pytest.mark.parametrize(("most", "within_s"), [(1, 1), (1, 3), (2, 5), (3, 60)])
@pytest.mark.parametrize("bad", [None, "seed", "logprobs"])
def test_a_rate_limit_that_is_real_costs_no_option(
    endpoint: FakeEndpoint, most: int, within_s: float, bad: str | None
) -> None:
    world, moments = TurningClock(), []

    def dress(body: dict[str, object]) -> Fault | None:
        recent = [moment for moment in moments if world.now - moment < within_s]
        if len(recent) >= most:
            wait = f"{recent[0] + within_s - world.now + 0.01:.2f}"
            return status(429, "slow", headers={"Retry-After": wait})
        moments.append(world.now)
        return status(400, "no") if bad in body else None

    endpoint.dress = dress
    model = client(endpoint.base_url, world)
    assert run(model, WHOLE).text == "3, 0"
    told = {"seed": ("seed",), "logprobs": ("log-probabilities",)}
    assert model.features.asked_without == told.get(bad or "", ())
    # Those that were taken or refused for what they are: as many as without a rate limit.
    assert len(moments) <= MOST_PROBES + 3


def test_the_first_request_is_the_plainest_and_the_second_has_everything(
    endpoint: FakeEndpoint, world: Clockwork
) -> None:
    run(client(endpoint.base_url, world), HELLO)
    plain, whole = endpoint.probes
    assert plain.keys() == {"model", "messages"}
    assert [message["role"] for message in plain["messages"]] == ["user"]
    assert whole["max_tokens"] == PROBE_TOKENS
    assert {"temperature", "seed", "response_format", "logprobs"} <= whole.keys()


@pytest.mark.parametrize(
    ("fault", "n_probes"),
    [
        # Some services refuse what has no limit, and do not say so: both of its names are tried.
        (status(400, "Schlüssel ungültig"), 1 + len(LIMITS)),
        (status(422, "nein"), 1 + len(LIMITS)),
        (status(400, "Schlüssel ungültig", code="invalid_api_key"), 1),
        (status(400, "Schlüssel ungültig", code="model_not_found"), 1),
        (status(400, "Schlüssel ungültig", code="billing_hard_limit_reached"), 1),
        (Fault(403), 1),
        (html(404), 1),
    ],
)
def test_the_words_for_the_plainest_request_are_the_answer(
    endpoint: FakeEndpoint, world: Clockwork, fault: Fault, n_probes: int
) -> None:
    endpoint.dress = lambda _: fault
    with pytest.raises(UpstreamError) as caught:
        run(client(endpoint.base_url, world), HELLO)
    assert not caught.value.retryable
    assert not isinstance(caught.value, RequestRefusedError)
    assert "Schlüssel ungültig" in str(caught.value) or fault.status != 400
    assert (len(endpoint.probes), endpoint.bodies) == (n_probes, [])


@pytest.mark.parametrize("code", [409, 503])
def test_a_passing_fault_while_an_option_is_tried_is_no_refusal(
    endpoint: FakeEndpoint, world: Clockwork, code: int
) -> None:
    seen: list[dict[str, object]] = []

    def dress(body: dict[str, object]) -> Fault | None:
        seen.append(body)
        # All options at once, and the temperature for the first time.
        return status(code, "busy") if len(seen) in {2, 5} else None

    endpoint.dress = dress
    model = client(endpoint.base_url, world)
    assert run(model, WHOLE).text == "3, 0"
    assert model.features.asked_without == ()
    assert len(endpoint.probes) <= MOST_PROBES


def test_an_outage_during_negotiation_is_waited_for(
    endpoint: FakeEndpoint, world: Clockwork
) -> None:
    endpoint.dress = lambda _: Fault(503) if 1 < len(endpoint.probes) < 5 else None
    model = client(endpoint.base_url, world)
    assert run(model, WHOLE).text == "3, 0"
    assert model.features.asked_without == ()
    assert len(world.slept) == 2


def test_calls_that_wait_share_what_the_first_finds_out(
    endpoint: FakeEndpoint, world: Clockwork
) -> None:
    endpoint.dress = lambda _: status(401)
    model = client(endpoint.base_url, world)

    async def ask() -> list[BaseException]:
        calls = (model.reply(replace(HELLO, seed=seed)) for seed in range(6))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        await model.close()
        return [outcome for outcome in outcomes if isinstance(outcome, UpstreamError)]

    assert len(asyncio.run(ask())) == 6
    assert len(endpoint.probes) == 1


@pytest.mark.parametrize("code", [400, 403, 404, 422, 500])
def test_an_option_that_is_refused_from_some_moment_on_loses_no_question(
    endpoint: FakeEndpoint, world: Clockwork, code: int
) -> None:
    model = client(endpoint.base_url, world)

    async def ask() -> None:
        await model.reply(WHOLE)
        endpoint.dress = lambda body: status(code, "ach") if "temperature" in body else None
        n_before = len(endpoint.probes)
        replies = [await model.reply(replace(WHOLE, seed=seed)) for seed in range(3)]
        assert [reply.text for reply in replies] == ["3, 0"] * 3
        # One tiny request tells that the options are what is refused, and then they are sorted.
        assert len(endpoint.probes) - n_before <= MOST_PROBES + 1
        await model.close()

    asyncio.run(ask())
    assert model.features.asked_without == ("temperature",)
    assert ["seed" in body for body in endpoint.bodies[-3:]] == [False, True, True]
    assert "temperature" not in endpoint.bodies[-1]


@pytest.mark.parametrize("limit", LIMITS)
def test_an_option_refused_midway_loses_no_question_where_a_limit_is_required(
    endpoint: FakeEndpoint, world: Clockwork, limit: str
) -> None:
    model = client(endpoint.base_url, world)
    refused: list[str] = []

    def dress(body: dict[str, object]) -> Fault | None:
        bad = limit not in body or len({*LIMITS} & body.keys()) > 1 or has(*refused)(body)
        return status(400, "nein") if bad else None

    async def ask() -> None:
        endpoint.dress = dress
        await model.reply(WHOLE)
        refused.append("temperature")
        replies = [await model.reply(replace(WHOLE, seed=seed)) for seed in range(3)]
        assert [reply.text for reply in replies] == ["3, 0"] * 3
        await model.close()

    asyncio.run(ask())
    assert model.features.asked_without == ("temperature",)
    assert limit in endpoint.bodies[-1]


@pytest.mark.parametrize("error", ["temperature?", {"message": "не поддерживается"}])
def test_an_option_that_is_refused_in_a_200_from_some_moment_on_loses_no_question(
    endpoint: FakeEndpoint, world: Clockwork, error: object
) -> None:
    model = client(endpoint.base_url, world)
    refused = json_body({"error": error})

    async def ask() -> None:
        await model.reply(WHOLE)
        endpoint.dress = lambda body: refused if "temperature" in body else None
        replies = [await model.reply(replace(WHOLE, seed=seed)) for seed in range(3)]
        assert [reply.text for reply in replies] == ["3, 0"] * 3
        await model.close()

    asyncio.run(ask())
    assert model.features.asked_without == ("temperature",)


def test_a_limit_that_is_too_small_for_the_endpoint_loses_no_question(
    endpoint: FakeEndpoint, world: Clockwork
) -> None:
    endpoint.dress = lambda body: status(400, "min 16") if limit_below(16)(body) else None
    model = client(endpoint.base_url, world)
    assert run(model, WHOLE).text == "3, 0"
    assert run(client(endpoint.base_url, world), replace(WHOLE, max_tokens=1)).text == "3, 0"


def test_an_option_that_only_questions_have_is_found_out_with_the_question(
    endpoint: FakeEndpoint, world: Clockwork
) -> None:
    endpoint.dress = lambda body: status(400, "nein") if "stop" in body else None
    model = client(endpoint.base_url, world)
    assert run(model, replace(WHOLE, stop=("\n",))).text == "3, 0"
    assert model.features.asked_without == ("stop",)


def test_a_schema_that_goes_too_far_is_left_out(endpoint: FakeEndpoint, world: Clockwork) -> None:
    endpoint.dress = lambda body: status(400, "nein") if has_array_schema(body) else None
    model = client(endpoint.base_url, world)
    assert run(model, WHOLE).text == "3, 0"
    assert model.features.asked_without == ("JSON schema",)


@pytest.mark.parametrize("code", [400, 403, 422, 451])
def test_a_question_that_is_refused_for_its_words_is_refused_alone(
    endpoint: FakeEndpoint, world: Clockwork, code: int
) -> None:
    model = client(endpoint.base_url, world)
    endpoint.dress = lambda body: status(code, "no") if "bomb" in str(body) else None
    bad = replace(WHOLE, messages=(Message("user", "bomb"),))

    async def ask() -> None:
        with pytest.raises(RequestRefusedError, match="no"):
            await model.reply(bad)
        await model.reply(WHOLE)
        await model.close()

    asyncio.run(ask())
    # The bad one in its plain form too, as one of several servers may lack an option.
    assert [str(body).count("bomb") for body in endpoint.bodies][-1] == 0
    assert len(endpoint.bodies) == (2 if code == 451 else 3)
    assert model.features.asked_without == ()


@pytest.mark.parametrize("code", [400, 403, 404, 422])
def test_an_endpoint_that_refuses_all_by_now_is_not_a_refused_question(
    endpoint: FakeEndpoint, world: Clockwork, code: int
) -> None:
    model = client(endpoint.base_url, world)

    async def ask() -> None:
        await model.reply(WHOLE)
        endpoint.dress = lambda _: status(code, "gesperrt")
        with pytest.raises(UpstreamError, match="gesperrt") as caught:
            await model.reply(HELLO)
        assert not isinstance(caught.value, RequestRefusedError)
        await model.close()

    asyncio.run(ask())


UNPAID = (
    status(402, "Guthaben aufgebraucht"),
    status(429, "Kontingent", code="insufficient_quota"),
    status(403, "pay first", code="billing_not_active"),
    json_body({"error": {"code": 402, "message": "no credits"}}),
    status(400, "API key not valid", details=[{"code": "API_KEY_INVALID"}], code="invalid_key"),
)


@pytest.mark.parametrize("fault", UNPAID)
def test_an_account_without_credit_stops_all_at_once(
    endpoint: FakeEndpoint, world: Clockwork, fault: Fault
) -> None:
    model = client(endpoint.base_url, world)

    async def ask() -> UpstreamError:
        await model.reply(HELLO)
        endpoint.dress = lambda _: fault
        with pytest.raises(UpstreamError) as caught:
            await model.reply(HELLO)
        await model.close()
        return caught.value

    error = asyncio.run(ask())
    assert not isinstance(error, RequestRefusedError)
    assert not error.retryable
    assert len(endpoint.bodies) == 1 + 1
    assert len(endpoint.probes) <= 2 + 10


@pytest.mark.parametrize("fault", UNPAID)
def test_an_account_without_credit_is_asked_once_where_nothing_was_answered(
    endpoint: FakeEndpoint, world: Clockwork, fault: Fault
) -> None:
    endpoint.dress = lambda _: fault
    with pytest.raises(UpstreamError) as caught:
        run(client(endpoint.base_url, world), HELLO)
    assert not isinstance(caught.value, RequestRefusedError)
    assert not caught.value.retryable
    assert len(endpoint.bodies) + len(endpoint.probes) == 1


def test_the_next_process_asks_nothing(
    endpoint: FakeEndpoint, tmp_path: Path, world: Clockwork
) -> None:
    endpoint.dress = lambda body: status(400) if has_system(body) or has("seed")(body) else None
    for _ in range(2):
        model = client(endpoint.base_url, world, capabilities=tmp_path)
        run(model, WHOLE)
        assert model.features.asked_without == ("seed", "system role")
    assert len(endpoint.bodies) == 2
    n_probes = len(endpoint.probes)
    run(client(endpoint.base_url, world, capabilities=tmp_path), WHOLE)
    assert len(endpoint.probes) == n_probes


def test_turns_alternate_where_there_is_no_system_role(
    endpoint: FakeEndpoint, world: Clockwork
) -> None:
    endpoint.dress = lambda body: status(400) if has_system(body) else None
    again = (*TURNS, Message("assistant", "x"), Message("user", "again"))
    run(client(endpoint.base_url, world), replace(WHOLE, messages=again))
    assert endpoint.bodies[0]["messages"] == [
        {"role": "user", "content": "be brief; write JSON\n\nrate"},
        {"role": "assistant", "content": "x"},
        {"role": "user", "content": "again"},
    ]


def test_a_limit_that_leaves_room_to_reason_is_found(
    endpoint: FakeEndpoint, world: Clockwork
) -> None:
    endpoint.dress = lambda body: status(400, "?") if limit_below(4000)(body) else None
    run(client(endpoint.base_url, world), WHOLE)
    assert endpoint.bodies[0]["max_tokens"] == 9 + 4096


def test_calls_in_flight_learn_once(endpoint: FakeEndpoint, world: Clockwork) -> None:
    model = client(endpoint.base_url, world, max_in_flight=8)

    async def ask() -> None:
        await model.reply(WHOLE)
        endpoint.dress = lambda body: status(400, "x") if "seed" in body else None
        n_before = len(endpoint.probes)
        await asyncio.gather(*(model.reply(replace(WHOLE, seed=seed)) for seed in range(6)))
        assert len(endpoint.probes) - n_before <= MOST_PROBES + 1
        await model.close()

    asyncio.run(ask())
    assert model.features.asked_without == ("seed",)
