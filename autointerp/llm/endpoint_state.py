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

from autointerp.core.backoff import Backoff
from autointerp.core.errors import UpstreamError
from autointerp.llm.options import ClientDependencies, ClientOptions
from autointerp.llm.rate_limiter import LocalRateLimiter, RateLimiter
from autointerp.llm.shared_rate_limiter import SharedRateLimiter


class Circuit:
    """The state of one endpoint. An object belongs to one event loop."""

    def __init__(
        self,
        *,
        sleep: Callable[[float], Awaitable[None]],
        clock: Callable[[], float],
        opens_after: int | None,
        backoff: Backoff,
    ) -> None:
        """A closed circuit, which `opens_after` failures in a row, over all calls, open.

        None never opens it. The backoff gives the waits before probes.
        """
        self._sleep = sleep
        self._clock = clock
        self._opens_after = opens_after
        self._backoff = backoff
        self._n_failed = 0
        self._has_answered = False
        self._n_probed = 0
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
    async def attempt(self) -> AsyncIterator[bool]:
        """Holds calls back while the circuit is open, except one at a time; whether this is one.

        Raises:
            UpstreamError: the endpoint never answered, and another call tried enough just now.
        """
        if self._gave_up is not None:
            error, moment = self._gave_up
            if self._clock() - moment < self._backoff.longest_s:
                raise UpstreamError(str(error), retryable=True)
            self._gave_up = None
        if self.is_open:
            async with self._turn:
                if self.is_open:
                    # Only probes count here: all that was in flight fails at the same time.
                    self._n_probed += 1
                    await self._sleep(self._backoff.wait_s(self._n_probed))
                    yield True
                    return
        yield False

    def succeeded(self) -> None:
        """It answered: the circuit is closed."""
        self.answered()
        self._has_answered = True
        self._gave_up = None

    def answered(self) -> None:
        """It answered with something that says nothing against it: failures are not in a row."""
        self._n_failed = 0
        self._n_probed = 0

    def failed(self) -> None:
        """It was not reached, or reported that it is broken."""
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
    endpoint: str, secret: str, *, options: ClientOptions, dependencies: ClientDependencies
) -> EndpointState:
    """The limiter of an endpoint and key and the circuit of the endpoint, in this event loop.

    They live as long as a client holds them. The strictest limits of all clients hold for all;
    where limits are shared with other processes, those hold instead.
    """
    sleep, clock, shared = dependencies.sleep, dependencies.clock, dependencies.limits
    world = (asyncio.get_running_loop(), sleep, clock, endpoint)
    circuit = _CIRCUITS.get(world)
    if circuit is None:
        circuit = _CIRCUITS[world] = Circuit(
            sleep=sleep,
            clock=clock,
            opens_after=options.circuit_after,
            backoff=Backoff(2 * options.first_wait_s, options.longest_wait_s),
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
