"""How numbers are distributed, from counts of them in bins: kurtosis, two modes, the tail.

Within a bin they are taken as spread evenly, the largest and the smallest as they are: bins of a
quarter of a power of two are narrow enough that a kurtosis is right to about a twentieth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FEWEST_OF_TAIL = 100
"""Numbers that a tail index is estimated from; a few more where their bin holds more."""


@dataclass(frozen=True, slots=True)
class TailIndex:
    """The exponent of a power law of the largest numbers, by Hill's estimator."""

    value: float
    n: int
    """How many numbers it is estimated from."""

    @property
    def interval(self) -> tuple[float, float]:
        """About 95 %, as if the numbers were independent, which tokens of one text are not."""
        half = 1.96 / math.sqrt(self.n)
        return self.value / (1 + half), self.value / max(1e-9, 1 - half)


@dataclass(frozen=True, slots=True)
class BinnedNumbers:
    """Numbers of which only the counts in bins are known."""

    counts: Floats
    """One a bin."""
    low: Floats
    """Lower edge of each bin, no lower than the smallest number."""
    high: Floats
    """Upper edge of each, no higher than the largest."""

    @classmethod
    def of(
        cls, histogram: NDArray[np.integer], edges: Floats, smallest: float, largest: float
    ) -> BinnedNumbers:
        """From counts and the edges of their bins; the largest and smallest have bins of theirs."""
        counts = np.asarray(histogram, dtype=np.float64)
        low, high = np.clip(edges[:-1], smallest, largest), np.clip(edges[1:], smallest, largest)
        used = np.flatnonzero(counts)
        if len(used) and smallest < largest:
            counts = counts.copy()
            counts[used[0]] -= 1
            counts[used[-1]] -= 1
            counts = np.concatenate(([1.0], counts, [1.0]))
            low = np.concatenate(([smallest], low, [largest]))
            high = np.concatenate(([smallest], high, [largest]))
        kept = counts > 0
        return cls(counts[kept], low[kept], high[kept])

    @property
    def negated(self) -> BinnedNumbers:
        """The same numbers with the other sign."""
        return BinnedNumbers(self.counts[::-1], -self.high[::-1], -self.low[::-1])

    def standardized_moments(self) -> tuple[float, float] | None:
        """Means of the third and fourth powers of their distance from the mean, in deviations.

        None where all numbers are one. Mean and deviation are those of the bins too, whose
        errors then come to much the same above and below the line.
        """
        n = float(self.counts.sum())
        mean = float(self.counts @ (self.low + self.high)) / (2 * n)
        low, high = self.low - mean, self.high - mean
        # The mean of x ** k over a bin, written so that a bin of no width needs no division.
        ends, squares = low + high, low**2 + high**2
        variance = float(self.counts @ (squares + low * high)) / (3 * n)
        third = float(self.counts @ (ends * squares)) / (4 * n)
        fourth = float(self.counts @ (squares * (squares + low * high) - (low * high) ** 2)) / (
            5 * n
        )
        return (third / variance**1.5, fourth / variance**2) if variance > 0 else None

    @property
    def excess_kurtosis(self) -> float | None:
        """0 of a normal distribution; None where all numbers are one."""
        moments = self.standardized_moments()
        return None if moments is None else moments[1] - 3.0

    @property
    def bimodality(self) -> float | None:
        """Sarle's coefficient, (skewness ** 2 + 1) / kurtosis: 5 / 9 of a uniform distribution.

        More may mean two modes, and may as well mean that they are skewed: a rare unit has nearly
        1. None where all numbers are one.
        """
        moments = self.standardized_moments()
        return None if moments is None else (moments[0] ** 2 + 1.0) / moments[1]

    def tail_index(self) -> TailIndex | None:
        """Of the positive numbers, from the 100 largest on; None where there are fewer.

        Hill's estimator takes the tail as a power law: a normal one has an index that grows as the
        tail gets smaller.
        """
        positive = self.low > 0
        counts, low, high = self.counts[positive], self.low[positive], self.high[positive]
        above = np.cumsum(counts[::-1])[::-1]
        enough = np.flatnonzero(above >= FEWEST_OF_TAIL)
        if not len(enough) or enough[-1] == len(counts) - 1:
            return None
        first = enough[-1]
        n = above[first]
        excess = float((counts[first:] * _mean_log(low[first:], high[first:])).sum() / n)
        excess -= math.log(low[first])
        return TailIndex(1.0 / excess, int(n)) if excess > 0 else None


def _mean_log(low: Floats, high: Floats) -> Floats:
    width = high - low
    wide = width > 1e-9 * high
    safe = np.where(wide, width, 1.0)
    spread = (high * np.log(high) - low * np.log(low)) / safe - 1.0
    return np.where(wide, spread, np.log(high))
