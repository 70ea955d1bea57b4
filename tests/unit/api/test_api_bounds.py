"""What a job may hold is bounded in every field, and wrong values are refused at submission."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from api_service import JOB, Service
from schema_parts import Path, fields_of
from starlette.testclient import TestClient

from autointerp.api.schemas.job_schemas import JobRequest
from autointerp.api.schemas.worker_request_schemas import ActivationsRequest, ExplanationRequest


def bounded(schema: Mapping[str, Any]) -> bool:
    if schema["type"] == "array":
        return "maxItems" in schema
    if schema["type"] == "string":
        return "maxLength" in schema or "enum" in schema or "pattern" in schema
    return bool({"maximum", "exclusiveMaximum"} & set(schema))


# Its upper end is what a float can hold.
UNLIMITED = {("collect", "threshold")}


@pytest.mark.parametrize("kind", [JobRequest, ActivationsRequest, ExplanationRequest])
def test_every_field_of_a_request_is_bounded(kind: Any) -> None:
    found = fields_of(kind.model_json_schema())
    assert found
    assert [path for path, each in found if not bounded(each) and path not in UNLIMITED] == []


def job_with(path: Path, value: object) -> dict[str, Any]:
    body: dict[str, Any] = dict(JOB)
    step = body
    for name in path[:-1]:
        step = step.setdefault(name, {})
    step[path[-1]] = value
    return body


FIELDS = fields_of(JobRequest.model_json_schema())
LISTS = [path for path, each in FIELDS if each["type"] == "array"]
TEXTS = [path for path, each in FIELDS if each["type"] == "string" and path[-1] != "0"]
NUMBERS = [
    path for path, each in FIELDS if each["type"] in {"integer", "number"} and path[-1] != "0"
]


@pytest.mark.parametrize("path", LISTS, ids=".".join)
@pytest.mark.parametrize("items", [["token_activation"] * 10_000, ["x" * 100_000], [0.5] * 10_000])
def test_a_list_that_is_too_long_is_refused(
    client: TestClient, service: Service, path: Path, items: list[object]
) -> None:
    answer = client.post("/v1/jobs", json=job_with(path, items))
    assert answer.status_code == 422
    assert len(answer.content) < 100_000
    assert service.backend.jobs.n_open() == 0


@pytest.mark.parametrize("path", TEXTS, ids=".".join)
def test_a_text_that_is_too_long_is_refused(client: TestClient, path: Path) -> None:
    answer = client.post("/v1/jobs", json=job_with(path, "5:1," * 200_000 + "5:1"))
    assert answer.status_code == 422
    assert len(answer.content) < 2_000


@pytest.mark.parametrize("path", NUMBERS, ids=".".join)
def test_a_number_that_is_none_or_too_large_is_refused(client: TestClient, path: Path) -> None:
    values = ["nan", "inf", "-inf", "NaN", -(10**29), *([] if path in UNLIMITED else [10**29])]
    answers = {v: client.post("/v1/jobs", json=job_with(path, v)).status_code for v in values}
    assert answers == dict.fromkeys(values, 422)


@pytest.mark.parametrize(
    "changes",
    [
        {"explain": {"explainers": ["telepathy"]}},
        {"score": {"scorers": ["simulation", "telepathy"]}},
        {"explain": {"explainers": ["Token_Activation"]}},
        {"corpus": {"corpus": "wiki=nan,python=1"}},
        {"corpus": {"corpus": "wiki=inf,python=1"}},
        {"corpus": {"corpus": "wiki=-1,python=2"}},
        {"corpus": {"corpus": "wiki=1e400,python=2"}},
    ],
    ids=str,
)
def test_names_and_weights_that_cannot_be_are_refused(
    client: TestClient, service: Service, changes: dict[str, object]
) -> None:
    answer = client.post("/v1/jobs", json={**JOB, "llm": "embedded", **changes})
    assert answer.status_code == 422
    assert service.sent == []


def test_an_unknown_scorer_of_an_explanation_is_refused_without_a_worker(
    client: TestClient, service: Service
) -> None:
    where = "/v1/models/tiny/units/blocks.5.mlp.hook_post/131/explanations"
    for scorers in (["telepathy"], ["simulation", "x" * 65], ["simulation"] * 9):
        answer = client.post(where, json={"text": "rivers", "scorers": scorers, "side": "positive"})
        assert answer.status_code == 422, answer.text
    assert service.worker.asked == []


def test_head_is_taken_wherever_get_is(client: TestClient, service: Service) -> None:
    described = client.get("/openapi.json").json()["paths"]
    paths = [path for path, methods in described.items() if "get" in methods]
    assert len(paths) > 10
    job = client.post("/v1/jobs", json=JOB).json()["id"]
    client.post(f"/v1/jobs/{job}/cancel")
    values = {"job_id": job, "model": "tiny", "hook": "blocks.5.mlp.hook_post", "index": "131"}
    for path in (*paths, "/docs", "/docs/style.css", "/openapi.json", "/v1/models/none/labels"):
        where = path.format(**values, layer="5")
        got, head = client.get(where), client.head(where)
        assert head.content == b""
        assert head.status_code == got.status_code, where
        assert head.headers.get("content-type") == got.headers.get("content-type"), where


def test_head_of_a_stream_that_goes_on_ends(url: str) -> None:
    job = httpx.post(f"{url}/v1/jobs", json=JOB, timeout=300).json()["id"]
    with httpx.Client(base_url=url, timeout=300) as client:
        for _ in range(40):  # More than a key may keep open.
            assert client.head(f"/v1/jobs/{job}/events").status_code == 200
        assert client.get("/healthz").status_code == 200
