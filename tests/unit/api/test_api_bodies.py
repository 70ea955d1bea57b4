from __future__ import annotations

import gzip
import re
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from api_service import HEADERS, Service, listening, make_service
from starlette.testclient import TestClient

from autointerp.api import ApiLimits

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"units": NaN}', 400, "bad_json"),
        (b'{"units": 1e999}', 400, "bad_json"),
        (b'{"seed": -Infinity}', 400, "bad_json"),
        (b'{"units": "\xff\xfe"}', 400, "bad_encoding"),
        (b'{"units": "\\ud800"}', 400, "bad_encoding"),
        (b'{"units": ', 400, "bad_json"),
        (b'{"seed": ' + b"9" * 5000 + b"}", 422, "number_too_long"),
        (b'{"collect": {"seed": -' + b"9" * 31 + b"}}", 422, "number_too_long"),
        (b'{"units": "5:1", "seed": ' + b"9" * 30 + b"}", 422, "invalid_request"),
        (b'{"units": "5:1", "budget": {"usd": 1' + b"0" * 29 + b"}}", 422, "invalid_request"),
        (b'{"units": "5:1", "units": "5:2"}', 400, "bad_json"),
        (b'{"units": "5:1", "corpus": {"seed": 1, "se\\u0065d": 2}}', 400, "bad_json"),
        (b'{"units": "5:1", "x": [{"": 1, "": 2}]}', 400, "bad_json"),
        (b'\xef\xbb\xbf{"units": "5:1"}', 400, "bad_json"),
        ('{"units": "5:1"}'.encode("utf-16"), 400, "bad_encoding"),
        ('{"units": "5:1"}'.encode("utf-16-le"), 400, "bad_json"),
        (b"[" * 100_000, 400, "bad_json"),
        (b"[]", 422, "invalid_request"),
        (b"null", 422, "invalid_request"),
        (b"", 422, "invalid_request"),
        (b"{}", 422, "invalid_request"),
    ],
)
def test_a_body_that_is_no_job_is_a_problem(
    client: TestClient, body: bytes, status: int, code: str
) -> None:
    answer = client.post("/v1/jobs", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_that_does_not_say_it_is_json_is_refused(client: TestClient, kind: str) -> None:
    answer = client.post("/v1/jobs", content=b'{"units": "5:1"}', headers={"content-type": kind})
    assert (answer.status_code, answer.json()["code"]) == (415, "not_json")


def test_a_body_of_two_types_is_refused(client: TestClient) -> None:
    for types in (("application/json", "text/plain"), ("text/plain", "application/json")):
        headers = [("content-type", kind) for kind in types]
        answer = client.post("/v1/jobs", content=b'{"units": "5:1"}', headers=headers)  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()["code"]) == (415, "not_json")


@pytest.mark.parametrize("how", ["gzip", "GZIP", "identity, br", "x"])
def test_a_body_that_was_compressed_is_refused(client: TestClient, how: str) -> None:
    body = gzip.compress(b'{"units": "5:1"}')
    answer = client.post("/v1/jobs", content=body, headers={**JSON, "content-encoding": how})
    assert (answer.status_code, answer.json()["code"]) == (415, "not_json")
    assert "Content-Encoding" in answer.json()["detail"]


@pytest.mark.parametrize(
    "body", [{"k" * 500_000: 1}, {"explain": {"k" * 500_000: 1}}, {"\x1b[2J\u202e" * 9_000: 1}]
)
def test_the_name_of_a_field_is_cut_where_it_is_told(
    client: TestClient, body: dict[str, object]
) -> None:
    answer = client.post("/v1/jobs", json={"units": "5:1", **body})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert len(answer.content) < 3_000
    assert answer.json()["detail"].isprintable()


@pytest.mark.parametrize("form", ['{"units": "5:1", %s}', '{"units": "5:1", "corpus": {%s}}'])
def test_an_object_of_thousands_of_keys_is_refused_without_reading_each(
    client: TestClient, form: str
) -> None:
    body = form % ", ".join(f'"k{number}": 1' for number in range(60_000))
    answer = client.post("/v1/jobs", content=body.encode(), headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["detail"].startswith("an object in the body has 60,00")


def test_a_body_of_100_mb_is_refused_without_being_kept(url: str) -> None:
    answer = httpx.post(f"{url}/v1/jobs", content=b" " * 100_000_000, headers=JSON, timeout=300)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_a_chunked_body_is_counted_as_it_comes(url: str) -> None:
    answer = httpx.post(
        f"{url}/v1/jobs", content=(b" " * 65_536 for _ in range(64)), headers=JSON, timeout=300
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_a_body_that_comes_too_slowly_is_given_up(tmp_path: Path) -> None:
    service = make_service(tmp_path, limits=ApiLimits(body_s=0.3))
    with listening(service.app) as url:
        place = urlsplit(url)
        with socket.create_connection((place.hostname, place.port), timeout=300) as wire:
            head = f"POST /v1/jobs HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: 50\r\n"
            wire.sendall(f"{head}Content-Type: application/json\r\n\r\n{{".encode())
            began = time.monotonic()
            # The head may come alone.
            answer = b""
            while b"body_too_slow" not in answer and (more := wire.recv(65_536)):
                answer += more
    assert b"408 Request Timeout" in answer
    assert b"body_too_slow" in answer
    assert time.monotonic() - began < 15


def test_unknown_paths_and_methods_are_problems_too(client: TestClient) -> None:
    missing, wrong = client.get("/v1/nothing"), client.put("/v1/jobs")
    assert (missing.status_code, missing.json()["code"]) == (404, "route_unknown")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "GET, HEAD, POST"


def test_every_path_names_all_methods_that_it_takes(client: TestClient) -> None:
    described = client.get("/openapi.json").json()["paths"]
    for path, methods in described.items():
        taken = {method.upper() for method in methods} | ({"HEAD"} if "get" in methods else set())
        refused = client.options(re.sub(r"\{.*?\}", "0", path))
        assert refused.status_code == 405, path
        assert set(refused.headers["allow"].split(", ")) == taken, path


def test_a_bug_is_a_problem_that_tells_nothing_of_itself(service: Service) -> None:
    def broken() -> None:
        raise ZeroDivisionError("the password is swordfish")

    service.app.add_api_route("/broken", broken)
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        answer = client.get("/broken")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert answer.headers["x-request-id"] in answer.json()["detail"]
    assert "swordfish" not in answer.text


def test_every_answer_has_the_headers_that_hold_browsers_back(client: TestClient) -> None:
    for path in ("/healthz", "/v1/nothing", "/docs", "/v1/models/tiny/labels"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "unsafe" not in headers["content-security-policy"]
        assert "script-src 'self'; style-src 'self'" in headers["content-security-policy"]
        assert "connect-src 'self'" in headers["content-security-policy"]


def test_the_page_of_documentation_loads_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs").text
    loaded = re.findall(r'<(?:script|link)[^>]*(?:src|href)="([^"]+)"', page)
    assert "/docs/swagger-ui-bundle.js" in loaded
    for path in loaded:
        answer = client.get(path)
        kind = "text/css" if path.endswith(".css") else "text/javascript"
        assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, kind)
    assert re.findall(r"<script[^>]*>[^<]", page) == []
    assert "SwaggerUIBundle({" in client.get("/docs/start.js").text


def test_the_page_of_documentation_says_everything_without_scripts(client: TestClient) -> None:
    page = client.get("/docs").text
    assert "/v1/models/{model}/units/{hook}/{index}" in page
    assert client.get("/docs/style.css").headers["content-type"].startswith("text/css")
