"""How often, and how much at a time, a caller may ask."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from autointerp.api.problems import Problem

_MOST = 10_000
_BUSY_S = 5


class RateLimits:
    """One bucket for each name; the names that asked longest ago are forgotten first."""

    def __init__(
        self, per_s: float, burst: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Takes one and returns 0, or the seconds until there is one."""
        level = self._level(name)
        if level < 1:
            return (1 - level) / self._per_s
        self._set_level(name, level - 1)
        return 0.0

    def wait(self, name: str) -> float:
        """What `take` would return, taking nothing."""
        return max(0.0, (1 - self._level(name)) / self._per_s)

    def _level(self, name: str) -> float:
        level, then = self._buckets.get(name, (self._burst, self._clock()))
        return min(self._burst, level + max(0.0, self._clock() - then) * self._per_s)

    def _set_level(self, name: str, level: float) -> None:
        self._buckets[name] = (level, self._clock())
        self._buckets.move_to_end(name)
        while len(self._buckets) > _MOST:
            self._buckets.popitem(last=False)


class ConcurrencyLimit:
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
