"""Counts requests to an LLM and their outcomes, for monitoring."""

from __future__ import annotations

import bisect
import threading
from collections import Counter
from decimal import Decimal
from enum import StrEnum

from autointerp.core.worker_metrics import LATENCY_BUCKETS_S, LlmMetrics
from autointerp.llm.cost_log import Spent


class Failure(StrEnum):
    """Classes of requests that were not answered."""

    RATE_LIMITED = "rate_limited"
    """The endpoint wants fewer requests."""
    TIMEOUT = "timeout"
    """No reply in time."""
    UNREACHABLE = "unreachable"
    """No connection."""
    CUT = "cut"
    """The connection was lost on the way."""
    SERVER = "server"
    """A status of 500 and above, or another that is transient."""
    UNREADABLE = "unreadable"
    """A reply that is not a completion."""
    REFUSED = "refused"
    """This request was refused for what is in it."""
    REJECTED = "rejected"
    """A key, a model or an address is wrong."""


class Meter:
    """Requests to one LLM; several threads may count."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls, self._cache_hits, self._tokens = 0, 0, [0, 0]
        self._seconds, self._usd = 0.0, Decimal(0)
        self._buckets = [0] * (len(LATENCY_BUCKETS_S) + 1)
        self._errors: Counter[str] = Counter()

    def sent(self) -> None:
        """Counts a request that is sent."""
        with self._lock:
            self._calls += 1

    def answered(self, seconds: float) -> None:
        """Counts a reply that came after so many seconds."""
        with self._lock:
            self._seconds += seconds
            self._buckets[bisect.bisect_left(LATENCY_BUCKETS_S, seconds)] += 1

    def failed(self, failure: Failure) -> None:
        """Counts a request that was not answered."""
        with self._lock:
            self._errors[failure.value] += 1

    def add_cost(self, spent: Spent) -> None:
        """Counts what a call cost, or a cached reply; assumed tokens are left out."""
        with self._lock:
            self._cache_hits += spent.cached_replies
            if not spent.assumed:
                self._tokens[0] += spent.prompt_tokens
                self._tokens[1] += spent.completion_tokens
                self._usd += spent.usd or 0

    @property
    def reading(self) -> LlmMetrics:
        """All of it, so far."""
        with self._lock:
            return LlmMetrics(
                calls=self._calls,
                seconds=self._seconds,
                buckets=tuple(self._buckets),
                errors=dict(self._errors),
                cache_hits=self._cache_hits,
                prompt_tokens=self._tokens[0],
                completion_tokens=self._tokens[1],
                usd=float(self._usd),
            )
