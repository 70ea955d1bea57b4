"""A rate limiter whose limits are kept in a store that other processes share.

Everything that happened since the last report and everything that waits goes into one exchange,
in a thread, so that a busy caller needs less than one exchange a request. What is reported is
how many slots are in use, and never a difference: a report that was lost, or came twice, is put
right by the next one.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from typing_extensions import override

from autointerp.core.errors import AutointerpError
from autointerp.core.limits import EndpointLimits, LimitGrant, LimitReport, LimitStore
from autointerp.llm.rate_limiter import AdaptiveLimit, Permit, RateLimiter

_LOG = logging.getLogger(__name__)
_LEASE_S = 10.0
_LONGEST_WAIT_S = 1.0
_LAST_REPORT_S = 2.0
_SPREAD = 0.1
"""Share of a wait by which it is lengthened at random, so that callers do not come at once."""


@dataclass(frozen=True, slots=True)
class SharedLimits:
    """The limits of one endpoint, and where they are kept."""

    store: LimitStore
    endpoint: str
    limits: EndpointLimits
    n_sharing: int = 1
    """Processes that may use the endpoint: each takes its share where the store is away."""
    lease_s: float = _LEASE_S


@dataclass(slots=True)
class _Unreported:
    """What happened since the last report."""

    n_succeeded: int = 0
    refused_round: int | None = None
    tokens: int = 0
    pause_s: float = 0.0
    held_s: list[float] = field(default_factory=list)


class SharedRateLimiter(RateLimiter):
    """Limits the callers of several processes together. An object belongs to one event loop."""

    def __init__(self, limits: SharedLimits) -> None:
        self._shared = limits
        self._holder = secrets.token_hex(8)
        self._waiting: deque[tuple[asyncio.Future[None], Permit]] = deque()
        self._unreported = _Unreported()
        self._n_in_flight = 0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._rng = random.Random(self._holder)
        self._n_sharing = limits.n_sharing
        self._own: AdaptiveLimit | None = None
        self._own_permits: set[Permit] = set()
        self._pause_until = 0.0

    @override
    @asynccontextmanager
    async def acquire(self, n_tokens: int, *, is_again: bool = False) -> AsyncIterator[Permit]:
        permit = Permit(n_tokens, is_again=is_again)
        admitted = asyncio.get_running_loop().create_future()
        if not self._waiting:
            self._wake()
        n_ahead = (
            len(self._waiting) if not is_again else sum(one.is_again for _, one in self._waiting)
        )
        self._waiting.insert(n_ahead, (admitted, permit))
        try:
            await admitted
            yield permit
        finally:
            if admitted.done() and not (admitted.cancelled() or admitted.exception()):
                self._leave(permit)

    @override
    def correct(self, permit: Permit, n_tokens: int) -> None:
        if self._own is not None and self._own.correct(permit, n_tokens):
            return
        self._unreported.tokens += n_tokens - permit.n_tokens
        permit.n_tokens = n_tokens

    @override
    def succeeded(self) -> None:
        self._unreported.n_succeeded += 1
        if self._own is not None:
            self._own.succeeded()

    @override
    def throttled(self, permit: Permit) -> None:
        if permit in self._own_permits:
            if self._own is not None:
                self._own.throttled(permit, self._n_in_flight)
            return
        self._unreported.refused_round = max(self._unreported.refused_round or 0, permit.round)

    @override
    def pause(self, seconds: float) -> None:
        self._unreported.pause_s = max(self._unreported.pause_s, seconds)
        self._pause_until = max(self._pause_until, time.monotonic() + seconds)
        self._wake()

    @override
    async def close(self) -> None:
        if self._task is not None and not (self._n_in_flight or self._waiting):
            await asyncio.wait({self._task}, timeout=_LAST_REPORT_S)

    def _wake(self) -> None:
        self._changed.set()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._serve())
            self._task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        """Passes an error of the task on to everyone who waits: nobody would admit them."""
        if task.cancelled():
            return
        error = task.exception()
        while error is not None and self._waiting:
            future, _ = self._waiting.popleft()
            if not future.done():
                future.set_exception(error)

    def _leave(self, permit: Permit) -> None:
        self._n_in_flight -= 1
        self._own_permits.discard(permit)
        self._unreported.held_s.append(time.monotonic() - permit.moment_s)
        self._wake()

    async def _serve(self) -> None:
        """Exchanges reports for slots until nothing is left to report."""
        while self._changed.is_set() or self._n_in_flight or self._waiting:
            self._changed.clear()
            grant = await self._exchange()
            self._admit(grant)
            await self._pause_until_change(grant)

    async def _exchange(self) -> LimitGrant:
        while self._waiting and self._waiting[0][0].done():
            self._waiting.popleft()
        new, self._unreported = self._unreported, _Unreported()
        report = LimitReport(
            holder=self._holder,
            used=self._n_in_flight,
            wanted=tuple(permit.n_tokens for _, permit in self._waiting),
            lease_s=self._shared.lease_s,
            n_succeeded=new.n_succeeded,
            refused_round=new.refused_round,
            tokens=new.tokens,
            pause_s=new.pause_s,
            held_s=sum(new.held_s) / len(new.held_s) if new.held_s else None,
        )
        shared = self._shared
        try:
            grant = await asyncio.to_thread(
                shared.store.exchange, shared.endpoint, shared.limits, report
            )
        except AutointerpError as error:
            _LOG.debug("using only the own share of the limits of an endpoint: %s", error)
            return self._own_share()
        self._own, self._n_sharing = None, max(shared.n_sharing, grant.n_sharing)
        return grant

    def _own_share(self) -> LimitGrant:
        """What fits into this process' part of the limits."""
        if self._own is None:
            self._own = self._divided()
        own, n, wait_s = self._own, 0, max(0.0, self._pause_until - time.monotonic())
        for future, permit in self._waiting:
            if future.done():
                break
            if wait_s <= 0 and not own.fits(self._n_in_flight + n):
                wait_s = _LONGEST_WAIT_S
            wait_s = wait_s or own.wait_s(permit)
            if wait_s > 0:
                break
            self._own_permits.add(permit)
            n += 1
        return LimitGrant(n, own.round, wait_s, self._n_sharing)

    def _divided(self) -> AdaptiveLimit:
        limits, own = self._shared.limits, AdaptiveLimit(time.monotonic)

        def part(limit: int) -> int:
            return max(1, limit // self._n_sharing)

        own.tighten(
            EndpointLimits(
                part(limits.in_flight),
                limits.requests and part(limits.requests),
                limits.tokens and part(limits.tokens),
            )
        )
        return own

    def _admit(self, grant: LimitGrant) -> None:
        n = grant.n
        while n and self._waiting:
            future, permit = self._waiting.popleft()
            if future.done():
                self._own_permits.discard(permit)
                continue
            permit.round = grant.round
            if not permit.is_counted:
                permit.moment_s = time.monotonic()
            self._n_in_flight += 1
            future.set_result(None)
            n -= 1
        if n:
            # Whoever had waited for these slots is gone.
            self._changed.set()

    async def _pause_until_change(self, grant: LimitGrant) -> None:
        """Until something happens here, the time is over, or the lease must be renewed."""
        timeout_s = self._shared.lease_s / 3
        if self._waiting:
            if grant.wait_s <= 0:
                return
            late = self._rng.uniform(1.0, 1.0 + _SPREAD)
            timeout_s = min(timeout_s, grant.wait_s * late)
        elif not self._n_in_flight:
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return
