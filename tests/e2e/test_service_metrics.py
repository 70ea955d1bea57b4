"""What Prometheus reads of real jobs through real workers that share an endpoint's limits."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_service import HEADERS
from fake_endpoint import FakeEndpoint, html, status
from labelling import wait_until
from planted_llm import noise
from prometheus_client.parser import text_string_to_metric_families
from service import Service
from starlette.testclient import TestClient
from worker_in_process import tiny_spec

from autointerp.api import ApiConfig, Services, create_app
from autointerp.core.job_state import JobState
from autointerp.llm import ChatReply, ChatRequest

AT_ONCE = 3
KEY = "sk-nobody-may-see-this"


@pytest.fixture
def llm() -> Iterator[FakeEndpoint]:
    guess = noise(0)

    def slowly(request: ChatRequest) -> str | ChatReply | Exception:
        time.sleep(0.02)
        return guess(request)

    with FakeEndpoint(slowly) as running:
        yield running


@pytest.fixture
def service(
    model_folder: Path, texts: Path, llm: FakeEndpoint, tmp_path: Path
) -> Iterator[Service]:
    settings = {
        "models": f"tiny={model_folder}",
        "folders": texts.parent,
        "llm_base_url": llm.base_url,
        "llm_api_key": KEY,
        "llm_model": "fake",
        "llm_max_in_flight": AT_ONCE,
        "llm_rpm": 100_000,
        "llm_tpm": 100_000_000,
    }
    with Service(tmp_path / "service", settings) as running:
        running.start("labels", name="labels-2")
        yield running


@pytest.fixture
def client(service: Service, tmp_path: Path) -> Iterator[TestClient]:
    services = Services(
        backend=service.backend,
        stores=service.backends.stores,
        job_service=service.job_service,
        config=ApiConfig(folder=tmp_path / "downloads"),
    )
    with TestClient(create_app(services), headers=HEADERS, client=("127.0.0.1", 5)) as made:
        yield made


def series(client: TestClient) -> dict[tuple[str, str], float]:
    """Values by worker, and by name, alias and class, of what was asked of LLMs."""
    return {
        (sample.labels["worker"], ":".join(_named(sample.name, sample.labels))): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
        if sample.name.startswith("autointerp_llm_") and "worker" in sample.labels
    }


def _named(name: str, labels: dict[str, str]) -> list[str]:
    more = [labels[label] for label in ("llm", "class", "le") if label in labels]
    return [name.removeprefix("autointerp_llm_"), *more]


def totals(client: TestClient) -> Counter[str]:
    """Sums over workers."""
    found: Counter[str] = Counter()
    for (_, name), value in series(client).items():
        found[name] += value  # type: ignore[assignment]
    return found


def test_two_workers_share_a_limit_and_tell_what_they_asked(
    service: Service, client: TestClient, llm: FakeEndpoint, texts: Path
) -> None:
    llm.faults.extend([status(429, headers={"Retry-After": "0.2"}), status(500), html()])
    units = "0:0-23,1:0-23,2:0-23"
    jobs = [service.submit(tiny_spec(texts, llm="default", units=units, seed=3))]
    service.ended(jobs[0].id, seconds=200)
    jobs.append(service.submit(tiny_spec(texts, llm="default", units=units, seed=3)))
    ended = [service.ended(job.id, seconds=200) for job in jobs]
    assert [job.state for job in ended] == [JobState.SUCCEEDED] * 2, service.said()
    assert llm.most_in_flight == AT_ONCE
    wait_until(
        lambda: totals(client)["calls_total:default"] == len(llm.bodies) + len(llm.probes),
        said=service.said,
    )
    wait_until(lambda: totals(client)["cache_hits_total:default"] > 0, said=service.said)
    found = totals(client)
    classes = ("rate_limited", "server", "unreadable")
    assert [found[f"errors_total:default:{name}"] for name in classes] == [1, 1, 1]
    assert found["seconds_count:default"] == len(llm.charged)
    assert found["seconds_sum:default"] > 0.02 * len(llm.answered)
    prompts, replies = map(sum, zip(*llm.charged, strict=True))
    assert found["prompt_tokens_total:default"] == prompts
    assert found["completion_tokens_total:default"] == replies
    assert len(_workers(client)) == 2
    assert not [
        said for said in (KEY, llm.base_url, "127.0.0.1") if said in client.get("/metrics").text
    ]
    before = series(client)
    service.kill("labels-2")
    wait_until(lambda: len(_workers(client)) == 1, said=service.said)
    after = series(client)
    assert all(value >= before[key] for key, value in after.items())


def _workers(client: TestClient) -> set[str]:
    return {worker for worker, _ in series(client)}
