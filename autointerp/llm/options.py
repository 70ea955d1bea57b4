"""How a client uses an endpoint, what it needs from outside, and the meter that counts requests."""

from __future__ import annotations

import asyncio
import bisect
import random
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

import httpx2

from autointerp.core.backoff import Backoff
from autointerp.core.errors import InputError
from autointerp.core.limits import EndpointLimits
from autointerp.core.worker_metrics import LATENCY_BUCKETS_S, LlmMetrics
from autointerp.llm.cost_log import Spent
from autointerp.llm.shared_rate_limiter import SharedLimits


class Failure(StrEnum):
    """Classes of requests that were not answered."""

    RATE_LIMITED = "rate_limited"
    """The endpoint wants fewer requests."""
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
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


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Limits on how an endpoint is used."""

    max_in_flight: int = 4
    """Requests in flight at once; callers of one endpoint and key share the limit."""
    requests_per_minute: int | None = None
    """Requests sent within any minute, shared likewise; None for no limit."""
    tokens_per_minute: int | None = None
    """Tokens of prompts and replies within any minute, shared likewise; None for no limit."""
    timeout_s: float = 120.0
    """Longest time for one reply, from sending to the last byte."""
    deadline_s: float = 900.0
    """Longest time for one call with all its attempts and waits; what it queues before it is
    first sent does not count."""
    attempts: int = 5
    """Times that a request is sent before a transient failure is given up."""
    first_wait_s: float = 0.5
    """Wait before the second attempt; it doubles from attempt to attempt."""
    longest_wait_s: float = 30.0
    """No single wait is longer, unless the endpoint asks for it."""
    longest_asked_wait_s: float = 120.0
    """No single wait that the endpoint asks for is longer. Where it asks for more than the
    deadline, even a tiny question, the call is given up."""
    circuit_after: int | None = 5
    """Failures in a row, over all calls, after which an endpoint that has answered before counts
    as down: calls then wait for it until their deadline. None for never."""

    headers: str = field(default="", repr=False)
    """Headers to send, ``Name: value`` separated by semicolons; ``{key}`` is the API key."""
    negotiates: bool = True
    """Whether to find out what the endpoint takes before the first question."""

    @property
    def limits(self) -> EndpointLimits:
        """The limits that callers share."""
        return EndpointLimits(self.max_in_flight, self.requests_per_minute, self.tokens_per_minute)

    @property
    def backoff(self) -> Backoff:
        """The waits between attempts."""
        return Backoff(self.first_wait_s, self.longest_wait_s, jitter=0.5)

    def wait_s(
        self, n_failed: int, *, asked_s: float | None = None, rng: random.Random | None = None
    ) -> float:
        """Seconds to wait after so many failed attempts, or as long as the endpoint asks."""
        if asked_s is None:
            return self.backoff.wait_s(n_failed, rng=rng)
        asking = replace(self.backoff, longest_s=self.longest_asked_wait_s)
        return asking.wait_s(n_failed, asked_s=asked_s, rng=rng)

    def cuts(self, asked_s: float | None, n_cut: int) -> bool:
        """Whether less is waited than the endpoint asks, so often already, within the deadline.

        The next attempt then comes too early to count as one.
        """
        longest_s = self.longest_asked_wait_s
        return asked_s is not None and asked_s > longest_s and n_cut < self.deadline_s // longest_s

    def __post_init__(self) -> None:
        always = ("max_in_flight", "attempts", "timeout_s", "deadline_s")
        for name in (*always, "requests_per_minute", "tokens_per_minute", "circuit_after"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} must be above 0, found {value}")


@dataclass(frozen=True, slots=True)
class ClientDependencies:
    """What a client needs from outside, so that a test can replace it."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    """Waits so many seconds."""
    clock: Callable[[], float] = time.time
    """Unix time in seconds."""
    transport: httpx2.AsyncBaseTransport | None = None
    """Sends HTTP requests; None takes the network."""
    seed: int = 0
    """Of the jitter in waits."""
    limits: SharedLimits | None = None
    """Limits that other processes share; None keeps those of the options in this one."""
    meter: Meter | None = None
    """Counts requests; None counts nothing."""
    on_event: Callable[[str], None] = lambda _: None
    """Hears that a call is waited for, in a sentence, once in a while."""
