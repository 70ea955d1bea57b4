"""Metrics for Prometheus: requests of this process, jobs and queues, and what workers report."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from autointerp.core.job_state import JobState, JobSummary, Stage
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
        """Counts a request; unknown methods count as one."""
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
        by_state = Counter(job.state for job in jobs)
        yield _gauge(
            "jobs", "Jobs by state.", ("state",), {(state,): by_state[state] for state in JobState}
        )
        yield from _labels(jobs)
        yield from _spent(jobs)
        yield from self._queues(running)
        yield from self._workers()

    def _queues(self, running: list[JobSummary]) -> Iterator[Metric]:
        waiting: dict[str, list[float]] = {queue: [] for queue in QUEUES}
        for owner in self._owners(running):
            for stage in Stage:
                for state in self._backend.queue.items(owner, stage):
                    waits = not state.done and state.held_by is None
                    if waits and state.sent_s_ago is not None:
                        waiting[queue_of(state.item)].append(state.sent_s_ago)
        yield _gauge(
            "queue_depth",
            "Pieces of work that were sent and wait.",
            ("queue",),
            {(queue,): len(waits_s) for queue, waits_s in waiting.items()},
        )
        yield _gauge(
            "queue_age_seconds",
            "Longest wait of one of them.",
            ("queue",),
            {(queue,): max(waits_s, default=0.0) for queue, waits_s in waiting.items()},
        )

    def _owners(self, running: list[JobSummary]) -> list[str]:
        notes = (self._backend.jobs.note(job.id, "collection") for job in running)
        return [*(job.id for job in running), *{note for note in notes if note}]

    def _workers(self) -> Iterator[Metric]:
        workers = self._backend.workers.alive()
        alive = Counter(worker.queue for worker in workers)
        busy = Counter(worker.queue for worker in workers if worker.doing is not None)
        for name, help_text, n in (
            ("workers", "Workers that live.", alive),
            ("workers_busy", "Workers at work.", busy),
        ):
            yield _gauge(name, help_text, ("queue",), {(queue,): n[queue] for queue in QUEUES})
        notes = {worker.name: self._backend.jobs.note("metrics", worker.name) for worker in workers}
        yield from worker_metrics({name: text for name, text in notes.items() if text})


def _gauge(
    name: str,
    help_text: str,
    labels: Sequence[str],
    values: Mapping[tuple[str, ...], float],
) -> Metric:
    """A gauge with a value for each combination of its labels."""
    metric = GaugeMetricFamily(f"autointerp_{name}", help_text, labels=labels)
    for of, value in values.items():
        metric.add_metric(of, value)
    return metric


def _labels(jobs: list[JobSummary]) -> Iterator[Metric]:
    yield _gauge(
        "labels",
        "Labels committed by those jobs.",
        ("status",),
        {(s,): sum(getattr(job.counts, s) for job in jobs) for s in LabelStatus},
    )
    left = sum(job.counts.total - job.counts.done for job in jobs if not job.state.is_final)
    yield _gauge("labels_left", "Labels that jobs which have not ended still need.", (), {(): left})


def _spent(jobs: list[JobSummary]) -> Iterator[Metric]:
    for name, help_text, n in (
        ("requests", "Requests to LLMs.", sum(job.requests for job in jobs)),
        ("tokens", "Tokens of LLMs.", sum(job.tokens for job in jobs)),
        ("usd", "Dollars for LLMs, where the price is known.", sum(j.usd or 0.0 for j in jobs)),
    ):
        yield _gauge(f"llm_{name}", help_text, (), {(): n})


_BOUNDS = (*(str(bound) for bound in LATENCY_BUCKETS_S), "+Inf")


def worker_metrics(notes: Mapping[str, str]) -> Iterator[Metric]:
    """The metrics in the notes that workers wrote, each family once.

    The notes are JSON by the worker's name; what cannot be read is left out.
    """
    reports = {worker: result for worker, text in notes.items() if (result := _read(text))}
    yield from _counts({worker: counts for worker, (counts, _) in reports.items()})
    llms = [
        ((worker, alias), report)
        for worker, (_, result) in reports.items()
        for alias, report in result.llms.items()
    ]
    yield from _calls(llms)
    yield from _costs(llms)
    yield from _gpus({worker: result for worker, (_, result) in reports.items()})


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
        having = [(worker, result) for worker, result in counts.items() if name in result]
        values: dict[tuple[str, ...], float] = {(w,): result[name] for w, result in having}
        yield _gauge(f"worker_{name}", "Reported by a worker.", ("worker",), values)


def _calls(llms: Iterable[tuple[tuple[str, str], LlmMetrics]]) -> Iterator[Metric]:
    calls = _counter("calls", "Requests sent to an LLM, repeated ones included.")
    seconds = HistogramMetricFamily(
        "autointerp_llm_seconds",
        "Time from sending a request to the end of its answer.",
        labels=["worker", "llm"],
    )
    errors = _counter("errors", "Requests to an LLM that were not answered.", "class")
    for labels, report in llms:
        calls.add_metric(labels, report.calls)
        if len(report.buckets) == len(_BOUNDS):
            buckets = list(zip(_BOUNDS, accumulate(report.buckets), strict=True))
            seconds.add_metric(labels, buckets, report.seconds)
        for kind, n in sorted(report.errors.items()):
            errors.add_metric((*labels, kind), n)
    yield from (calls, seconds, errors)


def _costs(llms: Iterable[tuple[tuple[str, str], LlmMetrics]]) -> Iterator[Metric]:
    hits = _counter("cache_hits", "Replies of an LLM for which nothing was sent.")
    prompt = _counter("prompt_tokens", "Tokens of prompts, as the LLM counted them.")
    completion = _counter("completion_tokens", "Tokens of replies, as the LLM counted them.")
    usd = _counter("spent_usd", "Dollars for an LLM whose price is known.")
    for labels, report in llms:
        hits.add_metric(labels, report.cache_hits)
        prompt.add_metric(labels, report.prompt_tokens)
        completion.add_metric(labels, report.completion_tokens)
        usd.add_metric(labels, report.usd)
    yield from (hits, prompt, completion, usd)


def _counter(name: str, help_text: str, *more: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"autointerp_llm_{name}", help_text, labels=["worker", "llm", *more])


def _gpus(reports: Mapping[str, WorkerMetrics]) -> Iterator[Metric]:
    gpus = [
        ((worker, device), report)
        for worker, result in reports.items()
        for device, report in result.gpus.items()
    ]
    yield _gauge(
        "gpu_memory_bytes",
        "Memory of a GPU: of the worker (allocated, reserved, peak), of all (used, total).",
        ("worker", "device", "kind"),
        {(*of, kind): n for of, report in gpus for kind, n in report.memory.items()},
    )
    yield _gauge(
        "gpu_utilization_ratio",
        "Share of the last moments in which a GPU was busy.",
        ("worker", "device"),
        {of: report.utilization for of, report in gpus if report.utilization is not None},
    )
