"""Headers that hold browsers back, and who is let in without a key."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from api_service import READ, listening, make_service
from memory_jobs import MemoryJobs
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from autointerp.api import ApiConfig, ApiLimits, KeyRing
from autointerp.api.browser_sessions import BrowserSessions, KeyChecks
from autointerp.api.middleware.security import (
    AuthMiddleware,
    SecurityHeadersMiddleware,
    is_loopback,
)

RING = KeyRing.of([f"viewer:read:{hashlib.sha256(READ.encode()).hexdigest()}"])


def answer_with(**headers: str) -> dict[str, str]:
    """The headers of an answer whose route set these."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    app = Starlette(routes=[Route("/", lambda _: Response("x", headers=given))])
    with TestClient(SecurityHeadersMiddleware(app)) as client:
        return dict(client.get("/").headers)


def test_a_route_that_sets_no_header_gets_all() -> None:
    headers = answer_with()
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"].startswith("default-src 'none'")


def test_a_header_that_a_route_set_stays_once_and_the_others_come_with_it() -> None:
    plain = answer_with()
    assert answer_with(x_frame_options="SAMEORIGIN") == plain | {"x-frame-options": "SAMEORIGIN"}
    assert answer_with(cache_control="max-age=60") == plain | {"cache-control": "max-age=60"}


def ask(app: object, scope: Scope) -> list[Message]:
    """What an application sends."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))  # type: ignore[operator]
    return sent


async def tells_its_scope(scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": f"{scope['type']}.seen", "caller": scope.get("state", {}).get("caller")})


def guarded(config: ApiConfig) -> AuthMiddleware:
    checks = KeyChecks(config.keys, wrong_keys_per_s=1.0)
    sessions = BrowserSessions(config.keys, MemoryJobs().backend.jobs)
    return AuthMiddleware(tells_its_scope, config, checks, sessions)


def test_what_is_no_request_passes_both_by() -> None:
    for app in (
        guarded(ApiConfig(keys=RING)),
        SecurityHeadersMiddleware(tells_its_scope),
    ):
        assert ask(app, {"type": "lifespan"}) == [{"type": "lifespan.seen", "caller": None}]


def test_a_unix_socket_is_this_machine() -> None:
    app = guarded(ApiConfig())
    [told] = ask(app, {"type": "http", "path": "/", "headers": [], "client": None})
    assert told["caller"].name == "local"


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("LocalHost", True),
        ("10.0.0.1", False),
        ("::2", False),
        ("localhost.evil.example", False),
        ("", False),
    ],
)
def test_loopback_is_this_machine_by_number_or_name(host: str, is_ours: bool) -> None:
    assert is_loopback(host) is is_ours


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "localhost:8000"}, 200),
        ({"host": "[::1]:8000"}, 200),
        ({"host": "127.0.0.1", "origin": "http://localhost:3000"}, 200),
        ({"host": "127.0.0.1", "origin": "http://[bad"}, 403),
        ({"host": "[bad"}, 403),
    ],
)
def test_without_keys_host_and_origin_name_this_machine(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    with TestClient(make_service(tmp_path).app, client=("127.0.0.1", 5)) as client:
        assert client.get("/v1/jobs", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 404),
        ({"sec-fetch-site": "same-origin", "origin": "http://localhost:9000"}, 404),
        ({"sec-fetch-site": "none"}, 404),
        ({"origin": "http://127.0.0.1:8000"}, 404),
        ({"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:3000"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://localhost:8000"}, 403),
        ({"origin": "http://127.0.0.1:3000"}, 403),
    ],
)
def test_without_keys_a_page_of_another_server_here_changes_nothing(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    given = {"host": "127.0.0.1:8000", **headers}
    with TestClient(make_service(tmp_path).app, client=("127.0.0.1", 5)) as client:
        # Without a body a form of any page may send it.
        assert client.post("/v1/jobs/job_1/cancel", headers=given).status_code == status
        assert client.get("/v1/jobs", headers=given).status_code == 200


@pytest.mark.parametrize("name", [b"Host", b"Origin"])
@pytest.mark.parametrize("places", [(0, 1), (1, 0)])
def test_without_keys_every_host_and_origin_that_is_given_counts(
    tmp_path: Path, name: bytes, places: tuple[int, int]
) -> None:
    values = (b"127.0.0.1", b"evil.example")
    if name == b"Origin":
        values = (b"http://127.0.0.1", b"http://evil.example")
    lines = [name + b": " + values[place] for place in places]
    head = [b"GET /v1/jobs HTTP/1.1", *([b"Host: localhost"] if name == b"Origin" else []), *lines]
    with listening(make_service(tmp_path).app) as url:
        place = urlsplit(url)
        with socket.create_connection((place.hostname or "", place.port or 0), 60) as wire:
            wire.sendall(b"\r\n".join([*head, b"Connection: close", b"", b""]))
            answer = wire.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"authorization": f"Bearer {READ}"}, 200, None),
        ({"authorization": f"bearer  {READ} "}, 200, None),
        ({"authorization": "Bearer ", "x-api-key": READ}, 200, None),
        ({"authorization": "Basic abc", "x-api-key": READ}, 200, None),
        ({"authorization": f"Bearer {READ}", "x-api-key": "wrong"}, 200, None),
        ({"authorization": f"Basic {READ}"}, 401, "key_missing"),
        ({"authorization": "Bearer "}, 401, "key_missing"),
        ({"x-api-key": ""}, 401, "key_missing"),
        ({"authorization": "Bearer wrong", "x-api-key": READ}, 401, "key_unknown"),
    ],
)
def test_a_key_comes_as_a_bearer_token_or_in_a_header_of_its_own(
    tmp_path: Path, headers: dict[str, str], status: int, code: str | None
) -> None:
    with TestClient(make_service(tmp_path, keys=RING).app) as client:
        answer = client.get("/v1/jobs", headers=headers)
    assert (answer.status_code, answer.json().get("code")) == (status, code)


def test_open_paths_need_no_key_and_count_against_none(tmp_path: Path) -> None:
    limits = ApiLimits(burst=1, requests_per_s=0.001)
    with TestClient(make_service(tmp_path, keys=RING, limits=limits).app) as client:
        assert {client.get("/healthz").status_code for _ in range(5)} == {200}
        assert client.get("/v1/jobs", headers={"x-api-key": READ}).status_code == 200


def test_right_keys_and_missing_ones_do_not_count_as_wrong_ones(tmp_path: Path) -> None:
    limits = ApiLimits(wrong_keys_per_s=0.01)
    with TestClient(make_service(tmp_path, keys=RING, limits=limits).app) as client:
        right, wrong = {"x-api-key": READ}, {"x-api-key": "wrong"}
        found = [client.get("/v1/jobs", headers=h).status_code for h in [right, *[wrong] * 19]]
        assert found == [200] + [401] * 19
        assert client.get("/v1/jobs", headers=right).status_code == 200
        assert client.get("/v1/jobs", headers=wrong).status_code == 401
        refused = client.get("/v1/jobs", headers=wrong)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_wrong_keys")
        assert client.get("/v1/jobs").status_code == 401
