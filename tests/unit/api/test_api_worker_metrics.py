"""What workers say of LLMs and GPUs, as Prometheus reads it."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from api_service import Service
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from autointerp.core.worker_metrics import LATENCY_BUCKETS_S, GpuMetrics, LlmMetrics, WorkerMetrics
from autointerp.llm import Meter, Spent

Labels = frozenset[tuple[str, str]]


def page(client: TestClient) -> dict[tuple[str, Labels], float]:
    """Values by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    }


def series(name: str, **labels: str) -> tuple[str, Labels]:
    return f"autointerp_{name}", frozenset(labels.items())


def say(service: Service, worker: str, readings: WorkerMetrics, **counts: int) -> None:
    service.backend.workers.heartbeat(worker, "labels", None, ttl_s=60)
    told = {**counts, **readings.model_dump(mode="json")}
    service.backend.jobs.put_note("metrics", worker, json.dumps(told))


def reading(*seconds: float, errors: dict[str, int] | None = None) -> LlmMetrics:
    meter = Meter()
    for one in seconds:
        meter.sent()
        meter.answered(one)
    meter.add_cost(Spent(len(seconds), 2, 300, 0, 40))
    return meter.reading.model_copy(update={"errors": errors or {}, "usd": 0.25})


def test_calls_latencies_errors_and_costs_are_told_by_worker_and_alias(
    client: TestClient, service: Service
) -> None:
    one = reading(0.07, 0.2, 3.0, errors={"rate_limited": 2, "timeout": 1})
    say(service, "w1", WorkerMetrics(llms={"fast": one, "none": LlmMetrics()}), items_done=3)
    say(service, "w2", WorkerMetrics(llms={"fast": reading(0.2)}), items_done=4)
    found = page(client)
    mine = {"worker": "w1", "llm": "fast"}
    assert found[series("llm_calls_total", **mine)] == 3
    assert found[series("llm_seconds_bucket", le="0.1", **mine)] == 1
    assert found[series("llm_seconds_bucket", le="0.25", **mine)] == 2
    assert found[series("llm_seconds_bucket", le="+Inf", **mine)] == 3
    assert found[series("llm_seconds_count", **mine)] == 3
    assert found[series("llm_seconds_sum", **mine)] == pytest.approx(3.27)
    errors = {"rate_limited": 2, "timeout": 1}
    assert {c: found[series("llm_errors_total", **mine, **{"class": c})] for c in errors} == errors
    assert found[series("llm_cache_hits_total", **mine)] == 2
    assert found[series("llm_prompt_tokens_total", **mine)] == 300
    assert found[series("llm_completion_tokens_total", **mine)] == 40
    assert found[series("llm_spent_usd_total", **mine)] == 0.25
    assert found[series("llm_calls_total", worker="w2", llm="fast")] == 1
    assert [found[series("worker_items_done", worker=w)] for w in ("w1", "w2")] == [3, 4]


def test_gpus_are_told_with_what_is_known_of_them(client: TestClient, service: Service) -> None:
    known = GpuMetrics(memory={"allocated": 10, "total": 80}, utilization=0.5)
    say(service, "w1", WorkerMetrics(gpus={"cuda:0": known, "cuda:1": GpuMetrics()}))
    found = page(client)
    mine = {"worker": "w1", "device": "cuda:0"}
    assert found[series("gpu_memory_bytes", kind="allocated", **mine)] == 10
    assert found[series("gpu_utilization_ratio", **mine)] == 0.5
    assert not [key for key in found if ("device", "cuda:1") in key[1]]


def test_a_worker_that_dies_takes_its_series_along_and_no_other_falls(
    client: TestClient, service: Service
) -> None:
    for worker in ("w1", "w2"):
        say(service, worker, WorkerMetrics(llms={"fast": reading(0.2)}))
    before = page(client)
    service.backend.workers.heartbeat("w1", "labels", None, ttl_s=0)
    after = page(client)
    counters = {key for key in before if key[0].endswith(("_total", "_bucket", "_count", "_sum"))}
    mine = {key for key in counters if ("worker", "w1") in key[1]}
    assert len(mine) > len(LATENCY_BUCKETS_S)
    assert not mine & set(after)
    theirs = {key for key in counters if ("worker", "w2") in key[1]}
    assert all(after[key] == before[key] for key in theirs)


def test_every_family_is_told_once_and_notes_of_other_versions_are_left_out(
    client: TestClient, service: Service
) -> None:
    say(service, "w1", WorkerMetrics(llms={"fast": reading(0.2)}), items_done=1)
    say(service, "w2", WorkerMetrics(llms={"fast": reading(0.2)}), items_done=1)
    newer = (
        '{"items_done": 7, "llms": {"fast": {"calls": 2, "moods": 3, "buckets": [1]}}, "new": {}}'
    )
    for worker, text in {"w3": newer, "w4": '{"llms": [1]}', "w5": "no JSON"}.items():
        service.backend.workers.heartbeat(worker, "labels", None, ttl_s=60)
        service.backend.jobs.put_note("metrics", worker, text)
    text = client.get("/metrics").text
    types = Counter(line.split()[2] for line in text.splitlines() if line.startswith("# TYPE"))
    assert set(types.values()) == {1}
    found = page(client)
    assert found[series("llm_calls_total", worker="w3", llm="fast")] == 2
    assert series("llm_seconds_count", worker="w3", llm="fast") not in found
    assert not [key for key in found if key[1] & {("worker", "w4"), ("worker", "w5")}]
