"""What goes wrong at an endpoint: asked again or not, and what is said of it."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import replace

import pytest
from endpoint_client import HELLO, KEY, Ask, Clockwork, TurningClock, client, failure, run
from fake_endpoint import (
    FakeEndpoint,
    Fault,
    cut,
    hang_up,
    html,
    json_body,
    slow,
    status,
)

from autointerp.core.errors import RequestFailedError, RequestRefusedError, UpstreamError
from autointerp.llm import ClientDependencies, ClientOptions, OpenAICompatible


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (status(401, f"Incorrect key {KEY}"), "answered 401: it does not accept the API key; set "),
        (status(402, "pay"), "answered 402: the account has no credit left"),
        (status(403, f"no {KEY}"), "403: the API key may not use model 'fake'"),
        (status(413), "answered 413: the request is larger than it takes"),
        (status(422, "bad body"), "answered 422: it does not understand the request"),
        (status(429, "pay", code="insufficient_quota"), "429: the account has no credit left"),
        (status(418), "answered 418: check AUTOINTERP_LLM_BASE_URL"),
        (Fault(302, headers={"Location": "http://other/v1"}), "answered 302, a redirect"),
    ],
)
def test_what_no_repetition_mends_is_asked_once(
    endpoint: FakeEndpoint, ask: Ask, fault: Fault, said: str
) -> None:
    endpoint.faults.append(fault)
    error = failure(ask)
    assert f"{endpoint.base_url} answered" in str(error)
    assert said in str(error)
    assert not error.retryable
    assert len(endpoint.bodies) == 1


@pytest.mark.parametrize(
    "code",
    [
        *(408, 409, 420, 425, 430, 444, 449, 460, 498, 499, 500, 501, 502, 503, 504, 507, 508),
        *(509, 511, 520, 521, 522, 523, 524, 525, 526, 527, 529, 530, 540, 561, 598, 599),
    ],
)
def test_a_status_of_what_passes_costs_no_question(endpoint: FakeEndpoint, code: int) -> None:
    endpoint.faults.extend([status(code, "hetki")] * 3)
    endpoint.faults_for_probes = True
    assert run(client(endpoint.base_url, TurningClock()), HELLO).text == "3, 0"
    assert len(endpoint.bodies) + len(endpoint.probes) <= 5


def test_an_unknown_model_is_answered_with_those_that_exist(
    endpoint: FakeEndpoint, ask: Ask
) -> None:
    endpoint.models = ("llama", "gemma")
    endpoint.faults.append(status(404, "model not found"))
    said = "404 for model 'fake': it has gemma, llama; set AUTOINTERP_LLM_MODEL"
    assert said in str(failure(ask))


def test_a_wrong_path_points_at_the_base_url(endpoint: FakeEndpoint, world: Clockwork) -> None:
    url = endpoint.base_url.removesuffix("/v1") + "/nowhere"
    with pytest.raises(UpstreamError) as caught:
        run(client(url, world), HELLO)
    said = f"{url} answered 404 for model 'fake': check AUTOINTERP_LLM_BASE_URL (it usually ends"
    assert str(caught.value).startswith(said)


def test_a_refused_request_is_not_an_unusable_endpoint(endpoint: FakeEndpoint, ask: Ask) -> None:
    endpoint.faults.append(status(400, f"this prompt is\n not allowed {KEY}"))
    error = failure(ask)
    assert isinstance(error, RequestRefusedError)
    assert "refused the request (400) (it says: this prompt is not allowed ***)" in str(error)
    assert ask().text == "3, 0"


@pytest.mark.parametrize("code", [408, 409, 429, 500, 502, 503, 529])
def test_a_passing_failure_is_asked_again(
    endpoint: FakeEndpoint, ask: Ask, world: Clockwork, code: int
) -> None:
    endpoint.faults.extend([status(code), html(502), cut(), hang_up()])
    assert ask().text == "3, 0"
    assert len(endpoint.bodies) == 5
    assert len(world.slept) == 4


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (status(503), "answered 503, 3 times: try again later"),
        (html(), "not JSON (beginning '<html><body>Bad gateway</body></html>'), 3 times"),
        (Fault(), "not JSON (an empty body), 3 times: check AUTOINTERP_LLM_BASE_URL"),
        (cut(), "cut the connection, 3 times"),
        (hang_up(), "cut the connection, 3 times"),
        (json_body({"error": {"message": "upstream", "code": 502}}), "answered 502, 3 times"),
    ],
)
def test_a_failure_that_does_not_pass_is_given_up(
    endpoint: FakeEndpoint, ask: Ask, fault: Fault, said: str
) -> None:
    endpoint.faults.extend([fault] * 3)
    error = failure(ask, attempts=3)
    assert said in str(error)
    assert error.retryable
    assert len(endpoint.bodies) == 3


@pytest.mark.parametrize(
    "value", [[], "text", {}, {"detail": "x"}, {"choices": "x"}, {"choices": [{}]}, 3]
)
def test_json_of_another_shape_is_not_a_chat_endpoint(
    endpoint: FakeEndpoint, ask: Ask, value: object
) -> None:
    endpoint.faults.append(json_body(value))
    error = failure(ask)
    assert "answered with JSON that is not a chat completion (" in str(error)
    assert not error.retryable


def test_an_error_inside_a_good_status_is_an_error(endpoint: FakeEndpoint, ask: Ask) -> None:
    endpoint.faults.append(json_body({"error": {"message": "no credit", "code": 402}}))
    assert "answered 402: the account has no credit left" in str(failure(ask))


def test_a_body_that_drips_times_out(endpoint: FakeEndpoint, ask: Ask) -> None:
    endpoint.faults.extend([slow(), slow()])
    started = time.monotonic()
    error = failure(ask, timeout_s=0.15, attempts=2)
    assert "gave no answer within 0.15 s, 2 times: use a faster model" in str(error)
    assert error.retryable
    assert time.monotonic() - started < 60


def test_all_attempts_together_have_a_deadline(endpoint: FakeEndpoint, ask: Ask) -> None:
    endpoint.faults.extend([slow()] * 5)
    error = failure(ask, timeout_s=0.2, deadline_s=0.3)
    assert "gave no answer within 0.3 s, all attempts together" in str(error)
    # A third would begin after 0.4 s.
    assert len(endpoint.bodies) <= 2


def test_a_server_that_is_not_there_is_named(world: Clockwork) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        with pytest.raises(UpstreamError) as caught:
            run(client(url, world), HELLO)
    said = f"could not reach {url}: is the server running? (tried 5 times)"
    assert str(caught.value) == said
    assert caught.value.retryable
    assert len(world.slept) == 4


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "Sun, 06 Nov 1994 08:49:49 GMT"}, 12.0),
        ({"Retry-After": "Sun, 06 Nov 1994 08:00:00 GMT"}, 0.0),
        ({"retry-after-ms": "1500", "Retry-After": "9"}, 1.5),
    ],
)
def test_an_endpoint_says_how_long_to_wait(
    endpoint: FakeEndpoint, ask: Ask, world: Clockwork, headers: dict[str, str], wait: float
) -> None:
    endpoint.faults.append(status(429, headers=headers))
    ask()
    assert wait <= world.slept[0] <= wait + 0.5


def test_no_wait_is_longer_than_the_cap(endpoint: FakeEndpoint, ask: Ask, world: Clockwork) -> None:
    endpoint.faults.append(status(429, headers={"Retry-After": "800"}))
    ask(longest_asked_wait_s=20.0)
    assert world.slept == [20.0]


@pytest.mark.parametrize("others_are_answered", [True, False])
def test_one_request_that_fails_while_others_are_answered_fails_alone(
    endpoint: FakeEndpoint, others_are_answered: bool
) -> None:
    endpoint.disturb = lambda body, good: status(500) if body["max_tokens"] == 99 else good

    async def between_attempts(_: float) -> None:
        if others_are_answered:
            await model.reply(HELLO)

    options = ClientOptions(attempts=3)
    world = ClientDependencies(sleep=between_attempts)
    model = OpenAICompatible(endpoint.base_url, "fake", options=options, dependencies=world)

    async def ask_the_bad_one() -> None:
        try:
            await model.reply(replace(HELLO, max_tokens=99))
        finally:
            await model.close()

    with pytest.raises(UpstreamError, match="answered 500, 3 times") as caught:
        asyncio.run(ask_the_bad_one())
    assert isinstance(caught.value, RequestFailedError) == others_are_answered
