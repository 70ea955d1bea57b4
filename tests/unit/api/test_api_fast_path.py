"""Routes that are read most take their arguments themselves, and answer as FastAPI would."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest
from api_service import HEADERS, Service
from fastapi import FastAPI
from starlette.testclient import TestClient

from autointerp.api import ApiConfig
from autointerp.api.middleware.security import AuthMiddleware
from autointerp.api.routes.labels import list_labels

LIST = "/v1/models/tiny/labels"
UNIT = "/v1/models/tiny/units/blocks.5.mlp.hook_post"


@pytest.fixture
def general(service: Service, client: TestClient) -> TestClient:
    """The list of labels as FastAPI's own machinery answers it."""
    app = FastAPI()
    app.state.app_state = service.app.state.app_state
    app.get("/v1/models/{model}/labels")(list_labels)
    state = service.app.state.app_state
    guards = {"key_checks": state.key_checks, "sessions": state.sessions}
    app.add_middleware(AuthMiddleware, config=ApiConfig(), **guards)
    return TestClient(app, headers=HEADERS, client=("127.0.0.1", 5))


@pytest.mark.parametrize("query", ["limit=1", "q=seas", "layer=5&sort=-score", "status=dead", ""])
def test_a_query_is_taken_the_same_either_way(
    client: TestClient, general: TestClient, query: str
) -> None:
    fast, usual = (each.get(f"{LIST}?{query}") for each in (client, general))
    assert (fast.status_code, fast.content) == (200, usual.content)


def test_a_value_that_is_given_twice_is_refused(client: TestClient) -> None:
    answer = client.get(f"{LIST}?limit=7&limit=7")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "query.limit: it is given 2 times; give it once" in answer.json()["detail"]


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "layer=-1", "score_min=nan", "other=1"])
def test_a_query_that_is_wrong_is_explained_by_fastapi(client: TestClient, query: str) -> None:
    answer = client.get(f"{LIST}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["detail"].startswith("query.")


def test_a_unit_is_the_same_with_and_without_a_query(client: TestClient) -> None:
    plain = client.get(f"{UNIT}/131")
    assert plain.content == client.get(f"{UNIT}/131?trials=false").content
    assert client.get(f"{UNIT}/131?trials=perhaps").status_code == 422


def test_a_head_that_does_not_end_is_refused(url: str) -> None:
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=300) as wire:
        wire.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nx-long: ")
        try:
            for _ in range(100):
                wire.sendall(b"x" * 10_000)
            answer = wire.recv(65_536)
        except ConnectionError:
            answer = b""  # Closed before all of it was sent.
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
