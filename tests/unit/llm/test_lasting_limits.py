"""A limit without a delay: a quota that is used up stops at once, a rate limit is waited for."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from endpoint_cases import BARE, UNKNOWN_WORDS, USED_UP
from endpoint_client import HELLO, TurningClock, client, failure, run
from fake_endpoint import FakeEndpoint, Fault, status

from autointerp.core.errors import RequestRefusedError, UpstreamError
from autointerp.llm import ChatReply, OpenAICompatible


def used_up(name: str) -> Fault:
    words, made = USED_UP[name]
    return made(words)


@pytest.mark.parametrize("negotiates", [True, False])
@pytest.mark.parametrize("name", USED_UP)
def test_a_quota_that_is_used_up_stops_at_once_with_the_words_of_the_service(
    endpoint: FakeEndpoint, name: str, negotiates: bool
) -> None:
    world = TurningClock()
    endpoint.dress = lambda _: used_up(name)
    error = failure(lambda: run(client(endpoint.base_url, world, negotiates=negotiates), HELLO))
    assert not error.retryable
    assert not isinstance(error, RequestRefusedError)
    assert USED_UP[name][0] in str(error)
    assert len(endpoint.bodies) + len(endpoint.probes) == 3
    assert sum(world.slept) == 6


@pytest.mark.parametrize("status_of", [400, 403, 422, 500])
def test_it_stops_at_once_with_any_other_status(endpoint: FakeEndpoint, status_of: int) -> None:
    world = TurningClock()
    endpoint.dress = lambda _: status(status_of, "Kiintiö on käytetty loppuun")
    error = failure(lambda: run(client(endpoint.base_url, world, negotiates=True), HELLO))
    assert not isinstance(error, RequestRefusedError)
    assert "Kiintiö on käytetty loppuun" in str(error)
    assert len(endpoint.bodies) + len(endpoint.probes) <= 4
    assert sum(world.slept) <= 2


def outcomes(
    endpoint: FakeEndpoint, model: OpenAICompatible, fault: Fault, n: int
) -> list[ChatReply | BaseException]:
    """What comes of so many questions at once, once the endpoint has answered one well."""

    async def ask() -> list[ChatReply | BaseException]:
        await model.reply(HELLO)
        endpoint.dress = lambda _: fault
        asked = (model.reply(replace(HELLO, seed=seed)) for seed in range(n))
        found = await asyncio.gather(*asked, return_exceptions=True)
        endpoint.dress = lambda _: None
        assert (await model.reply(HELLO)).text == "3, 0"
        await model.close()
        return found

    return asyncio.run(ask())


@pytest.mark.parametrize("name", USED_UP)
def test_in_the_midst_of_a_run_few_questions_look_whether_it_lasts(
    endpoint: FakeEndpoint, name: str
) -> None:
    world = TurningClock()
    model = client(endpoint.base_url, world, negotiates=True, max_in_flight=4)
    found = outcomes(endpoint, model, used_up(name), 20)
    assert {type(one) for one in found} == {UpstreamError}
    assert {USED_UP[name][0] in str(one) for one in found} == {True}
    # Those in flight, and a tiny one and four that wait over a minute, or two tiny ones over 6 s
    # where the words say that it lasts; the first and the last were answered.
    is_unknown = name in UNKNOWN_WORDS
    assert len(endpoint.bodies) <= 1 + 4 + (4 if is_unknown else 0) + 1
    assert len(endpoint.probes) <= 2 + (1 if is_unknown else 2)
    assert sum(world.slept) == (60 if name in UNKNOWN_WORDS else 6)


@pytest.mark.parametrize("code", [400, 403, 422])
def test_in_the_midst_of_a_run_any_other_status_stops_it_after_tiny_questions(
    endpoint: FakeEndpoint, code: int
) -> None:
    model = client(endpoint.base_url, TurningClock(), negotiates=True, max_in_flight=4)
    found = outcomes(endpoint, model, status(code, "Guthaben ist aufgebraucht"), 1)
    assert {type(one) for one in found} == {UpstreamError}
    assert "Guthaben ist aufgebraucht" in str(found[0])
    assert len(endpoint.bodies) == 1 + 1 + 1
    # One of several servers may refuse, so it is looked whether all do.
    assert len(endpoint.probes) <= 2 + (10 if code == 403 else 13)


@pytest.mark.parametrize("name", USED_UP)
@pytest.mark.parametrize("n_limited", [1, 2])
def test_a_limit_that_passes_soon_is_waited_for_from_the_first_question_on(
    endpoint: FakeEndpoint, name: str, n_limited: int
) -> None:
    world = TurningClock()
    endpoint.faults.extend([used_up(name)] * n_limited)
    endpoint.faults_for_probes = True
    assert run(client(endpoint.base_url, world, negotiates=True), HELLO).text == "3, 0"
    assert world.slept


@pytest.mark.parametrize("name", BARE)
@pytest.mark.parametrize("n_limited", [1, 3, 4])
@pytest.mark.parametrize("negotiates", [True, False])
def test_what_is_only_called_a_rate_limit_is_waited_for(
    endpoint: FakeEndpoint, name: str, n_limited: int, negotiates: bool
) -> None:
    world = TurningClock()
    endpoint.faults.extend([BARE[name]] * n_limited)
    endpoint.faults_for_probes = True
    assert run(client(endpoint.base_url, world, negotiates=negotiates), HELLO).text == "3, 0"
    assert len(world.slept) == n_limited


@pytest.mark.parametrize("within_s", [5, 20, 59])
@pytest.mark.parametrize("n", [1, 12])
def test_a_rate_that_is_counted_by_the_minute_and_told_by_words_alone_loses_no_question(
    endpoint: FakeEndpoint, within_s: float, n: int
) -> None:
    world, moments = TurningClock(), []

    def dress(_: object) -> Fault | None:
        recent = [moment for moment in moments if world.now - moment < within_s]
        if len(recent) >= 8:
            return status(429, "Liian monta pyyntöä")
        moments.append(world.now)
        return None

    endpoint.dress = dress
    model = client(endpoint.base_url, world, negotiates=True, max_in_flight=4)
    asked = [replace(HELLO, seed=seed) for seed in range(n)]
    assert run(model, *asked, *asked).text == "3, 0"


def test_a_limit_on_long_questions_alone_is_none_on_the_account(endpoint: FakeEndpoint) -> None:
    endpoint.faults.extend([status(429, "liian pitkä")] * 3)
    assert run(client(endpoint.base_url, TurningClock()), HELLO).text == "3, 0"
    # One tiny question was answered, and then it was the question.
    assert (len(endpoint.bodies), len(endpoint.probes)) == (4, 1)


def ask_anew(endpoint: FakeEndpoint, world: TurningClock, capabilities: Path) -> str:
    """The answer to one question, by a client that has asked nothing before."""
    made = client(endpoint.base_url, world, negotiates=True, capabilities=capabilities)
    return run(made, HELLO).text


@pytest.mark.parametrize("n_limited", [3, 4, 5])
def test_a_passing_limit_at_the_start_is_waited_for_where_an_earlier_process_was_answered(
    endpoint: FakeEndpoint, tmp_path: Path, n_limited: int
) -> None:
    ask_anew(endpoint, TurningClock(), tmp_path)
    endpoint.faults.extend([status(429, "Rate limit reached, please slow down")] * n_limited)
    endpoint.faults_for_probes = True
    assert ask_anew(endpoint, TurningClock(), tmp_path) == "3, 0"


@pytest.mark.parametrize("name", USED_UP)
def test_what_lasts_may_pass_later_where_an_earlier_process_was_answered_and_no_word_denies_it(
    endpoint: FakeEndpoint, tmp_path: Path, name: str
) -> None:
    ask_anew(endpoint, TurningClock(), tmp_path)
    n_before, world = len(endpoint.bodies) + len(endpoint.probes), TurningClock()
    endpoint.dress = lambda _: used_up(name)
    error = failure(lambda: ask_anew(endpoint, world, tmp_path))
    assert error.retryable == (name in UNKNOWN_WORDS)
    assert USED_UP[name][0] in str(error)
    n_sent = len(endpoint.bodies) + len(endpoint.probes) - n_before
    assert n_sent == (6 if name in UNKNOWN_WORDS else 3)
    assert sum(world.slept) == (60 if name in UNKNOWN_WORDS else 6)
