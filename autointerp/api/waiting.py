"""Blocking waits outside the threads that answer ordinary requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import anyio
import anyio.to_thread

from autointerp.api.problems import Problem

T = TypeVar("T")
_BUSY_S = 5


class Places:
    """So many at a time for each name; more are sent away."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._taken: Counter[str] = Counter()

    def check(self, name: str, what: str) -> None:
        """Refuses where all places are taken.

        Raises:
            Problem: 429.
        """
        if self._taken[name] >= self._n:
            detail = f"{self._n} {what} are open already; ask again when one has ended"
            raise Problem.wait("too_many_open", detail, _BUSY_S)

    @contextmanager
    def one(self, name: str) -> Iterator[None]:
        """A place until the block ends; `check` comes first."""
        self._taken[name] += 1
        try:
            yield
        finally:
            self._taken[name] -= 1
            if not self._taken[name]:
                del self._taken[name]


async def in_thread(call: Callable[[], T], limiter: anyio.CapacityLimiter | None = None) -> T:
    """What a blocking call gives back; a caller that goes away does not wait for it."""
    return await anyio.to_thread.run_sync(call, limiter=limiter, abandon_on_cancel=True)
