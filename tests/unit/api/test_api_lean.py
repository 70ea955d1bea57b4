"""Routes that are read most take their arguments themselves, and answer as FastAPI would."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient

LIST = "/v1/models/tiny/labels"
UNIT = "/v1/models/tiny/units/blocks.5.mlp.hook_post"


@pytest.mark.parametrize("query", ["limit=1", "q=seas", "layer=5&sort=-score", "status=dead", ""])
def test_a_query_is_taken_the_same_either_way(client: TestClient, query: str) -> None:
    # A value that is given twice is none of the plain requests: FastAPI takes the last one.
    general = client.get(f"{LIST}?limit=7&{query}&{query or 'limit=50'}")
    assert client.get(f"{LIST}?{query or 'limit=50'}").json() == general.json()


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
