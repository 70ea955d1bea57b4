"""What may be a fault that passes or a prompt that is refused: three requests tell, then one."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest
from endpoint_cases import UNREADY, Body
from endpoint_client import HELLO, TurningClock, client
from fake_endpoint import FakeEndpoint, Fault, is_probe, json_body, status

from autointerp.core.errors import RequestRefusedError
from autointerp.llm import ChatReply, ChatRequest, Message

FAULTS: dict[str, Fault] = {
    "409": status(409, "tämä ei käy"),
    "409_without_words": Fault(409),
    "409_of_details": json_body({"detail": [{"loc": ["body"], "msg": "nein"}]}, 409),
    "an_error_in_a_200": json_body({"error": {"message": "tämä ei käy"}}),
    "an_error_beside_choices": json_body({"choices": None, "error": {"message": "ei"}}),
    "failed": json_body({"status": "failed", "output": [], "error": None}),
    "failed_with_words": json_body({"status": "failed", "error": {"message": "ei käy"}}),
    "failed_behind_text": json_body(
        {"status": "failed", "output": [{"type": "message", "content": [{"text": "3"}]}]}
    ),
    "ended_by_an_error": json_body(
        {"choices": [{"message": {"content": ""}, "finish_reason": "error"}]}
    ),
}


def bad(n: int) -> ChatRequest:
    return replace(HELLO, messages=(Message("user", f"bad {n}"),))


def good(n: int) -> ChatRequest:
    return replace(HELLO, seed=n)


@pytest.mark.parametrize("name", FAULTS)
def test_a_prompt_that_always_fails_is_asked_thrice_and_then_once_for_the_words(
    endpoint: FakeEndpoint, name: str
) -> None:
    model = client(endpoint.base_url, TurningClock(), negotiates=True)

    async def ask() -> list[tuple[int, int]]:
        await model.reply(HELLO)
        endpoint.dress = lambda body: FAULTS[name] if "bad" in str(body) else None
        sent = []
        for n in range(4):
            before = len(endpoint.bodies), len(endpoint.probes)
            with pytest.raises(RequestRefusedError):
                await model.reply(bad(n))
            sent.append((len(endpoint.bodies) - before[0], len(endpoint.probes) - before[1]))
            assert (await model.reply(good(n))).text == "3, 0"
        await model.close()
        return sent

    first, *others = asyncio.run(ask())
    assert first[0] == 3
    assert first[1] <= 12
    # Without words it may be of anything the next time.
    assert others == [(2, 1) if name in {"409_without_words", "failed"} else (1, 0)] * 3
    assert model.features.asked_without == ()


@pytest.mark.parametrize("times", [1, 2, 3, 4])
@pytest.mark.parametrize("name", FAULTS)
def test_what_passes_is_asked_again_and_known_as_such_from_then_on(
    endpoint: FakeEndpoint, name: str, times: int
) -> None:
    model = client(endpoint.base_url, TurningClock(), negotiates=True)
    endpoint.faults_for_probes = True

    async def ask() -> list[int]:
        await model.reply(HELLO)
        sent = []
        for n in range(3):
            before = len(endpoint.bodies) + len(endpoint.probes)
            endpoint.faults.extend([FAULTS[name]] * times)
            assert (await model.reply(good(n))).text == "3, 0"
            sent.append(len(endpoint.bodies) + len(endpoint.probes) - before)
        await model.close()
        return sent

    first, *others = asyncio.run(ask())
    # A tiny question at most.
    assert first <= times + 2
    assert others == [times + 1] * 2


@pytest.mark.parametrize("name", FAULTS)
def test_two_faults_of_one_question_lose_it_not_where_tiny_ones_meet_none(
    endpoint: FakeEndpoint, name: str
) -> None:
    model = client(endpoint.base_url, TurningClock(), negotiates=True)

    async def ask() -> list[str]:
        await model.reply(HELLO)
        texts = []
        for n in range(4):
            endpoint.faults.extend([FAULTS[name]] * 2)
            texts.append((await model.reply(good(n))).text)
        await model.close()
        return texts

    assert asyncio.run(ask()) == ["3, 0"] * 4
    assert len(endpoint.probes) <= 2 + 12


@pytest.mark.parametrize("times", [1, 2, 4])
@pytest.mark.parametrize("name", UNREADY)
def test_json_that_is_no_reply_and_says_nothing_is_asked_again_once_others_were(
    endpoint: FakeEndpoint, name: str, times: int
) -> None:
    model = client(endpoint.base_url, TurningClock(), negotiates=True)

    async def ask() -> str:
        await model.reply(HELLO)
        endpoint.faults.extend([UNREADY[name]] * times)
        text = (await model.reply(good(1))).text
        await model.close()
        return text

    assert asyncio.run(ask()) == "3, 0"
    assert len(endpoint.bodies) == 1 + times + 1
    assert model.features.asked_without == ()


@pytest.mark.parametrize("share", [0.1, 0.3])
@pytest.mark.parametrize("name", FAULTS)
def test_faults_by_chance_cost_no_question(endpoint: FakeEndpoint, name: str, share: float) -> None:
    # Draws of its own for each question, so that threads do not mix them: never four in a row.
    draws = {seed: random.Random(f"9 {seed}") for seed in (None, *range(60))}
    model = client(endpoint.base_url, TurningClock(), negotiates=True, max_in_flight=2)

    def dress(body: Body) -> Fault | None:
        whose = None if is_probe(body) else body["seed"]
        return FAULTS[name] if draws[whose].random() < share else None

    async def ask() -> list[ChatReply | BaseException]:
        await model.reply(HELLO)
        endpoint.dress = dress
        asked = map(model.reply, map(good, range(60)))
        found = await asyncio.gather(*asked, return_exceptions=True)
        await model.close()
        return found

    assert {getattr(one, "text", one) for one in asyncio.run(ask())} == {"3, 0"}
    assert model.features.asked_without == ()


@pytest.mark.parametrize("code", [401, 402, 407])
@pytest.mark.parametrize("words", ["ach", "Incorrect API key provided", ""])
def test_a_filter_in_the_status_of_a_key_costs_two_more_questions_once(
    endpoint: FakeEndpoint, code: int, words: str
) -> None:
    model = client(endpoint.base_url, TurningClock(), negotiates=True)
    fault = status(code, words) if words else Fault(code)

    async def ask() -> list[int]:
        await model.reply(HELLO)
        endpoint.dress = lambda body: fault if "bad" in str(body) else None
        sent = []
        for n in range(4):
            before = len(endpoint.bodies)
            with pytest.raises(RequestRefusedError):
                await model.reply(bad(n))
            sent.append(len(endpoint.bodies) - before)
            assert (await model.reply(good(n))).text == "3, 0"
        await model.close()
        return sent

    assert asyncio.run(ask()) == [3, 1, 1, 1]
    # Without words a look is needed each time.
    assert len(endpoint.probes) <= 2 + 12 + (0 if words else 3)
