from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_service import ADMIN, JOB, READ, SUBMIT, Service, make_service, read_words
from starlette.testclient import TestClient

from autointerp.api import ApiLimits, KeyRing, Scope
from autointerp.api.middleware.request_log import JsonLines
from autointerp.api.server import refuse_open
from autointerp.core.errors import InputError

OTHER = "other-key-0123456789"


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


KEYS = KeyRing.of(
    [
        f"viewer:read:{digest(READ)}",
        f"worker:read+submit:{digest(SUBMIT)}",
        f"boss:read+submit+admin:{digest(ADMIN)}",
        f"other:read+submit:{digest(OTHER)}",
    ]
)


@pytest.fixture
def guarded(tmp_path: Path) -> Service:
    return make_service(tmp_path, keys=KEYS)


@pytest.fixture
def client(guarded: Service) -> Iterator[TestClient]:
    with TestClient(guarded.app, client=("203.0.113.9", 5)) as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_without_a_key_nothing_but_health_is_told(client: TestClient) -> None:
    paths = ("/v1/jobs", "/v1/models/tiny/labels", "/metrics", "/v1/nothing", "/docs/nothing")
    for path in paths:
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (401, "key_missing")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert client.get("/healthz").status_code == 200
    assert client.get("/openapi.json").status_code == 200


def test_a_key_is_taken_from_either_header(client: TestClient) -> None:
    assert client.get("/v1/jobs", headers=bearer(READ)).status_code == 200
    assert client.get("/v1/jobs", headers={"x-api-key": READ}).status_code == 200
    wrong = client.get("/v1/jobs", headers=bearer(READ + "x"))
    assert (wrong.status_code, wrong.json()["code"]) == (401, "key_unknown")


def test_a_key_does_what_its_scopes_say(client: TestClient) -> None:
    refused = client.post("/v1/jobs", json=JOB, headers=bearer(READ))
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    job = client.post("/v1/jobs", json=JOB, headers=bearer(SUBMIT)).json()
    assert job["owner"] == "worker"
    path = f"/v1/jobs/{job['id']}/cancel"
    other = client.post(path, headers=bearer(OTHER))
    assert (other.status_code, other.json()["code"]) == (403, "not_your_job")
    assert client.post(path, headers=bearer(ADMIN)).status_code == 202


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/cancel"), ("POST", "/retry"), ("DELETE", "")],
)
def test_a_job_of_another_key_is_left_alone(client: TestClient, method: str, path: str) -> None:
    job = client.post("/v1/jobs", json=JOB, headers=bearer(SUBMIT)).json()["id"]
    client.post(f"/v1/jobs/{job}/cancel", headers=bearer(SUBMIT))
    refused = client.request(method, f"/v1/jobs/{job}{path}", headers=bearer(OTHER))
    assert (refused.status_code, refused.json()["code"]) == (403, "not_your_job")
    assert client.get(f"/v1/jobs/{job}", headers=bearer(OTHER)).json()["state"] == "cancelled"
    viewer = client.request(method, f"/v1/jobs/{job}{path}", headers=bearer(READ))
    assert (viewer.status_code, viewer.json()["code"]) == (403, "scope_missing")


def test_two_keys_of_one_name_are_refused() -> None:
    entries = [f"viewer:read:{digest(READ)}", f"viewer:submit:{digest(SUBMIT)}"]
    with pytest.raises(InputError, match="names a key twice"):
        KeyRing.of(entries)


def test_a_key_that_submits_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    service = make_service(tmp_path, keys=KEYS, limits=ApiLimits(submits_per_min=1))
    service.worker.reply = read_words
    with TestClient(service.app, client=("203.0.113.9", 5)) as client:
        asked = {"model": "tiny", "units": "5:1", "text": "a"}
        for path, body in (("jobs", JOB), ("activations", asked)):
            key = SUBMIT if path == "jobs" else OTHER
            first, again = (
                client.post(f"/v1/{path}", json=body, headers=bearer(key)) for _ in range(2)
            )
            assert first.status_code < 300, first.text
            assert (again.status_code, again.json()["code"]) == (429, "too_many_requests")
            assert int(again.headers["retry-after"]) > 0


def test_idempotency_keys_belong_to_an_api_key(client: TestClient) -> None:
    ids = {
        client.post("/v1/jobs", json=JOB, headers=bearer(key) | {"Idempotency-Key": "k"}).json()[
            "id"
        ]
        for key in (SUBMIT, OTHER)
    }
    assert len(ids) == 2


def test_guessing_keys_is_slowed_down(tmp_path: Path) -> None:
    service = make_service(tmp_path, keys=KEYS, limits=ApiLimits(wrong_keys_per_s=0.01))
    with TestClient(service.app) as client:
        found = [client.get("/v1/jobs", headers=bearer(f"guess-{n}")) for n in range(21)]
    assert [answer.status_code for answer in found] == [401] * 20 + [429]
    assert found[-1].json()["code"] == "too_many_wrong_keys"


def test_wrong_keys_lock_no_right_key_out(tmp_path: Path) -> None:
    service = make_service(tmp_path, keys=KEYS, limits=ApiLimits(wrong_keys_per_s=0.01))
    with TestClient(service.app) as client:
        for n in range(60):
            client.get("/v1/jobs", headers=bearer(f"guess-{n}"))
        for key in (READ, SUBMIT, ADMIN):
            assert client.get("/v1/jobs", headers=bearer(key)).status_code == 200
        assert client.get("/v1/jobs", headers={"x-api-key": READ}).status_code == 200
        assert client.get("/v1/jobs", headers=bearer("guess")).status_code == 429
        assert client.get("/v1/jobs").status_code == 401


def test_a_key_that_asks_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    service = make_service(tmp_path, keys=KEYS, limits=ApiLimits(requests_per_s=0.01, burst=3))
    with TestClient(service.app) as client:
        answers = [client.get("/v1/jobs", headers=bearer(READ)) for _ in range(4)]
        assert [a.status_code for a in answers] == [200, 200, 200, 429]
        # A hundred seconds after the first, less what has gone by.
        assert 10 < int(answers[-1].headers["retry-after"]) <= 100
        assert client.get("/v1/jobs", headers=bearer(SUBMIT)).status_code == 200


@pytest.mark.parametrize(
    ("client_host", "headers"),
    [
        ("203.0.113.9", {"host": "127.0.0.1"}),
        ("127.0.0.1", {"host": "evil.example"}),
        ("127.0.0.1", {"host": "127.0.0.1", "origin": "https://evil.example"}),
        ("127.0.0.1", {"host": "127.0.0.1", "origin": "null"}),
    ],
)
def test_without_keys_only_this_machine_may_ask(
    service: Service, client_host: str, headers: dict[str, str]
) -> None:
    with TestClient(service.app, client=(client_host, 5)) as client:
        answer = client.get("/v1/jobs", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "loopback_only")


def test_without_keys_the_server_listens_on_loopback_only() -> None:
    with pytest.raises(InputError, match="AUTOINTERP_API_KEYS"):
        refuse_open("0.0.0.0", KeyRing())
    for host, keys in (("127.0.0.1", KeyRing()), ("::1", KeyRing()), ("0.0.0.0", KEYS)):
        refuse_open(host, keys)


def test_a_bare_key_has_every_scope() -> None:
    caller = KeyRing.of([SUBMIT]).find(SUBMIT)
    assert caller is not None
    assert (caller.name, caller.scopes) == ("key1", frozenset(Scope))


@pytest.mark.parametrize("entry", ["short", "a:b:c", f"a:write:{'0' * 64}", f"a:read:{'0' * 63}"])
def test_a_key_that_cannot_be_read_is_not_shown(entry: str) -> None:
    with pytest.raises(InputError, match="name:scopes:sha256hex") as told:
        KeyRing.of([entry])
    assert entry not in str(told.value)


def test_the_audit_log_names_keys_and_holds_none(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="autointerp.audit"):
        client.post("/v1/jobs?x=1", json=JOB, headers=bearer(SUBMIT))
        client.get("/v1/jobs", headers=bearer("wrong-key-wrong-key"))
        client.post("/v1/jobs", json=JOB, headers=bearer(SUBMIT))
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records]
    submitted = next(line for line in lines if line["event"] == "submit")
    assert (submitted["key"], submitted["subject"]) == ("worker", "tiny")
    requests = [line for line in lines if line["event"] == "request"]
    assert {(line["status"], line["key"]) for line in requests} >= {(202, "worker"), (401, None)}
    for secret in (SUBMIT, digest(SUBMIT), "wrong-key"):
        assert secret not in json.dumps(lines)
