"""What first use costs at most, and that what passes meanwhile switches nothing off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from endpoint_cases import (
    ANSWERING,
    BARE,
    FAILING,
    FILTERING,
    IN_DRESS,
    LASTING,
    LIMITING,
    RATES,
    REFUSING,
    SERVICES,
    STARVING,
    TOO_LONG,
    TOO_LONG_IN_ANY_WORDS,
    USED_UP,
    Body,
)
from endpoint_client import TurningClock, client
from fake_endpoint import FakeEndpoint, Fault, hang_up, html, is_probe, json_body, status

from autointerp.llm import ChatReply, ChatRequest, JsonSchema, Message, OpenAICompatible
from autointerp.llm.capabilities import LIMITS, PROBE_TOKENS
from autointerp.llm.negotiation import MOST_PROBES

TURNS = (Message("system", "be brief; write JSON"), Message("user", "rate"))
WHOLE = ChatRequest(TURNS, 9, 0.7, 5, (), JsonSchema("levels", '{"type": "array"}'), None, 20)
Dress = Callable[[FakeEndpoint], object]


def always(fault: Fault) -> Dress:
    return lambda endpoint: setattr(endpoint, "dress", lambda _: fault)


def at_first(fault: Fault, times: int) -> Dress:
    def dress(endpoint: FakeEndpoint) -> None:
        endpoint.faults_for_probes = True
        endpoint.faults.extend([fault] * times)

    return dress


ALWAYS: dict[str, Fault] = {
    **{case.name: case.fault for case in (*FAILING, *FILTERING)},
    **{name: made(words) for name, (words, made) in USED_UP.items()},
    **{name: IN_DRESS["chat"](429, words, "error") for name, words in LASTING.items()},
    **RATES,
    **BARE,
    **STARVING,
    **{name: fault for name, (fault, _) in TOO_LONG.items()},
    **TOO_LONG_IN_ANY_WORDS,
}
ROWS: dict[str, Dress] = {
    **{case.name: case.dress for case in (*REFUSING, *LIMITING, *ANSWERING, *SERVICES)},
    **{f"always_{name}": always(fault) for name, fault in ALWAYS.items()},
    **{f"at_first_{name}": at_first(fault, 3) for name, fault in ALWAYS.items()},
}


async def asked(model: OpenAICompatible) -> ChatReply | BaseException:
    [found] = await asyncio.gather(model.reply(WHOLE), return_exceptions=True)
    await model.close()
    return found


@pytest.mark.parametrize("name", ROWS)
def test_first_use_takes_at_most_ten_requests_of_twenty_tokens(
    endpoint: FakeEndpoint, name: str
) -> None:
    typed = ROWS[name](endpoint)
    dress, before = endpoint.dress, list[list[Body]]()

    def noted(body: Body) -> Fault | None:
        if not (before or is_probe(body)):
            before.append([*endpoint.probes])
        return dress(body)

    endpoint.dress = noted
    url = typed if isinstance(typed, str) else endpoint.base_url
    headers = {service.name: service.headers for service in SERVICES}.get(name, "")
    asyncio.run(asked(client(url, TurningClock(), negotiates=True, headers=headers)))
    [first] = before or [endpoint.probes]
    assert 1 <= len(first) <= MOST_PROBES
    limits = [body[limit] for body in first for limit in LIMITS if limit in body]
    assert all(limit <= PROBE_TOKENS for limit in limits)


AWAY = {
    "500": status(500, "ach"),
    "503": status(503, "ach"),
    "cut": hang_up(),
    "page_502": html(502),
    "429_with_a_wait": status(429, "ach", headers={"Retry-After": "7"}),
    "429_until_a_reset": status(
        429,
        "ach",
        headers={"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20s"},
    ),
}


def away_from(
    endpoint: FakeEndpoint, world: TurningClock, fault: Fault, begin: int, seconds: float
) -> None:
    """Has all fail for a time from this request on, and the seed refused always."""
    seen, until = list[Body](), list[float]()

    def dress(body: Body) -> Fault | None:
        seen.append(body)
        if len(seen) == begin:
            until.append(world.now + seconds)
        if until and world.now < until[0]:
            return fault
        return status(400, "nein") if "seed" in body else None

    endpoint.dress = dress


@pytest.mark.parametrize("begin", [2, 3, 5])
@pytest.mark.parametrize("name", AWAY)
def test_an_outage_that_begins_meanwhile_switches_no_option_off(
    endpoint: FakeEndpoint, tmp_path: Path, name: str, begin: int
) -> None:
    world = TurningClock()
    away_from(endpoint, world, AWAY[name], begin, 3 if name == "500" else 20)
    for _ in range(2):
        model = client(endpoint.base_url, world, negotiates=True, capabilities=tmp_path)
        assert getattr(asyncio.run(asked(model)), "text", None) == "3, 0"
        assert model.features.asked_without == ("seed",)


@pytest.mark.parametrize("fault", [status(409, "ach"), json_body({"error": {"message": "ach"}})])
@pytest.mark.parametrize("times", [1, 2, 3, 4])
def test_faults_that_pass_while_options_are_tried_switch_none_off(
    endpoint: FakeEndpoint, fault: Fault, times: int
) -> None:
    seen: list[Body] = []

    def dress(body: Body) -> Fault | None:
        seen.append(body)
        return fault if 2 <= len(seen) < 2 + times else None

    endpoint.dress = dress
    model = client(endpoint.base_url, TurningClock(), negotiates=True)
    assert getattr(asyncio.run(asked(model)), "text", None) == "3, 0"
    assert model.features.asked_without == ()


def test_what_an_outage_left_untold_is_asked_again_by_the_next_process(
    endpoint: FakeEndpoint, tmp_path: Path
) -> None:
    world, n_sent = TurningClock(), iter(range(10**9))
    until = world.now + 60
    endpoint.dress = lambda _: status(503) if next(n_sent) and world.now < until else None
    model = client(endpoint.base_url, world, negotiates=True, capabilities=tmp_path)
    assert getattr(asyncio.run(asked(model)), "text", None) == "3, 0"
    assert list(tmp_path.iterdir()) == []
    n_before = len(endpoint.probes)
    model = client(endpoint.base_url, world, negotiates=True, capabilities=tmp_path)
    asyncio.run(asked(model))
    assert len(endpoint.probes) == n_before + 2


@pytest.mark.parametrize("takes_wide", [True, False])
def test_what_only_a_question_can_tell_of_limits_is_kept_without_one(
    endpoint: FakeEndpoint, tmp_path: Path, takes_wide: bool
) -> None:
    """As after ``doctor``, which asks none."""

    def dress(body: Body) -> Fault | None:
        limit = body.get("max_tokens") or body.get("max_completion_tokens")
        return status(422, "?") if limit and (limit < 4_000 or not takes_wide) else None

    async def prepare(model: OpenAICompatible) -> None:
        await model.prepare()
        await model.close()

    endpoint.dress = dress
    world = TurningClock()
    made = partial(client, endpoint.base_url, world, negotiates=True, capabilities=tmp_path)
    asyncio.run(prepare(made()))
    n_before = len(endpoint.probes)
    model = made()
    assert getattr(asyncio.run(asked(model)), "text", None) == "3, 0"
    assert model.features.asked_without == (() if takes_wide else ("token limit",))
    assert len(endpoint.probes) == n_before if takes_wide else n_before < len(endpoint.probes)
