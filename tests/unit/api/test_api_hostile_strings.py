"""No string of a request becomes a path, a key or an address that the server did not mean."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from api_service import HEADERS, JOB, Service, answer_all, make_service
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opened_files import opened_files
from schema_parts import fields_of
from starlette.testclient import TestClient

from autointerp.api import ApiLimits
from autointerp.api.schemas.job_schemas import JobRequest
from autointerp.templates.loader import prompts_folder

SECRET = "the password is 1234"
MUCH = ApiLimits(
    requests_per_s=1e6,
    burst=10**6,
    submits_per_min=1e6,
    jobs_of_key=10**6,
    jobs_waiting=10**6,
    streams_of_key=10**6,
)
PLACES = tuple(
    tuple(int(part) if part.isdigit() else part for part in path)
    for path, each in fields_of(JobRequest.model_json_schema())
    if each["type"] == "string" and path != ("evidence", "prompts", "0")
)
"""Every string of a job but prompts, which may be any text."""
PIECES = st.sampled_from(
    [*"/.,:=~@#?&%*", "..", "../", "/etc/passwd", "SECRET", "v1", "v2", "sae:", "dirs:", "layer:"]
    + ["random:", "all", "wiki", "python", "hf:", "blocks.5.", "mlp.hook_post", "0-9", "5", "²"]
    + ["٣", "\x00", "\n", "\r\n", "\x7f", "\u202e", "\ud800", "http://169.254.169.254/", "$HOME"]
    + ["9" * 400, "9" * 5000, "a" * 5000, "{now}", "{0.__class__}", "%00", "%2e%2e%2f", "file://"]
)
HOSTILE = st.one_of(st.lists(PIECES, min_size=1, max_size=6).map("".join), st.text(max_size=40))
EXAMPLES = settings(
    max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A text of the server that reads as a prompt, without its suffix."""
    path = tmp_path_factory.mktemp("elsewhere") / "secret.txt"
    path.write_text(f"=== user\n{SECRET}\n", encoding="utf-8")
    return str(path.with_suffix(""))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Service:
    service = make_service(tmp_path_factory.mktemp("server"), limits=MUCH)
    service.worker.reply = answer_all
    return service


@pytest.fixture(scope="module")
def caller(served: Service) -> Iterator[TestClient]:
    with TestClient(served.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        yield client


def is_allowed(path: str, data: Path) -> bool:
    """The server's own files, Python's, and what asyncio and the test client need."""
    ours = (str(prompts_folder()), str(data), *sys.path, sys.prefix, sys.base_prefix, "/dev/null")
    return any(path == folder or path.startswith(f"{folder}/") for folder in ours if folder)


def put(body: dict[str, Any], place: tuple[str | int, ...], text: str) -> None:
    if len(place) == 1:
        body[str(place[0])] = text
        return
    step = body.setdefault(str(place[0]), {})
    step[place[1]] = [text] if len(place) == 3 else text


def test_every_string_of_a_job_is_among_those_that_are_tried() -> None:
    known = {("subject",), ("units",), ("dtype",), ("corpus", "corpus"), ("explain", "prompt")}
    known |= {("explain", "explainers", 0), ("score", "prompt"), ("score", "scorers", 0)}
    assert known | {("sides",), ("llm",), ("llm_model",)} <= set(PLACES)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
@pytest.mark.parametrize(
    "text",
    [
        *("../../x", "/any/where", "SECRET", "\x00", "~nobody/x", "http://169.254.169.254/", "²"),
        *(
            "..\\..\\x",
            "file:///etc/passwd",
            "a\nb",
            "\x1b[31m",
            "\u202ex",
            "v1/../../x",
            "%2e%2e%2f",
        ),
    ],
    ids=ascii,
)
def test_a_job_with_a_hostile_string_is_refused(
    caller: TestClient, secret: str, place: tuple[str | int, ...], text: str
) -> None:
    body: dict[str, Any] = dict(JOB)
    put(body, place, text.replace("SECRET", secret))
    answer = caller.post("/v1/jobs", json=body)
    assert answer.status_code == 422, answer.text
    assert SECRET not in answer.text


def test_a_prompt_of_a_job_is_text_and_no_path(caller: TestClient, secret: str) -> None:
    body = dict(JOB) | {"evidence": {"kind": "steering", "prompts": [secret]}}
    answer = caller.post("/v1/jobs", json=body)
    assert answer.status_code == 202, answer.text
    asked = caller.get(f"/v1/jobs/{answer.json()['id']}").text
    assert SECRET not in answer.text + asked


@pytest.mark.parametrize(
    "path",
    [
        f"/api/feature/tiny/{'9' * 5000}/131",
        f"/v1/models/tiny/units/blocks.{'9' * 5000}.mlp.hook_post/131",
        "/v1/models/tiny/units/blocks.²5.mlp.hook_post/131",
        "/v1/models/tiny/units/blocks.٣.mlp.hook_post/131",
        "/v1/models/tiny/units/blocks.5.mlp.hook_post/٣",
        "/v1/models/..%2f..%2fx/labels",
        "/v1/models/%00/dictionary",
        "/v1/jobs/job_%2e%2e/events",
    ],
    ids=lambda path: ascii(path)[:60],
)
def test_a_path_to_what_cannot_exist_is_not_found(caller: TestClient, path: str) -> None:
    assert caller.get(path).status_code in {404, 422}


@pytest.mark.parametrize("units", ["layer:²", "random:²", "5:²", "²:5", "blocks.٣.mlp.hook_post:1"])
def test_digits_of_other_scripts_are_no_units(caller: TestClient, units: str) -> None:
    for path, body in (("jobs", JOB), ("activations", {"model": "tiny", "text": "a"})):
        answer = caller.post(f"/v1/{path}", json={**body, "units": units})
        assert (answer.status_code, answer.json()["code"]) == (422, "unit_unknown")


@pytest.mark.parametrize("owner", ["a/b", "", " ", "x" * 65, "a:b", "\x00", "*"])
def test_the_owner_of_jobs_is_the_name_of_a_key(caller: TestClient, owner: str) -> None:
    assert caller.get("/v1/jobs", params={"owner": owner}).status_code == 422


@given(
    strings=st.lists(st.tuples(st.sampled_from(PLACES), HOSTILE), min_size=1, max_size=3),
    path=st.sampled_from(["/v1/jobs", "/v1/activations"]),
)
@EXAMPLES
def test_no_job_opens_a_file_outside_the_folders_of_the_server(
    served: Service,
    caller: TestClient,
    secret: str,
    tmp_path_factory: pytest.TempPathFactory,
    strings: list[tuple[tuple[str | int, ...], str]],
    path: str,
) -> None:
    body: dict[str, Any] = dict(JOB) if path == "/v1/jobs" else {"model": "tiny", "text": "a b"}
    other = {"subject": ("model",), "dtype": ("text",)}
    for place, text in strings:
        there = place if path == "/v1/jobs" else other.get(str(place[0]), ("units",))
        put(body, there, text.replace("SECRET", secret))
    with opened_files() as paths:
        answer = caller.post(
            path, content=json.dumps(body), headers={"content-type": "application/json"}
        )
    assert answer.status_code < 500, answer.text
    assert SECRET not in answer.text
    assert [p for p in paths if not is_allowed(p, tmp_path_factory.getbasetemp())] == []
    assert not any(p.startswith(secret) for p in paths)


_UNIT = "blocks.5.mlp.hook_post"
FORMS = (
    *(
        "GET /v1/jobs/{0}",
        "GET /v1/jobs/{0}/events",
        "GET /v1/jobs/job_1/events?kind={0}",
        "DELETE /v1/jobs/{0}",
    ),
    *("POST /v1/jobs/{0}/cancel", "POST /v1/jobs/{0}/retry"),
    *(f"GET /v1/jobs?{name}={{0}}" for name in ("owner", "cursor", "state", "limit", "short")),
    "GET /v1/jobs?owner={0}&cursor={1}",
    "GET /v1/models/{0}/labels",
    *(f"GET /v1/models/tiny/labels?{name}={{0}}" for name in ("cursor", "hook", "status", "limit")),
    *(f"GET /v1/models/tiny/labels?{name}={{0}}" for name in ("score_min", "score_max", "meaning")),
    "GET /v1/models/tiny/labels?hook={0}&q={1}",
    "GET /v1/models/tiny/labels?sort={0}&layer={1}",
    "GET /v1/models/tiny/labels?corpus={0}&explainer={1}",
    "GET /v1/models/{0}/dictionary?format={1}",
    "GET /v1/models/tiny/dictionary?corpus={0}&explainer={1}",
    *("GET /v1/models/{0}/dictionary", "GET /v1/models/tiny/dictionary?format={0}"),
    *("GET /v1/models/{0}/units/{1}/{2}", "GET /v1/models/tiny/units/{0}/{1}"),
    f"GET /v1/models/tiny/units/{_UNIT}/{{0}}",
    f"GET /v1/models/tiny/units/{_UNIT}/131?trials={{0}}",
    f"GET /v1/models/tiny/units/{_UNIT}/131?corpus={{0}}&explainer={{1}}",
    "POST /v1/models/{0}/units/{1}/{2}/explanations",
    *("GET /v1/models/{0}/units/{1}/{2}/trials", "POST /v1/models/{0}/strongest"),
    *("GET /models/{0}", "GET /models/{0}/units/{1}/{2}", "GET /models/{0}/units/{1}/{2}/trials"),
    *("GET /models/tiny?q={0}&sort={1}", "GET /models/tiny?layer={0}&cursor={1}"),
    *("GET /compare?model={0}&hook={1}&index={2}", "GET /jobs/{0}", "GET /example/{0}"),
    *("GET /v1/diff?a={0}&b={1}", "GET /v1/diff?a=tiny&b=tiny&only={0}&sort={1}"),
    *("GET /v1/diff?a=tiny&b=tiny&limit={0}&cursor={1}", "GET /moved?a={0}&b={1}"),
    "GET /moved?a=tiny?site={0}&b=tiny?corpus={1}&sort={2}",
    f"GET /compare?model=tiny&hook={_UNIT}&index=131&a={{0}}&b=tiny?site={{1}}",
    *("POST /v1/models/{0}/units/{1}/{2}/document", "POST /v1/models/{0}/evidence"),
    *("POST /v1/models/{0}/find", "GET /models/{0}/find"),
    *("GET /v1/models/{0}/evidence", "GET /v1/models/{0}/units/{1}/{2}/evidence"),
    "GET /sign-in?next={0}",
    *("GET /api/feature/{0}/{1}/{2}", "GET /api/feature/tiny/{0}/131"),
    *("GET /api/feature/tiny/5/{0}", "GET /docs/{0}", "GET /{0}"),
)


def test_every_parameter_of_every_path_is_among_those_that_are_tried(caller: TestClient) -> None:
    described = caller.get("/openapi.json").json()["paths"]
    asked = {
        (f"{method.upper()} {path}", parameter["name"])
        for path, methods in described.items()
        for method, operation in methods.items()
        for parameter in operation.get("parameters", [])
        if parameter["in"] in {"path", "query"}
    }
    tried = set()
    for what, name in asked:
        way = re.sub(r"\\\{\w+\\\}", "[^/?]+", re.escape(what))
        own = re.sub(rf"\\\{{{name}\\\}}", r"\\{\\d\\}", re.escape(what))
        own = re.sub(r"\\\{\w+\\\}", "[^/?]+", own)
        for form in FORMS:
            before, _, query = form.partition("?")
            if (own != way and re.fullmatch(own, before)) or (
                re.fullmatch(way, before) and re.search(rf"(^|&){name}=\{{", query)
            ):
                tried.add((what, name))
    assert asked - tried == set()


@given(texts=st.tuples(HOSTILE, HOSTILE, HOSTILE), form=st.sampled_from(FORMS))
@EXAMPLES
def test_no_path_or_query_opens_a_file_outside_the_folders_of_the_server(
    caller: TestClient,
    secret: str,
    tmp_path_factory: pytest.TempPathFactory,
    texts: tuple[str, str, str],
    form: str,
) -> None:
    method, _, path = form.partition(" ")
    coded = [
        quote(text.replace("SECRET", secret), safe="", errors="surrogatepass") for text in texts
    ]
    with opened_files() as paths:
        answer = caller.request(method, path.format(*coded))
    assert answer.status_code < 500, answer.text
    assert SECRET not in answer.text
    assert [p for p in paths if not is_allowed(p, tmp_path_factory.getbasetemp())] == []
    assert not any(p.startswith(secret) for p in paths)


@given(
    name=st.sampled_from(["Idempotency-Key", "Last-Event-ID", "Range", "If-Range", "If-None-Match"])
    | st.sampled_from(["Authorization", "x-api-key", "Origin", "Host", "Content-Type", "Accept"]),
    value=HOSTILE,
)
@EXAMPLES
def test_no_header_is_more_than_refused(caller: TestClient, name: str, value: str) -> None:
    data = value.encode("utf-8", "surrogatepass").translate(None, b"\r\n\x00")
    headers = {name.encode(): data, b"content-type": b"application/json"}
    job = caller.post("/v1/jobs", content=json.dumps(JOB), headers=headers)  # type: ignore[arg-type]
    assert job.status_code < 500, job.text
    for path in ("/v1/models/tiny/dictionary", "/v1/jobs/job_1/events", "/v1/models/tiny/labels"):
        answer = caller.get(path, headers={name.encode(): data})  # type: ignore[dict-item]
        assert answer.status_code < 500, answer.text
