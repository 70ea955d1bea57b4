"""What a worker measures of itself and sends with its heartbeats."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

LATENCY_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Upper bounds of the buckets of latency, in seconds; one more has no bound."""


class _Measured(BaseModel):
    # A worker of a newer version may send more than the API that reads it knows.
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class LlmMetrics(_Measured):
    """A worker's use of one LLM since it started; no number ever falls."""

    calls: int = Field(default=0, ge=0)
    """Requests sent, repeated ones included."""
    seconds: float = Field(default=0.0, ge=0)
    """From sending to the last byte, of all that were answered together."""
    buckets: tuple[int, ...] = (0,) * (len(LATENCY_BUCKETS_S) + 1)
    """Replies by how long they took; not cumulative."""
    errors: dict[str, int] = {}
    """Requests that were not answered, by class."""
    cache_hits: int = Field(default=0, ge=0)
    """Replies for which nothing was sent."""
    prompt_tokens: int = Field(default=0, ge=0)
    completion_tokens: int = Field(default=0, ge=0)
    usd: float = Field(default=0.0, ge=0)
    """Dollars, of calls whose price is known."""


class GpuMetrics(_Measured):
    """What a worker has of one GPU now, in bytes."""

    memory: dict[str, int] = {}
    """``allocated`` and ``reserved`` by the worker, ``peak`` the most it had allocated; ``used``
    and ``total`` of the device, whoever uses it."""
    utilization: float | None = None
    """Share of the last moments in which the device was busy; None where it is unknown."""


class WorkerMetrics(_Measured):
    """Everything beside its own counts."""

    llms: dict[str, LlmMetrics] = {}
    """By alias."""
    gpus: dict[str, GpuMetrics] = {}
    """By device, such as ``cuda:0``."""
