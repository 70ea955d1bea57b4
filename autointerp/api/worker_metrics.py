"""What workers say of themselves, for Prometheus.

Every series has the worker among its labels: it begins at zero with its worker and ends with it,
so that a worker that dies takes nothing away from any other series.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric
from pydantic import ValidationError

from autointerp.core.worker_metrics import LATENCY_BUCKETS_S, LlmMetrics, WorkerMetrics

_BOUNDS = (*(str(bound) for bound in LATENCY_BUCKETS_S), "+Inf")


def worker_metrics(notes: Mapping[str, str]) -> Iterator[Metric]:
    """The metrics in the notes that workers wrote, each family once.

    Args:
        notes: JSON by the worker's name; what cannot be read is left out.
    """
    readings = {worker: found for worker, text in notes.items() if (found := _read(text))}
    yield from _counts({worker: counts for worker, (counts, _) in readings.items()})
    llms = [
        ((worker, alias), reading)
        for worker, (_, found) in readings.items()
        for alias, reading in found.llms.items()
    ]
    yield from _calls(llms)
    yield from _costs(llms)
    yield from _gpus({worker: found for worker, (_, found) in readings.items()})


def _read(text: str) -> tuple[dict[str, float], WorkerMetrics] | None:
    try:
        values = json.loads(text)
        found = WorkerMetrics.model_validate(values)
    except (ValueError, ValidationError):
        return None
    return {
        name: value
        for name, value in values.items()
        if isinstance(value, int | float) and name.isidentifier() and name.isascii()
    }, found


def _counts(counts: Mapping[str, Mapping[str, float]]) -> Iterator[Metric]:
    """Numbers such as ``{"items_done": 3}``."""
    for name in sorted({name for found in counts.values() for name in found}):
        metric = GaugeMetricFamily(
            f"autointerp_worker_{name}", "Said by a worker.", labels=["worker"]
        )
        for worker, found in counts.items():
            if name in found:
                metric.add_metric([worker], found[name])
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


def _counter(name: str, said: str, *more: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"autointerp_llm_{name}", said, labels=["worker", "llm", *more])


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
    for worker, found in readings.items():
        for device, reading in found.gpus.items():
            for kind, n_bytes in reading.memory.items():
                memory.add_metric([worker, device, kind], n_bytes)
            if reading.utilization is not None:
                busy.add_metric([worker, device], reading.utilization)
    yield from (memory, busy)
