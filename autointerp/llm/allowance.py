"""How much one process may ask of an endpoint: arithmetic only, nobody waits here.

The number in flight adapts: halved when the endpoint says that it is too much, and grown back by
one with every round of successes. Requests and tokens are counted over the last minute.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_MINUTE_S = 60.0


@dataclass(slots=True, eq=False)
class Passage:
    """One request on its way."""

    n_tokens: int
    """Tokens that it is thought to cost; corrected once they are known."""
    round: int
    """How often the number in flight had been halved when it was sent."""
    moment_s: float = 0.0
    """When it was let in."""
    is_counted: bool = False
    """Whether it belongs to the last minute that the limits look at."""


class Allowance:
    """The limits, and what counts against them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Without limits; callers `tighten` them.

        Args:
            clock: seconds since any moment.
        """
        self._clock = clock
        self._most = math.inf
        self._allowed = math.inf
        self._limits = [math.inf, math.inf]
        self._counts = [0, 0]
        self._last_minute: deque[Passage] = deque()
        self.round = 0

    @property
    def in_flight(self) -> float:
        """Requests that may be on their way at once, by now."""
        return self._allowed

    def tighten(
        self, *, in_flight: int, requests_per_minute: int | None, tokens_per_minute: int | None
    ) -> None:
        """Takes the smaller of the limits so far and these; None sets none."""
        self._most = min(self._most, in_flight)
        self._allowed = min(self._allowed, self._most)
        asked = (requests_per_minute or math.inf, tokens_per_minute or math.inf)
        self._limits = [min(pair) for pair in zip(self._limits, asked, strict=True)]

    def fits(self, n_inside: int) -> bool:
        """Whether one more may be on its way beside so many."""
        return n_inside + 1 <= max(1.0, self._allowed)

    def correct(self, passage: Passage, n_tokens: int) -> bool:
        """Counts what a request did cost in place of what was thought; whether that matters."""
        if not passage.is_counted:
            return False
        self._counts[1] += n_tokens - passage.n_tokens
        passage.n_tokens = n_tokens
        return True

    def succeeded(self) -> bool:
        """Grows the number in flight by one a round of successes; whether it grew."""
        if self._allowed >= self._most:
            return False
        self._allowed = min(self._most, self._allowed + 1 / self._allowed)
        return True

    def too_much(self, passage: Passage, n_inside: int) -> None:
        """Halves the number in flight, once for all that were sent at the same height."""
        if passage.round == self.round:
            self.round += 1
            self._allowed = max(1.0, min(self._allowed, n_inside) / 2)

    def wait_s(self, passage: Passage) -> float:
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
            requests + 1 > self._limits[0] or tokens + passage.n_tokens > self._limits[1]
        ):
            return max(1e-3, self._last_minute[0].moment_s + _MINUTE_S - now)
        passage.moment_s, passage.is_counted = now, True
        self._last_minute.append(passage)
        self._counts = [requests + 1, tokens + passage.n_tokens]
        return 0.0
