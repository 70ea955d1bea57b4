"""How a client of an endpoint is set up: addresses, environment, limits, event loops."""

from __future__ import annotations

import asyncio
import threading
import time
from base64 import b64encode
from dataclasses import replace
from urllib.parse import unquote

import pytest
from endpoint_client import HELLO, KEY, Ask, Clockwork, client, run
from fake_endpoint import FakeEndpoint, json_body, status

from autointerp.client import Client
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


def test_an_address_that_a_password_cuts_is_refused_and_not_asked_at_another_host() -> None:
    for password in ("7#x", "7/x", "7?x", "x#7/y"):
        with pytest.raises(InputError, match="percent-encode the user name and the") as caught:
            OpenAICompatible(f"http://ada:{password}@127.0.0.1:9/v1", "fake")
        assert password not in str(caught.value)
        assert "ada" not in str(caught.value)


@pytest.mark.parametrize("code", [200, 400, 401, 403, 429, 500])
@pytest.mark.parametrize("password", ["zq%237%2Fx%40w", "hunter2"])
def test_credentials_that_an_endpoint_repeats_are_not_shown(
    endpoint: FakeEndpoint, world: Clockwork, code: int, password: str
) -> None:
    plain = unquote(password)
    sent = b64encode(f"ada:{plain}".encode()).decode()
    words = f"no {plain}, {password}, Basic {sent} or key-of-mine-{plain}"
    fault = json_body({"error": {"message": words, "type": "fake"}}, code)
    endpoint.faults_for_probes = True
    endpoint.faults.extend([fault] * 60)
    url = endpoint.base_url.replace("//", f"//ada:{password}@")
    with pytest.raises(UpstreamError) as caught:
        run(client(url, world, headers=f"X-Key: key-of-mine-{plain}"), HELLO)
    for secret in (plain, password, sent, "key-of-mine"):
        assert secret not in str(caught.value)


@pytest.mark.parametrize("proxy", ["http://ada:zq#7@host:1", "nosuch://hush1@host", "http://h:zq7"])
def test_a_proxy_that_cannot_be_used_is_told_without_its_address(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(InputError, match=r"a proxy that the environment names .* cannot") as caught:
        OpenAICompatible("http://example.org/v1", "fake")
    assert not any(part in str(caught.value) for part in ("zq", "hush1", "ada"))
    with pytest.raises(InputError, match="a proxy that the environment names"):
        Client("http://example.org")


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
