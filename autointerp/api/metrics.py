"""Metrics for Prometheus: requests of this process, jobs and queues, and what workers report."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from pydantic import ValidationError
from typing_extensions import override

from autointerp.core.explanations import LabelStatus
from autointerp.core.job_state import Job, JobState, Stage
from autointerp.core.worker_metrics import LATENCY_BUCKETS_S, LlmMetrics, WorkerMetrics
from autointerp.orchestration.plan import QUEUES, queue_of
from autointerp.store.jobs import JobBackend

_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
_JOBS = 500
"""Ended jobs that are added up, the newest."""
_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})


class RequestMetrics:
    """Latency by route and status, of this process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "autointerp_http_request_seconds",
            "Time to answer a request, by route.",
            ("method", "route", "status"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        # Looking a series up costs more than counting in it.
        self._series: dict[tuple[str, str, int], Histogram] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts a request; methods that nobody knows are one."""
        known = method if method in _METHODS else "other"
        key = (known, route, status)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = self._seconds.labels(known, route, str(status))
        series.observe(seconds)

    def page(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)


class ServiceCollector(Collector):
    """Reads jobs, queues and workers whenever it is asked."""

    def __init__(self, backend: JobBackend) -> None:
        self._backend = backend

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not need Redis."""
        return ()

    @override
    def collect(self) -> Iterator[Metric]:
        open_states = {state for state in JobState if not state.is_final}
        running = self._backend.jobs.find(states=open_states, limit=_JOBS)
        ended = self._backend.jobs.find(states=set(JobState) - open_states, limit=_JOBS)
        jobs = [*running, *ended]
        yield _by_state(jobs)
        yield from _labels(jobs)
        yield from _spent(jobs)
        yield from self._queues(running)
        yield from self._workers()

    def _queues(self, running: list[Job]) -> Iterator[Metric]:
        depth = GaugeMetricFamily(
            "autointerp_queue_depth", "Pieces of work that were sent and wait.", labels=["queue"]
        )
        age = GaugeMetricFamily(
            "autointerp_queue_age_seconds", "Longest wait of one of them.", labels=["queue"]
        )
        waiting: defaultdict[str, list[float]] = defaultdict(list)
        for owner in self._owners(running):
            for stage in Stage:
                for state in self._backend.queue.items(owner, stage):
                    waits = not state.done and state.held_by is None
                    if waits and state.sent_s_ago is not None:
                        waiting[queue_of(state.item)].append(state.sent_s_ago)
        for queue in QUEUES:
            depth.add_metric([queue], len(waiting[queue]))
            age.add_metric([queue], max(waiting[queue], default=0.0))
        yield depth
        yield age

    def _owners(self, running: list[Job]) -> list[str]:
        notes = (self._backend.jobs.note(job.id, "collection") for job in running)
        return [*(job.id for job in running), *{note for note in notes if note}]

    def _workers(self) -> Iterator[Metric]:
        result = self._backend.workers.alive()
        alive = GaugeMetricFamily("autointerp_workers", "Workers that live.", labels=["queue"])
        busy = GaugeMetricFamily("autointerp_workers_busy", "Workers at work.", labels=["queue"])
        for queue in QUEUES:
            mine = [worker for worker in result if worker.queue == queue]
            alive.add_metric([queue], len(mine))
            busy.add_metric([queue], sum(worker.doing is not None for worker in mine))
        yield alive
        yield busy
        notes = {worker.name: self._backend.jobs.note("metrics", worker.name) for worker in result}
        yield from worker_metrics({name: text for name, text in notes.items() if text})


def _by_state(jobs: list[Job]) -> Metric:
    metric = GaugeMetricFamily("autointerp_jobs", "Jobs by state.", labels=["state"])
    result = Counter(job.state for job in jobs)
    for state in JobState:
        metric.add_metric([state], result[state])
    return metric


def _labels(jobs: list[Job]) -> Iterator[Metric]:
    metric = GaugeMetricFamily(
        "autointerp_labels", "Labels committed by those jobs.", labels=["status"]
    )
    for status in LabelStatus:
        metric.add_metric([status], sum(getattr(job.counts, status) for job in jobs))
    yield metric
    yield GaugeMetricFamily(
        "autointerp_labels_left",
        "Labels that jobs which have not ended still need.",
        value=sum(job.counts.total - job.counts.done for job in jobs if not job.state.is_final),
    )


def _spent(jobs: list[Job]) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "autointerp_llm_requests", "Requests to LLMs.", value=sum(job.requests for job in jobs)
    )
    yield GaugeMetricFamily(
        "autointerp_llm_tokens", "Tokens of LLMs.", value=sum(job.tokens for job in jobs)
    )
    yield GaugeMetricFamily(
        "autointerp_llm_usd",
        "Dollars for LLMs, where the price is known.",
        value=sum(job.usd or 0.0 for job in jobs),
    )


_BOUNDS = (*(str(bound) for bound in LATENCY_BUCKETS_S), "+Inf")


def worker_metrics(notes: Mapping[str, str]) -> Iterator[Metric]:
    """The metrics in the notes that workers wrote, each family once.

    The notes are JSON by the worker's name; what cannot be read is left out.
    """
    readings = {worker: result for worker, text in notes.items() if (result := _read(text))}
    yield from _counts({worker: counts for worker, (counts, _) in readings.items()})
    llms = [
        ((worker, alias), reading)
        for worker, (_, result) in readings.items()
        for alias, reading in result.llms.items()
    ]
    yield from _calls(llms)
    yield from _costs(llms)
    yield from _gpus({worker: result for worker, (_, result) in readings.items()})


def _read(text: str) -> tuple[dict[str, float], WorkerMetrics] | None:
    try:
        values = json.loads(text)
        result = WorkerMetrics.model_validate(values)
    except (ValueError, ValidationError):
        return None
    return {
        name: value
        for name, value in values.items()
        if isinstance(value, int | float) and name.isidentifier() and name.isascii()
    }, result


def _counts(counts: Mapping[str, Mapping[str, float]]) -> Iterator[Metric]:
    """Numbers such as ``{"items_done": 3}``."""
    for name in sorted({name for result in counts.values() for name in result}):
        metric = GaugeMetricFamily(
            f"autointerp_worker_{name}", "Reported by a worker.", labels=["worker"]
        )
        for worker, result in counts.items():
            if name in result:
                metric.add_metric([worker], result[name])
        yield metric


def _calls(llms: Iterable[tuple[tuple[str, str], LlmMetrics]]) -> Iterator[Metric]:
    calls = _counter("calls", "Requests sent to an LLM, repeated ones included.")
    seconds = HistogramMetricFamily(
        "autointerp_llm_seconds",
        "Time from sending a request to the end of its answer.",
        labels=["worker", "llm"],
    )
    errors = _counter("errors", "Requests to an LLM that were not answered.", "class")
    for labels, reading in llms:
        calls.add_metric(labels, reading.calls)
        if len(reading.buckets) == len(_BOUNDS):
            buckets = list(zip(_BOUNDS, accumulate(reading.buckets), strict=True))
            seconds.add_metric(labels, buckets, reading.seconds)
        for kind, n in sorted(reading.errors.items()):
            errors.add_metric((*labels, kind), n)
    yield from (calls, seconds, errors)


def _costs(llms: Iterable[tuple[tuple[str, str], LlmMetrics]]) -> Iterator[Metric]:
    hits = _counter("cache_hits", "Replies of an LLM for which nothing was sent.")
    prompt = _counter("prompt_tokens", "Tokens of prompts, as the LLM counted them.")
    completion = _counter("completion_tokens", "Tokens of replies, as the LLM counted them.")
    usd = _counter("spent_usd", "Dollars for an LLM whose price is known.")
    for labels, reading in llms:
        hits.add_metric(labels, reading.cache_hits)
        prompt.add_metric(labels, reading.prompt_tokens)
        completion.add_metric(labels, reading.completion_tokens)
        usd.add_metric(labels, reading.usd)
    yield from (hits, prompt, completion, usd)


def _counter(name: str, help_text: str, *more: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"autointerp_llm_{name}", help_text, labels=["worker", "llm", *more])


def _gpus(readings: Mapping[str, WorkerMetrics]) -> Iterator[Metric]:
    memory = GaugeMetricFamily(
        "autointerp_gpu_memory_bytes",
        "Memory of a GPU: of the worker (allocated, reserved, peak), of all (used, total).",
        labels=["worker", "device", "kind"],
    )
    busy = GaugeMetricFamily(
        "autointerp_gpu_utilization_ratio",
        "Share of the last moments in which a GPU was busy.",
        labels=["worker", "device"],
    )
    for worker, result in readings.items():
        for device, reading in result.gpus.items():
            for kind, n_bytes in reading.memory.items():
                memory.add_metric([worker, device, kind], n_bytes)
            if reading.utilization is not None:
                busy.add_metric([worker, device], reading.utilization)
    yield from (memory, busy)
