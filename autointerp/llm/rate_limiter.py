"""Limits on the requests to one endpoint, of all callers of this process together.

The number in flight adapts: halved when the endpoint says that it is too much, and grown back by
one with every round of successes. Requests and tokens are counted over the last minute.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from typing_extensions import override

from autointerp.core.limits import EndpointLimits

_MINUTE_S = 60.0


@dataclass(slots=True, eq=False)
class Permit:
    """Allows one request to be in flight."""

    n_tokens: int
    """Estimated cost in tokens; corrected once it is known."""
    round: int = 0
    """How often the number in flight had been halved when it was sent."""
    moment_s: float = 0.0
    """When it was admitted."""
    is_counted: bool = False
    """Whether it belongs to the last minute that the limits look at."""
    is_again: bool = False
    """Whether its request was sent before."""


class AdaptiveLimit:
    """The limits of one process, and what counts against them: arithmetic only, no waiting."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._most = math.inf
        self._allowed = math.inf
        self._limits = [math.inf, math.inf]
        self._counts = [0, 0]
        self._last_minute: deque[Permit] = deque()
        self.round = 0

    @property
    def in_flight(self) -> float:
        """Requests that may be in flight at once, by now."""
        return self._allowed

    def tighten(self, limits: EndpointLimits) -> None:
        """Takes the smaller of the limits so far and these."""
        self._most = min(self._most, limits.in_flight)
        self._allowed = min(self._allowed, self._most)
        more = (limits.requests or math.inf, limits.tokens or math.inf)
        self._limits = [min(pair) for pair in zip(self._limits, more, strict=True)]

    def fits(self, n_in_flight: int) -> bool:
        """Whether one more may be in flight beside so many."""
        return n_in_flight + 1 <= max(1.0, self._allowed)

    def correct(self, permit: Permit, n_tokens: int) -> bool:
        """Counts the real cost of a request in place of the estimate; whether that matters."""
        if not permit.is_counted:
            return False
        self._counts[1] += n_tokens - permit.n_tokens
        permit.n_tokens = n_tokens
        return True

    def succeeded(self) -> bool:
        """Grows the number in flight by one a round of successes; whether it grew."""
        if self._allowed >= self._most:
            return False
        self._allowed = min(self._most, self._allowed + 1 / self._allowed)
        return True

    def throttled(self, permit: Permit, n_in_flight: int) -> None:
        """Halves the number in flight, once for all that were sent in the same round."""
        if permit.round == self.round:
            self.round += 1
            self._allowed = max(1.0, min(self._allowed, n_in_flight) / 2)

    def wait_s(self, permit: Permit) -> float:
        """Seconds until the limits of a minute leave room; where they do, it is counted."""
        if self._limits == [math.inf, math.inf]:
            return 0.0
        now = self._clock()
        while self._last_minute and now - self._last_minute[0].moment_s >= _MINUTE_S:
            gone = self._last_minute.popleft()
            gone.is_counted = False
            self._counts = [self._counts[0] - 1, self._counts[1] - gone.n_tokens]
        # Alone it passes in any case: one request may cost more than a minute's tokens.
        requests, tokens = self._counts
        if requests and (
            requests + 1 > self._limits[0] or tokens + permit.n_tokens > self._limits[1]
        ):
            return max(1e-3, self._last_minute[0].moment_s + _MINUTE_S - now)
        permit.moment_s, permit.is_counted = now, True
        self._last_minute.append(permit)
        self._counts = [requests + 1, tokens + permit.n_tokens]
        return 0.0


class RateLimiter(Protocol):
    """Admits requests to one endpoint in the order they came. One event loop."""

    def acquire(
        self, n_tokens: int, *, is_again: bool = False
    ) -> AbstractAsyncContextManager[Permit]:
        """Waits until one more request, of about so many tokens, may be sent; holds its slot.

        What was sent before goes ahead of what was not: its time runs.
        """

    def correct(self, permit: Permit, n_tokens: int) -> None:
        """Counts the real cost of a request in place of the estimate."""

    def succeeded(self) -> None:
        """Grows the number in flight by one a round of successes, up to the limit."""

    def throttled(self, permit: Permit) -> None:
        """Halves the number in flight, once for all that were sent in the same round."""

    def pause(self, seconds: float) -> None:
        """Admits nobody for so long."""

    async def close(self) -> None:
        """Returns when whoever shares the limits knows what has ended."""


class _Turn:
    """A lock that is given in the order in which it was asked for, to some ahead of others."""

    def __init__(self) -> None:
        self._is_taken = False
        self._waiting: tuple[deque[asyncio.Future[None]], ...] = (deque(), deque())

    @asynccontextmanager
    async def of(self, *, is_again: bool) -> AsyncIterator[None]:
        """Holds it; ahead of those that were not sent before, where this one was."""
        if self._is_taken:
            mine = asyncio.get_running_loop().create_future()
            self._waiting[not is_again].append(mine)
            try:
                await mine
            except asyncio.CancelledError:
                if mine.done() and not mine.cancelled():
                    self._pass_on()
                raise
        self._is_taken = True
        try:
            yield
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        for waiting in self._waiting:
            while waiting:
                following = waiting.popleft()
                if not following.done():
                    following.set_result(None)
                    return
        self._is_taken = False


class LocalRateLimiter(RateLimiter):
    """Limits the callers of one process."""

    def __init__(
        self, *, sleep: Callable[[float], Awaitable[None]], clock: Callable[[], float]
    ) -> None:
        self._sleep = sleep
        self._limit = AdaptiveLimit(clock)
        self._n_in_flight = 0
        self._turn = _Turn()
        self._changed: asyncio.Future[None] | None = None
        self._pauses: set[asyncio.Future[None]] = set()

    @property
    def allowed_in_flight(self) -> float:
        """Requests that may be in flight at once, by now."""
        return self._limit.in_flight

    def tighten(self, limits: EndpointLimits) -> None:
        """Takes the smaller of the limits so far and these."""
        self._limit.tighten(limits)

    @override
    @asynccontextmanager
    async def acquire(self, n_tokens: int, *, is_again: bool = False) -> AsyncIterator[Permit]:
        permit = Permit(n_tokens, self._limit.round)
        async with self._turn.of(is_again=is_again):
            await self._until_free(permit)
            self._n_in_flight += 1
        try:
            yield permit
        finally:
            self._n_in_flight -= 1
            self._wake()

    @override
    def correct(self, permit: Permit, n_tokens: int) -> None:
        if self._limit.correct(permit, n_tokens):
            self._wake()

    @override
    def succeeded(self) -> None:
        if self._limit.succeeded():
            self._wake()

    @override
    def throttled(self, permit: Permit) -> None:
        self._limit.throttled(permit, self._n_in_flight)

    @override
    def pause(self, seconds: float) -> None:
        task = asyncio.ensure_future(self._sleep(seconds))
        self._pauses.add(task)
        task.add_done_callback(self._resume)

    @override
    async def close(self) -> None:
        """Returns at once: nobody else shares the limits."""

    def _resume(self, task: asyncio.Future[None]) -> None:
        self._pauses.discard(task)
        self._wake()

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    async def _until_free(self, permit: Permit) -> None:
        while True:
            if self._pauses or not self._limit.fits(self._n_in_flight):
                self._changed = asyncio.get_running_loop().create_future()
                await self._changed
                continue
            wait_s = self._limit.wait_s(permit)
            if wait_s <= 0:
                break
            await self._sleep(wait_s)
        permit.round = self._limit.round
