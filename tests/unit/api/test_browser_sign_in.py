"""Browsers sign in once with an API key; nothing but this server's own pages acts for them."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_service import JOB, READ, SUBMIT, Service, make_service
from memory_jobs import MemoryJobs
from starlette.datastructures import Headers
from starlette.testclient import TestClient

from autointerp.api import ApiLimits, KeyRing
from autointerp.api.browser_sessions import COOKIE, LASTS_S, BrowserSessions
from autointerp.api.server import config_of
from autointerp.settings import Settings

HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
OWN = {"sec-fetch-site": "same-origin"}
WRITE_ONLY = "write-key-0123456789"


def ring(*entries: tuple[str, str, str]) -> KeyRing:
    digest = {key: hashlib.sha256(key.encode()).hexdigest() for _, _, key in entries}
    return KeyRing.of([f"{name}:{scopes}:{digest[key]}" for name, scopes, key in entries])


ENTRIES = (
    ("viewer", "read", READ),
    ("ann.b", "read+submit", SUBMIT),
    ("robot", "submit", WRITE_ONLY),
)


def browser(service: Service, base_url: str = "http://server.example") -> TestClient:
    return TestClient(
        service.app, base_url=base_url, client=("203.0.113.9", 5), follow_redirects=False
    )


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return make_service(tmp_path, keys=ring(*ENTRIES))


@pytest.fixture
def client(service: Service) -> Iterator[TestClient]:
    with browser(service) as client:
        yield client


def sign_in(client: TestClient, key: str, to: str = "/", **headers: str) -> Any:
    return client.post("/sign-in", data={"key": key, "next": to}, headers=headers or OWN)


def test_a_page_leads_to_the_sign_in_and_back(client: TestClient) -> None:
    answer = client.get("/models/a%2Fb?layer=3&q=x", headers=HTML)
    assert answer.status_code == 303
    there = answer.headers["location"]
    assert there == "/sign-in?next=%2Fmodels%2Fa%252Fb%3Flayer%3D3%26q%3Dx"
    form = client.get(there, headers=HTML)
    assert form.status_code == 200
    assert 'value="/models/a%2Fb?layer=3&amp;q=x"' in form.text
    back = sign_in(client, READ, "/models/a%2Fb?layer=3&q=x")
    assert (back.status_code, back.headers["location"]) == (303, "/models/a%2Fb?layer=3&q=x")


def test_who_is_signed_in_sees_pages_and_rest_and_signs_out(client: TestClient) -> None:
    assert sign_in(client, SUBMIT).status_code == 303
    assert client.get("/", headers=HTML).status_code == 200
    assert client.get("/v1/jobs").status_code == 200
    assert client.get("/sign-in?next=/models/tiny").headers["location"] == "/models/tiny"
    out = client.post("/sign-out", headers=OWN)
    assert (out.status_code, out.headers["location"]) == (303, "/sign-in")
    assert client.get("/v1/jobs").status_code == 401


def test_a_copy_of_a_cookie_ends_with_the_sign_out(client: TestClient, service: Service) -> None:
    sign_in(client, SUBMIT)
    stolen = {"cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
    client.cookies.clear()
    assert client.get("/v1/jobs", headers=stolen).status_code == 200
    client.post("/sign-out", headers={**OWN, **stolen})
    assert client.get("/v1/jobs", headers=stolen).status_code == 401
    # Another API process on the same Redis, which never saw it.
    other = BrowserSessions(ring(*ENTRIES), service.backend.jobs)
    assert asyncio.run(other.caller_of(Headers(stolen))) is None


def test_what_is_noted_of_a_sign_out_is_gone_when_the_cookie_would_have_ended() -> None:
    now, keys, jobs = 1_000.0, ring(*ENTRIES), MemoryJobs()
    sessions = BrowserSessions(keys, jobs.backend.jobs, clock=lambda: now)
    value = asyncio.run(sessions.cookie_for(keys.entries[0][1]))
    now += LASTS_S - 0.05
    signed_in = Headers({"cookie": f"{COOKIE}={value}"})
    asyncio.run(sessions.end(signed_in))
    owner = f"signed_out:{value.rpartition(':')[2]}"
    assert jobs.note(owner, "") is not None
    assert asyncio.run(sessions.caller_of(signed_in)) is None
    time.sleep(0.1)
    assert jobs.note(owner, "") is None


def test_a_sign_out_ends_no_other_cookie_and_forged_ones_are_not_noted(
    client: TestClient, service: Service
) -> None:
    sign_in(client, READ)
    forged = f"{COOKIE}=viewer:99999999999:{'A' * 43}"
    client.post("/sign-out", headers={**OWN, "cookie": forged})
    assert service.backend.jobs.note("signed_out:" + "A" * 43, "") is None
    sign_in(client, SUBMIT)
    assert client.get("/v1/jobs").status_code == 200


def test_the_cookie_holds_no_key_and_no_script_or_other_site_gets_it(client: TestClient) -> None:
    given = sign_in(client, SUBMIT).headers["set-cookie"]
    assert SUBMIT not in given
    assert hashlib.sha256(SUBMIT.encode()).hexdigest() not in given
    for part in ("HttpOnly", "SameSite=Strict", "Path=/", f"Max-Age={LASTS_S}"):
        assert part in given
    assert "Secure" not in given


@pytest.mark.parametrize(
    "headers", [{"origin": "https://server.example"}, {"x-forwarded-proto": "https"} | OWN]
)
def test_over_https_the_cookie_is_secure(client: TestClient, headers: dict[str, str]) -> None:
    assert "; Secure" in sign_in(client, READ, **headers).headers["set-cookie"]


def test_programs_are_told_of_the_key_and_not_led_away(client: TestClient) -> None:
    for headers in ({}, {"accept": "application/json"}):
        answer = client.get("/models/tiny", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "key_missing")
    assert client.post("/v1/jobs", json=JOB, headers=HTML).status_code == 401


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil.example", "", "/a\r\nb: c", "x"]
)
def test_a_sign_in_leads_nowhere_else(client: TestClient, to: str) -> None:
    assert sign_in(client, READ, to).headers["location"] == "/"
    client.cookies.clear()
    assert "evil" not in client.get("/sign-in", params={"next": to}).text


def test_wrong_keys_count_with_those_in_headers(tmp_path: Path) -> None:
    limits = ApiLimits(wrong_keys_per_s=0.001)
    with browser(make_service(tmp_path, keys=ring(*ENTRIES), limits=limits)) as client:
        found = [sign_in(client, f"wrong{i}") for i in range(10)]
        assert {answer.status_code for answer in found} == {401}
        assert "This API key is not known." in found[0].text
        for i in range(10):
            client.get("/v1/jobs", headers={"x-api-key": f"wrong{i}"})
        assert sign_in(client, "wrong").status_code == 429
        assert sign_in(client, READ).status_code == 303


def test_a_key_that_may_not_read_and_none_are_told_on_the_page(client: TestClient) -> None:
    assert "lacks the scope read" in sign_in(client, WRITE_ONLY).text
    assert "Type an API key" in sign_in(client, "  ").text
    assert client.post("/sign-in", content=b"&".join([b"a=1"] * 99), headers=OWN).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 202),
        ({"origin": "http://server.example"}, 202),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://server.example"}, 403),
        ({"origin": "http://server.example:81"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://[bad"}, 403),
        ({}, 403),
    ],
)
def test_what_comes_by_cookie_from_another_origin_changes_nothing(
    client: TestClient, service: Service, headers: dict[str, str], status: int
) -> None:
    sign_in(client, SUBMIT)
    answer = client.post("/v1/jobs", json=JOB, headers=headers)
    assert answer.status_code == status, answer.text
    assert len(service.backend.jobs.find(limit=5)) == (status == 202)


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
def test_another_site_signs_nobody_in_or_out(client: TestClient, path: str) -> None:
    headers = {"origin": "http://evil.example"}
    answer = client.post(path, data={"key": READ}, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_a_key_in_a_header_needs_no_origin(client: TestClient) -> None:
    headers = {"x-api-key": SUBMIT, "origin": "http://evil.example"}
    assert client.post("/v1/jobs", json=JOB, headers=headers).status_code == 202


def test_scopes_are_those_of_the_key(client: TestClient) -> None:
    sign_in(client, READ)
    answer = client.post("/v1/jobs", json=JOB, headers=OWN)
    assert answer.json()["code"] == "scope_missing"


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_cookie_that_was_changed_signs_nobody_in(client: TestClient, place: int) -> None:
    sign_in(client, READ)
    parts = client.cookies[COOKIE].split(":")
    parts[place] = ("ann.b", "999999999999", "A" * 43)[place]
    client.cookies.clear()
    client.cookies.set(COOKIE, ":".join(parts))
    assert client.get("/v1/jobs").status_code == 401


@pytest.mark.parametrize(
    "left",
    [
        (("viewer", "read", READ),),
        (("viewer", "read", READ), ("ann.b", "read+submit", "another-key-0123456789")),
    ],
)
def test_a_key_that_was_revoked_or_replaced_ends_its_cookies(
    tmp_path: Path, left: tuple[tuple[str, str, str], ...]
) -> None:
    backend = MemoryJobs().backend
    with browser(make_service(tmp_path, keys=ring(*ENTRIES), backend=backend)) as client:
        sign_in(client, SUBMIT)
        cookie = client.cookies[COOKIE]
    for keys, status in ((ring(*ENTRIES), 200), (ring(*left), 401)):
        # Another process of the same service: the cookie holds there too.
        with browser(make_service(tmp_path, keys=keys, backend=backend)) as other:
            other.cookies.set(COOKIE, cookie)
            assert other.get("/v1/jobs").status_code == status


def test_a_cookie_of_another_service_is_none(tmp_path: Path) -> None:
    with browser(make_service(tmp_path, keys=ring(*ENTRIES))) as client:
        sign_in(client, READ)
        cookie = client.cookies[COOKIE]
    with browser(make_service(tmp_path, keys=ring(*ENTRIES))) as other:
        other.cookies.set(COOKIE, cookie)
        assert other.get("/v1/jobs").status_code == 401


def test_a_cookie_ends_after_its_days() -> None:
    now = 1_000.0
    keys = ring(*ENTRIES)
    sessions = BrowserSessions(keys, MemoryJobs().backend.jobs, clock=lambda: now)
    caller = keys.entries[0][1]
    value = asyncio.run(sessions.cookie_for(caller))
    headers = Headers({"cookie": f"other=1; {COOKIE}={value}"})
    assert asyncio.run(sessions.caller_of(headers)) == caller
    now += LASTS_S
    assert asyncio.run(sessions.caller_of(headers)) is None


def test_without_keys_there_is_nothing_to_sign_in_to(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    with TestClient(
        service.app, base_url="http://localhost", client=("127.0.0.1", 5), follow_redirects=False
    ) as client:
        assert client.get("/sign-in").headers["location"] == "/"
        assert client.get("/").status_code == 200
        # A name that another site leads to this machine.
        assert client.get("/", headers={"host": "rebound.example"}).status_code == 403


def test_settings_give_the_keys(tmp_path: Path) -> None:
    found = config_of(Settings(api_keys=(READ,), cache_dir=tmp_path)).keys.named("key1")
    assert found is not None
    assert found[0] == hashlib.sha256(READ.encode()).hexdigest()
