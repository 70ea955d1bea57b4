"""How a client of an endpoint is set up: addresses, environment, limits, event loops."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace

import pytest
from endpoint_client import HELLO, KEY, Ask, Clockwork, client, run
from fake_endpoint import FakeEndpoint, status

from autointerp.core.errors import AutointerpError, InputError, UpstreamError
from autointerp.llm import ChatRequest, ClientOptions, OpenAICompatible


def test_no_more_requests_are_in_flight_than_allowed(world: Clockwork) -> None:
    three = threading.Barrier(3)

    def linger(_: ChatRequest) -> str:
        # Three are inside at once; a fourth would have the time to join them.
        three.wait(300)
        time.sleep(0.03)
        return "x"

    with FakeEndpoint(linger) as endpoint:
        model = client(endpoint.base_url, world, max_in_flight=3)
        run(model, *(replace(HELLO, seed=seed) for seed in range(12)))
    assert endpoint.most_in_flight == 3
    assert len(endpoint.bodies) == 12


def test_a_proxy_of_the_environment_is_not_used_for_loopback(
    monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert ask().text == "3, 0"


def test_a_proxy_of_the_environment_is_used_for_the_outside(
    monkeypatch: pytest.MonkeyPatch, endpoint: FakeEndpoint, world: Clockwork
) -> None:
    monkeypatch.setenv("HTTP_PROXY", endpoint.base_url.removesuffix("/v1"))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert run(client("http://llm.invalid/v1", world), HELLO).text == "3, 0"
    assert endpoint.headers[0]["host"] == "llm.invalid"


def test_the_environment_gives_no_key(
    monkeypatch: pytest.MonkeyPatch, endpoint: FakeEndpoint
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    run(OpenAICompatible(endpoint.base_url, "fake"), HELLO)
    assert KEY not in str(endpoint.headers)


@pytest.mark.parametrize(
    "url", ["", "gpt-4.1", "ftp://host/v1", "http:///v1", "http://u:pw@[bad/v1"]
)
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(InputError, match="must look like http://127.0.0.1:8000/v1") as caught:
        OpenAICompatible(url, "fake")
    assert "pw" not in str(caught.value)


def test_a_password_in_an_address_is_not_shown(endpoint: FakeEndpoint, world: Clockwork) -> None:
    endpoint.faults.append(status(401))
    url = endpoint.base_url.replace("//", "//user:hunter2@")
    with pytest.raises(UpstreamError) as caught:
        run(client(url, world), HELLO)
    assert "hunter2" not in str(caught.value)


def test_a_model_needs_a_name() -> None:
    with pytest.raises(InputError, match="no model was named for http://h/v1; set AUTOINTERP_LLM"):
        OpenAICompatible("http://h/v1", "")


@pytest.mark.parametrize("name", ["max_in_flight", "attempts", "timeout_s", "deadline_s"])
def test_a_limit_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} must be above 0, found 0"):
        ClientOptions(**{name: 0})


def test_a_client_says_when_it_is_used_in_a_second_event_loop(
    endpoint: FakeEndpoint, world: Clockwork
) -> None:
    model = client(endpoint.base_url, world)
    run(model, HELLO)
    with pytest.raises(AutointerpError, match="reply and close within one asyncio.run"):
        asyncio.run(model.reply(HELLO))
