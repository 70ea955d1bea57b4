from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from api_service import HEADERS, JOB, Service, make_service, say_alive
from endpoint_client import TurningClock
from fake_endpoint import FakeEndpoint
from object_store import ObjectStore
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from autointerp.api.llm_probes import KEPT_S, LlmProbes
from autointerp.core.errors import UpstreamError
from autointerp.core.llm_providers import Provider


def metrics(client: TestClient) -> dict[tuple[str, str], float]:
    """Values by name and the labels' values."""
    found = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            found[sample.name, "|".join(sample.labels.values())] = sample.value
    return found


def test_a_process_that_answers_is_alive(client: TestClient) -> None:
    assert client.get("/healthz").json()["status"] == "ok"


def test_readiness_names_what_is_missing(client: TestClient, service: Service) -> None:
    missing = client.get("/readyz")
    assert missing.status_code == 503
    parts = missing.json()["parts"]
    assert [name for name, part in parts.items() if not part["ok"]] == [
        "workers:activations",
        "workers:labels",
    ]
    say_alive(service.backend)
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)


def test_an_llm_that_cannot_be_reached_is_named_without_its_address(tmp_path: Path) -> None:
    providers = {"away": Provider(base_url="http://127.0.0.1:9/secret/v1")}
    service = make_service(tmp_path, providers=providers)
    say_alive(service.backend)
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["parts"]["llm:away"]["ok"]) == (503, False)
    assert "127.0.0.1" not in answer.text
    assert "secret" not in answer.text


def test_an_llm_is_asked_once_however_often_readiness_is(tmp_path: Path) -> None:
    with FakeEndpoint(lambda _: "") as endpoint:
        providers = {"here": Provider(base_url=endpoint.base_url)}
        service = make_service(tmp_path, providers=providers)
        with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
            parts = [client.get("/readyz").json()["parts"]["llm:here"] for _ in range(3)]
        assert parts == [{"ok": True, "detail": "it answers"}] * 3
        assert endpoint.n_listed == 1


def test_an_llm_is_asked_again_after_a_while_and_once_for_all_who_wait() -> None:
    clock = TurningClock()
    probes = LlmProbes(clock=clock.clock)

    async def ask(url: str) -> list[str | None]:
        return await asyncio.gather(*(probes.fault(url) for _ in range(5)))

    with FakeEndpoint(lambda _: "") as endpoint:
        url = endpoint.base_url
        assert asyncio.run(ask(url)) == [None] * 5
        assert endpoint.n_listed == 1
        clock.now += KEPT_S - 0.1
        asyncio.run(ask(url))
        assert endpoint.n_listed == 1
        clock.now += 0.1
        asyncio.run(ask(url))
        assert endpoint.n_listed == 2
    clock.now += KEPT_S
    assert asyncio.run(ask(url)) == ["it cannot be reached (ConnectError)"] * 5


def test_an_artifact_store_that_is_away_is_named_without_its_address(tmp_path: Path) -> None:
    with ObjectStore() as object_store:
        service = make_service(tmp_path, artifacts=object_store.url("place"))
        say_alive(service.backend)
        with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
            assert client.get("/readyz").json()["parts"]["artifacts"]["ok"]
            object_store.stop()
            away = client.get("/readyz")
            object_store.start()
            assert client.get("/readyz").status_code == 200
    assert (away.status_code, away.json()["parts"]["artifacts"]["ok"]) == (503, False)
    assert "127.0.0.1" not in away.text


def test_what_workers_say_of_the_embedded_llm_is_told(client: TestClient, service: Service) -> None:
    say_alive(service.backend)
    for said, status in (("xllamacpp is not installed", 503), ("", 200)):
        service.backend.jobs.put_note("llms", "embedded", said)
        answer = client.get("/readyz")
        part = answer.json()["parts"]["llm:embedded"]
        assert (answer.status_code, part["ok"]) == (status, status == 200)
        assert said in part["detail"]


def test_an_embedded_llm_that_no_worker_spoke_of_is_looked_for_here(client: TestClient) -> None:
    part = client.get("/readyz").json()["parts"]["llm:embedded"]
    assert ("pip install" in part["detail"]) is not part["ok"]


def test_metrics_tell_jobs_queues_workers_and_money(client: TestClient, service: Service) -> None:
    job = client.post("/v1/jobs", json=JOB).json()["id"]
    service.backend.queue.mark_sent(
        [state.item for state in service.backend.queue.items(job, "plan")]
    )  # type: ignore[arg-type]
    service.backend.jobs.spend(job, requests=3, tokens=700, usd=0.25)
    service.backend.workers.heartbeat("w1", "labels", "job/label/0", ttl_s=60)
    service.backend.jobs.put_note("metrics", "w1", '{"llm_errors_timeout": 2, "bad name": 1}')
    found = metrics(client)
    assert found["autointerp_jobs", "queued"] == 1
    assert found["autointerp_queue_depth", "activations"] == 1
    assert found["autointerp_workers_busy", "labels"] == 1
    assert found["autointerp_llm_tokens", ""] == 700
    assert found["autointerp_llm_usd", ""] == 0.25
    assert found["autointerp_worker_llm_errors_timeout", "w1"] == 2
    assert found["autointerp_http_request_seconds_count", "POST|/v1/jobs|202"] == 1


def test_metrics_name_routes_and_not_what_was_asked(client: TestClient) -> None:
    client.get("/v1/models/tiny/labels?q=secret")
    client.get("/v1/nothing/at/all")
    client.request("BREW", "/v1/jobs")
    names = {labels for name, labels in metrics(client) if name.endswith("_seconds_count")}
    assert "GET|/v1/models/{model}/labels|200" in names
    assert "GET|unknown|404" in names
    assert any(labels.startswith("other|") for labels in names)
    assert not any("secret" in labels for labels in names)


def test_a_redis_that_is_away_is_503_with_a_time_to_come_back(tmp_path: Path) -> None:
    service = make_service(tmp_path)

    def away(_error: object = None) -> None:
        raise UpstreamError("Redis at redis:6379 cannot be reached", retryable=True)

    service.app.add_api_route("/away", away)
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        answer = client.get("/away")
    assert (answer.status_code, answer.json()["code"]) == (503, "upstream_unreachable")
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("module", ["autointerp.api", "autointerp.api.server", "autointerp.client"])
def test_neither_the_api_nor_the_client_brings_torch(module: str) -> None:
    heavy = "('torch', 'transformers', 'celery')"
    program = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
