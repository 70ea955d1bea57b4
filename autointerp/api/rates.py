"""How often somebody may ask: token buckets that fill with time."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

_MOST = 10_000


class Rates:
    """One bucket for each name; the names that asked longest ago are forgotten first."""

    def __init__(
        self, per_s: float, burst: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Takes one; 0, or the seconds after which there is one where there is none now."""
        level = self._level(name)
        if level < 1:
            return (1 - level) / self._per_s
        self._keep(name, level - 1)
        return 0.0

    def wait(self, name: str) -> float:
        """What `take` would say, taking nothing."""
        return max(0.0, (1 - self._level(name)) / self._per_s)

    def _level(self, name: str) -> float:
        level, then = self._buckets.get(name, (self._burst, self._clock()))
        return min(self._burst, level + max(0.0, self._clock() - then) * self._per_s)

    def _keep(self, name: str, level: float) -> None:
        self._buckets[name] = (level, self._clock())
        self._buckets.move_to_end(name)
        while len(self._buckets) > _MOST:
            self._buckets.popitem(last=False)
