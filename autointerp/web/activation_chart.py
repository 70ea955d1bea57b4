"""The histogram of a unit's activations as a drawing; heights are logarithms of counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from autointerp.core.ids import Side
from autointerp.core.records import NeuronStats

WIDTH, HEIGHT = 600, 120
_MOST_BARS = 60


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, in units of the drawing."""

    x: float
    width: float
    height: float
    tip: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A line across the drawing."""

    x: float
    tip: str


@dataclass(frozen=True, slots=True)
class ActivationChart:
    """Token counts by activation."""

    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...]
    """Where quantile bands of window peaks begin."""
    low: float
    """Activation at the left end, model units."""
    high: float

    @classmethod
    def of(cls, stats: NeuronStats, side: Side) -> ActivationChart | None:
        """The chart; None where nothing was counted."""
        if not stats.histogram or not sum(stats.histogram):
            return None
        low, high = max(stats.bin_edges[0], stats.minimum), min(stats.bin_edges[-1], stats.maximum)
        if not high > low:
            return None
        counts = _rebinned(stats.histogram, stats.bin_edges, low, high)
        most, width = math.log1p(max(counts)), WIDTH / len(counts)
        step = (high - low) / len(counts)
        bars = tuple(
            Bar(
                i * width,
                width,
                HEIGHT * math.log1p(n) / most if most else 0.0,
                f"about {n:,.0f} tokens from {low + i * step:.3g} to {low + (i + 1) * step:.3g}",
            )
            for i, n in enumerate(counts)
        )
        marks = tuple(
            Mark(
                WIDTH * (side.sign * peak - low) / (high - low),
                f"{q:.0%} of active windows peak below {peak:.3g}",
            )
            for q, peak in stats.quantiles
            if low <= side.sign * peak <= high
        )
        return cls(bars, marks, low, high)


def _rebinned(
    counts: Sequence[int], edges: Sequence[float], low: float, high: float
) -> list[float]:
    """The counts in bins of equal width; what was counted in a wide bin is spread over it."""
    result = [0.0] * _MOST_BARS
    step = (high - low) / _MOST_BARS
    for n, (begin, end) in zip(counts, pairwise(edges), strict=True):
        a, b = max(begin, low), min(end, high)
        if not n or b < a:
            continue
        first = min(_MOST_BARS - 1, int((a - low) / step))
        last = min(_MOST_BARS - 1, int((b - low) / step))
        for i in range(first, last + 1):
            left, right = max(a, low + i * step), min(b, low + (i + 1) * step)
            share = (right - left) / (b - a) if b > a else 1.0
            result[i] += n * max(0.0, share)
    return result
