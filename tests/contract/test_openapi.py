"""The API against its own OpenAPI document: every operation, with data that fit and that do not."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx
import pytest
import schemathesis
from api_service import (
    ADMIN,
    JOB,
    Service,
    answer_all,
    listening,
    make_service,
    put_labels,
    say_alive,
)
from factories import make_label, make_provenance, make_sets, make_unit
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import load_all_checks
from schemathesis.generation import GenerationMode
from starlette.testclient import TestClient

from autointerp.api import ApiLimits, KeyRing

HEADERS = {"Authorization": f"Bearer {ADMIN}"}
# More than a test sends, so that nothing but the rules of the requests decides.
MUCH = ApiLimits(
    requests_per_s=1e6,
    burst=10**6,
    submits_per_min=1e6,
    jobs_of_key=10**6,
    jobs_waiting=10**6,
    wrong_keys_per_s=1e6,
)
WITHOUT_INPUT = {"GET /healthz", "GET /readyz"}
OPERATIONS = (
    "DELETE /v1/jobs/{job_id}",
    "GET /api/feature/{model}/{layer}/{index}",
    "GET /healthz",
    "GET /metrics",
    "GET /readyz",
    "GET /v1/diff",
    "GET /v1/jobs",
    "GET /v1/jobs/{job_id}",
    "GET /v1/jobs/{job_id}/events",
    "GET /v1/models",
    "GET /v1/models/{model}/dictionary",
    "GET /v1/models/{model}/evidence",
    "GET /v1/models/{model}/labels",
    "GET /v1/models/{model}/units/{hook}/{index}",
    "GET /v1/models/{model}/units/{hook}/{index}/evidence",
    "GET /v1/models/{model}/units/{hook}/{index}/trials",
    "GET /v1/workers",
    "POST /v1/activations",
    "POST /v1/estimates",
    "POST /v1/jobs",
    "POST /v1/jobs/{job_id}/cancel",
    "POST /v1/jobs/{job_id}/retry",
    "POST /v1/models/{model}/evidence",
    "POST /v1/models/{model}/find",
    "POST /v1/models/{model}/strongest",
    "POST /v1/models/{model}/units/{hook}/{index}/document",
    "POST /v1/models/{model}/units/{hook}/{index}/explanations",
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Service:
    digest = hashlib.sha256(ADMIN.encode()).hexdigest()
    keys = KeyRing.of([f"tester:read+submit+admin:{digest}"])
    service = make_service(tmp_path_factory.mktemp("api"), keys=keys, limits=MUCH)
    unit = make_unit(subject="smollm2-135m")
    python = make_label(unit, provenance=make_provenance(corpus="python"))
    put_labels(service.stores, [python, make_label(unit)])
    service.stores.of(unit.subject).put_sets(make_sets(unit))
    service.worker.reply = answer_all
    say_alive(service.backend)
    return service


@pytest.fixture(scope="module")
def document(served: Service) -> Any:
    load_all_checks()
    found = schemathesis.openapi.from_asgi("/openapi.json", served.app)
    # What fits the schema may still name a unit, a model or an LLM that is not there.
    accepted = ["200", "202", "204", "400", "404", "409", "422"]
    found.config.checks.positive_data_acceptance.expected_statuses = accepted
    return found


def test_every_operation_is_tested(document: Any) -> None:
    assert sorted(found.ok().label for found in document.get_all_operations()) == list(OPERATIONS)


@pytest.mark.parametrize(
    ("label", "mode"),
    [
        (label, mode)
        for label in OPERATIONS
        for mode in GenerationMode
        if mode is not GenerationMode.NEGATIVE or label not in WITHOUT_INPUT
    ],
)
def test_every_answer_is_one_that_the_document_names(
    document: Any, label: str, mode: GenerationMode
) -> None:
    operation, statuses = document.find_operation_by_label(label), list[int]()

    @given(case=operation.as_strategy(generation_mode=mode))
    # Derandomized examples still depend on the modules that are loaded: hypothesis takes constants
    # from them. What must always be tried has a test of its own.
    @settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Any) -> None:
        # Raises where the answer is not one that the document names.
        statuses.append(case.call_and_validate(headers=HEADERS).status_code)

    check()
    assert statuses
    assert max(statuses) < 500


def test_a_parameter_that_is_no_list_may_be_given_once(served: Service) -> None:
    client = TestClient(served.app, headers=HEADERS)
    document = client.get("/openapi.json").json()
    tried = 0
    for path, operation in (
        (path, methods.get("get", {})) for path, methods in document["paths"].items()
    ):
        place = path.format(
            model="tiny", hook="blocks.5.mlp.hook_post", index=131, job_id="job_1", layer=5
        )
        for parameter in operation.get("parameters", []):
            if parameter["in"] != "query":
                continue
            name, tried = parameter["name"], tried + 1
            answer = client.get(place, params=[(name, "1"), (name, "1")])
            assert answer.status_code in {404, 422}, (path, name, answer.text)
            once = "give it once" in answer.text
            assert once == (parameter["schema"].get("type") != "array"), (path, name, answer.text)
    assert tried >= 15


def test_every_example_works_as_it_stands(served: Service) -> None:
    with listening(served.app) as url, httpx.Client(base_url=url, headers=HEADERS) as client:
        send_every_example(client)


def send_every_example(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    job = client.post("/v1/jobs", json=JOB).json()["id"]
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    # What was cancelled can be removed.
    for path, method, operation in sorted(operations, key=lambda o: o[1] == "delete"):
        values = {
            p["name"]: p["example"] if p["name"] != "job_id" else job
            for p in operation.get("parameters", [])
            if p["in"] == "path"
        }
        asked = {
            p["name"]: p["schema"]["examples"][0]
            for p in operation.get("parameters", [])
            if p["in"] == "query" and p.get("required")
        }
        if path.endswith(("/events", "/retry")):
            continue  # One follows the job until it ends, the other needs one that failed.
        for body in _examples(operation, document):
            answer = client.request(method, path.format(**values), params=asked, json=body)
            assert answer.status_code < 300, (method, path, body, answer.text)


def _examples(operation: dict[str, Any], document: dict[str, Any]) -> list[Any]:
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    name = schema.get("schema", {}).get("$ref", "").rpartition("/")[2]
    return document["components"]["schemas"][name]["examples"] if name else [None]
