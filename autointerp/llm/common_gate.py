"""A gate whose limits are kept somewhere else, together with those of other processes.

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
from typing import Protocol

from autointerp.core.errors import AutointerpError
from autointerp.core.limits import Asked, Granted, Limits
from autointerp.llm.allowance import Allowance, Passage

_LOG = logging.getLogger(__name__)
_LEASE_S = 10.0
_LONGEST_WAIT_S = 1.0
_LAST_REPORT_S = 2.0
_SPREAD = 0.1
"""Share of a wait by which callers that were told the same time come later."""


class Turnstile(Protocol):
    """Keeps the limits of endpoints for all their callers. Several threads may use it."""

    def exchange(self, endpoint: str, limits: Limits, asked: Asked) -> Granted:
        """Takes a report, and lets in as many of the waiting requests as fit.

        Args:
            endpoint: anything that tells one from another; it is not shown and not kept.
            limits: what this caller knows of.
            asked: the report.

        Raises:
            AutointerpError: whoever keeps the limits cannot be reached, or cannot keep them.
        """
        ...


@dataclass(frozen=True, slots=True)
class CommonLimits:
    """The limits of one endpoint, and where they are kept."""

    turnstile: Turnstile
    endpoint: str
    limits: Limits
    n_sharing: int = 1
    """Processes that may use the endpoint: each takes its share where the turnstile is away."""
    lease_s: float = _LEASE_S


@dataclass(slots=True)
class _News:
    """What happened since the last report."""

    n_succeeded: int = 0
    refused_round: int | None = None
    tokens: int = 0
    pause_s: float = 0.0
    held_s: list[float] = field(default_factory=list)


class CommonGate:
    """See `Gate` for what the methods do. An object belongs to one event loop."""

    def __init__(self, limits: CommonLimits) -> None:
        self._common = limits
        self._holder = secrets.token_hex(8)
        self._waiting: deque[tuple[asyncio.Future[None], Passage]] = deque()
        self._news = _News()
        self._n_inside = 0
        self._stirred = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._rng = random.Random(self._holder)
        self._n_sharing = limits.n_sharing
        self._own: Allowance | None = None
        self._let_in_alone: set[Passage] = set()
        self._pause_until = 0.0

    @asynccontextmanager
    async def passing(self, n_tokens: int) -> AsyncIterator[Passage]:
        """Waits until one more request may be sent, and holds its place."""
        passage = Passage(n_tokens, 0)
        let_in = asyncio.get_running_loop().create_future()
        if not self._waiting:
            self._stir()
        self._waiting.append((let_in, passage))
        try:
            await let_in
            yield passage
        finally:
            if let_in.done() and not (let_in.cancelled() or let_in.exception()):
                self._leave(passage)

    def correct(self, passage: Passage, n_tokens: int) -> None:
        """Counts what a request did cost in place of what was thought."""
        if self._own is not None and self._own.correct(passage, n_tokens):
            return
        self._news.tokens += n_tokens - passage.n_tokens
        passage.n_tokens = n_tokens

    def succeeded(self) -> None:
        """Counts towards the next step up; it is reported when its place is given back."""
        self._news.n_succeeded += 1
        if self._own is not None:
            self._own.succeeded()

    def too_much(self, passage: Passage) -> None:
        """Halves the number in flight, once for all that were sent at the same height."""
        if passage in self._let_in_alone:
            if self._own is not None:
                self._own.too_much(passage, self._n_inside)
            return
        self._news.refused_round = max(self._news.refused_round or 0, passage.round)

    def pause(self, seconds: float) -> None:
        """Lets nobody in for so long, anywhere."""
        self._news.pause_s = max(self._news.pause_s, seconds)
        self._pause_until = max(self._pause_until, time.monotonic() + seconds)
        self._stir()

    async def close(self) -> None:
        """Returns when the others know that nothing is on its way from here."""
        if self._task is not None and not (self._n_inside or self._waiting):
            await asyncio.wait({self._task}, timeout=_LAST_REPORT_S)

    def _stir(self) -> None:
        self._stirred.set()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._serve())
            self._task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        """Whoever waits must hear of it where nobody lets people in any more."""
        if task.cancelled():
            return
        error = task.exception()
        while error is not None and self._waiting:
            future, _ = self._waiting.popleft()
            if not future.done():
                future.set_exception(error)

    def _leave(self, passage: Passage) -> None:
        self._n_inside -= 1
        self._let_in_alone.discard(passage)
        self._news.held_s.append(time.monotonic() - passage.moment_s)
        self._stir()

    async def _serve(self) -> None:
        """Exchanges reports for places until nothing is left to say."""
        while self._stirred.is_set() or self._n_inside or self._waiting:
            self._stirred.clear()
            granted = await self._exchange()
            self._let_in(granted)
            await self._rest(granted)

    async def _exchange(self) -> Granted:
        while self._waiting and self._waiting[0][0].done():
            self._waiting.popleft()
        news, self._news = self._news, _News()
        asked = Asked(
            holder=self._holder,
            used=self._n_inside,
            wanted=tuple(passage.n_tokens for _, passage in self._waiting),
            lease_s=self._common.lease_s,
            n_succeeded=news.n_succeeded,
            refused_round=news.refused_round,
            tokens=news.tokens,
            pause_s=news.pause_s,
            held_s=sum(news.held_s) / len(news.held_s) if news.held_s else None,
        )
        common = self._common
        try:
            granted = await asyncio.to_thread(
                common.turnstile.exchange, common.endpoint, common.limits, asked
            )
        except AutointerpError as error:
            _LOG.debug("alone with the limits of an endpoint: %s", error)
            return self._own_share()
        self._own, self._n_sharing = None, max(common.n_sharing, granted.n_sharing)
        return granted

    def _own_share(self) -> Granted:
        """What fits into this process' part of the limits."""
        if self._own is None:
            self._own = self._divided()
        own, n, wait_s = self._own, 0, max(0.0, self._pause_until - time.monotonic())
        for future, passage in self._waiting:
            if future.done():
                break
            if wait_s <= 0 and not own.fits(self._n_inside + n):
                wait_s = _LONGEST_WAIT_S
            wait_s = wait_s or own.wait_s(passage)
            if wait_s > 0:
                break
            self._let_in_alone.add(passage)
            n += 1
        return Granted(n, own.round, wait_s, self._n_sharing)

    def _divided(self) -> Allowance:
        limits, own = self._common.limits, Allowance(time.monotonic)

        def part(limit: int) -> int:
            return max(1, limit // self._n_sharing)

        own.tighten(
            in_flight=part(limits.in_flight),
            requests_per_minute=None if limits.requests is None else part(limits.requests),
            tokens_per_minute=None if limits.tokens is None else part(limits.tokens),
        )
        return own

    def _let_in(self, granted: Granted) -> None:
        n = granted.n
        while n and self._waiting:
            future, passage = self._waiting.popleft()
            if future.done():
                self._let_in_alone.discard(passage)
                continue
            passage.round = granted.round
            if not passage.is_counted:
                passage.moment_s = time.monotonic()
            self._n_inside += 1
            future.set_result(None)
            n -= 1
        if n:
            # Whoever had waited for these places is gone.
            self._stirred.set()

    async def _rest(self, granted: Granted) -> None:
        """Until something happens here, the time is over, or a sign of life is due."""
        timeout_s = self._common.lease_s / 3
        if self._waiting:
            if granted.wait_s <= 0:
                return
            late = self._rng.uniform(1.0, 1.0 + _SPREAD)
            timeout_s = min(timeout_s, granted.wait_s * late)
        elif not self._n_inside:
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._stirred.wait()
        except TimeoutError:
            return
