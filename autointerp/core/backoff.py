"""How long to wait before something that failed is tried again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that grow from one failed attempt to the next."""

    first_s: float
    """Before the second attempt."""
    longest_s: float
    """No wait is longer."""
    jitter: float = 0.0
    """Largest share by which a wait is shortened at random: it spreads those that failed
    together."""
    factor: float = 2.0
    """By which each wait is longer than the one before."""

    def wait_s(
        self, n_failed: int, *, asked_s: float | None = None, rng: random.Random | None = None
    ) -> float:
        """Seconds to wait after so many failed attempts in a row, 1 or more.

        A wait that the other side asked for takes its place; jitter lengthens that one by up to
        the first wait.
        """
        share = (rng or random).uniform(0.0, 1.0) if self.jitter else 0.0
        if asked_s is not None:
            return min(self.longest_s, asked_s + self.first_s * share)
        grown = self.first_s * self.factor ** min(n_failed - 1, 60)
        return min(self.longest_s, grown * (1.0 - self.jitter * share))


class RetryDeadline:
    """Waits between attempts, longer each time, until the time for all of them is used up."""

    def __init__(
        self, total_s: float, backoff: Backoff, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._total_s, self._backoff, self._sleep = total_s, backoff, sleep
        self.renew()

    def renew(self) -> None:
        """Starts again from the shortest wait: an attempt succeeded."""
        self._until, self._n_failed = time.monotonic() + self._total_s, 0

    def wait(self, at_least_s: float = 0.0) -> bool:
        """Sleeps; False, at once, where the next attempt would come too late."""
        self._n_failed += 1
        wait_s = max(at_least_s, self._backoff.wait_s(self._n_failed))
        if time.monotonic() + wait_s > self._until:
            return False
        self._sleep(wait_s)
        return True
