"""What all calls to one endpoint share: its rate limiter, and whether it is there.

Calls that fail alone try again alone. Once several in a row have failed, the circuit is open:
one call at a time probes, after waits that double, and the others wait for what it finds.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary

from autointerp.core.errors import UpstreamError
from autointerp.llm.rate_limiter import LocalRateLimiter, RateLimiter
from autointerp.llm.retry import ClientOptions
from autointerp.llm.shared_rate_limiter import SharedLimits, SharedRateLimiter


class Circuit:
    """The state of one endpoint. An object belongs to one event loop."""

    def __init__(
        self,
        *,
        sleep: Callable[[float], Awaitable[None]],
        clock: Callable[[], float],
        opens_after: int | None,
        first_wait_s: float,
        longest_wait_s: float,
    ) -> None:
        """A closed circuit.

        Args:
            sleep: waits so many seconds.
            clock: seconds since any moment.
            opens_after: failures in a row, over all calls, that open it; None for never.
            first_wait_s: before the first probe; it doubles from probe to probe.
            longest_wait_s: no wait is longer.
        """
        self._sleep = sleep
        self._clock = clock
        self._opens_after = opens_after
        self._first_wait_s = first_wait_s
        self._longest_wait_s = longest_wait_s
        self._n_failed = 0
        self._has_answered = False
        self._wait_s = first_wait_s
        self._turn = asyncio.Lock()
        self._gave_up: tuple[UpstreamError, float] | None = None

    @property
    def is_open(self) -> bool:
        """Whether calls wait; never for an endpoint that has not answered once."""
        return self._has_answered and self._many_failed

    @property
    def _many_failed(self) -> bool:
        return self._opens_after is not None and self._n_failed >= self._opens_after

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[None]:
        """Holds calls back while the circuit is open, except one at a time.

        Raises:
            UpstreamError: the endpoint never answered, and another call tried enough just now.
        """
        if self._gave_up is not None:
            error, moment = self._gave_up
            if self._clock() - moment < self._longest_wait_s:
                raise UpstreamError(str(error), retryable=True)
            self._gave_up = None
        if self.is_open:
            async with self._turn:
                if self.is_open:
                    await self._sleep(self._wait_s)
                    # Only probes count here: all that was in flight fails at the same time.
                    self._wait_s = min(self._longest_wait_s, 2 * self._wait_s)
                    yield
                    return
        yield

    def succeeded(self) -> None:
        """It answered: the circuit is closed."""
        self._has_answered = True
        self._n_failed = 0
        self._wait_s = self._first_wait_s
        self._gave_up = None

    def answered(self) -> None:
        """It answered with something that says nothing against it: failures are not in a row."""
        self._n_failed = 0
        self._wait_s = self._first_wait_s

    def failed(self) -> None:
        """It was not reached, or said that it is broken."""
        self._n_failed += 1

    def give_up(self, error: UpstreamError) -> None:
        """For a while no call is tried, unless the endpoint has ever answered."""
        if not self._has_answered and self._many_failed:
            self._gave_up = (error, self._clock())


@dataclass(frozen=True, slots=True)
class EndpointState:
    """What the callers of one endpoint have in common."""

    limiter: RateLimiter
    circuit: Circuit


_LIMITERS: WeakValueDictionary[object, LocalRateLimiter | SharedRateLimiter] = WeakValueDictionary()
_CIRCUITS: WeakValueDictionary[object, Circuit] = WeakValueDictionary()


def endpoint_state(
    endpoint: str,
    secret: str,
    *,
    options: ClientOptions,
    sleep: Callable[[float], Awaitable[None]],
    clock: Callable[[], float],
    shared: SharedLimits | None = None,
) -> EndpointState:
    """The limiter of an endpoint and key and the circuit of the endpoint, in this event loop.

    They live as long as somebody holds them. The strictest limits of all clients hold for all;
    where limits are shared with other processes, those hold instead.
    """
    world = (asyncio.get_running_loop(), sleep, clock, endpoint)
    circuit = _CIRCUITS.get(world)
    if circuit is None:
        circuit = _CIRCUITS[world] = Circuit(
            sleep=sleep,
            clock=clock,
            opens_after=options.circuit_after,
            first_wait_s=2 * options.first_wait_s,
            longest_wait_s=options.longest_wait_s,
        )
    key = (*world, hashlib.sha256(secret.encode()).digest(), shared and shared.endpoint)
    limiter = _LIMITERS.get(key)
    if limiter is None:
        limiter = _LIMITERS[key] = (
            LocalRateLimiter(sleep=sleep, clock=clock)
            if shared is None
            else SharedRateLimiter(shared)
        )
    if isinstance(limiter, LocalRateLimiter):
        limiter.tighten(options.limits)
    return EndpointState(limiter, circuit)
