"""How a client uses an endpoint: limits, waits, and what it needs from outside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx2

from autointerp.core.backoff import Backoff
from autointerp.core.errors import InputError
from autointerp.core.limits import EndpointLimits
from autointerp.llm.meter import Meter
from autointerp.llm.shared_rate_limiter import SharedLimits


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
    """No single wait is longer, whatever the endpoint requests."""
    circuit_after: int | None = 5
    """Failures in a row, over all calls, after which an endpoint that has answered before counts
    as down: calls then wait for it until their deadline. None for never."""

    @property
    def limits(self) -> EndpointLimits:
        """The limits that callers share."""
        return EndpointLimits(self.max_in_flight, self.requests_per_minute, self.tokens_per_minute)

    @property
    def backoff(self) -> Backoff:
        """The waits between attempts."""
        return Backoff(self.first_wait_s, self.longest_wait_s, jitter=0.5)

    def __post_init__(self) -> None:
        for name in ("max_in_flight", "attempts", "timeout_s", "deadline_s"):
            _check_positive(name, getattr(self, name))
        for name in ("requests_per_minute", "tokens_per_minute", "circuit_after"):
            if getattr(self, name) is not None:
                _check_positive(name, getattr(self, name))


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
    """Counts requests, where somebody wants to know."""


def _check_positive(name: str, value: float) -> None:
    if not value > 0:
        msg = f"{name} must be above 0, found {value}"
        raise InputError(msg)
