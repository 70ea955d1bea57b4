"""Quantile bands of the activating windows of one side of one unit.

A band lies between two quantiles of the peaks of *all* activating windows. The top windows are
all known, and so is a uniform sample of the others; the histogram of peaks counts every window.
A quantile is cut where the windows below can be counted exactly, if such a place is near it,
and else at a window of the sample: then how many lie below is known to within the windows of one
bin of the histogram, and both limits are kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from autointerp.activations.kernels.encoding import bin_edges
from autointerp.activations.summary import HookSummary

# A cut that can be counted is preferred where it is off by no more than this quantile.
_NEAR = 0.02


@dataclass(frozen=True, slots=True)
class Cut:
    """A place among the activating windows ranked by peak."""

    quantile: float
    """The one asked for."""
    peak: float
    """Windows with a smaller peak are below, all others above; model units of the side."""
    n_below: tuple[int, int]
    """Least and greatest number of windows below; equal where they are counted exactly."""

    @property
    def is_exact(self) -> bool:
        """Whether the windows below are counted exactly."""
        return self.n_below[0] == self.n_below[1]


@dataclass(frozen=True, slots=True)
class Band:
    """The activating windows between two cuts, with those of them that are known."""

    low: Cut
    high: Cut
    n_active: int
    """Activating windows in all bands together, counted exactly."""
    windows: tuple[int, ...]
    """Ids of the known ones, weakest first: all top windows, and the sampled ones."""
    weights: tuple[float, ...]
    """Activating windows that each stands for: 1 for a top window."""

    @property
    def name(self) -> str:
        """Such as ``q25-50``, by the quantiles asked for in percent."""
        return f"q{100 * self.low.quantile:g}-{100 * self.high.quantile:g}"

    @property
    def n_sampled(self) -> int:
        """Windows of it that are known."""
        return len(self.windows)

    @property
    def n_windows(self) -> int | None:
        """Windows in it, or None where they cannot be counted exactly."""
        counted = self.low.is_exact and self.high.is_exact
        return self.high.n_below[0] - self.low.n_below[0] if counted else None

    @property
    def quantiles(self) -> tuple[float, float] | None:
        """The range of quantiles it holds, or None where it cannot be counted exactly."""
        if self.n_windows is None:
            return None
        return self.low.n_below[0] / self.n_active, self.high.n_below[0] / self.n_active


def quantile_bands(
    summary: HookSummary, *, side: int, column: int, quantiles: Sequence[float], threshold: float
) -> tuple[Band, ...]:
    """Bands of one side of one unit, weakest first; none where the side never activates.

    Quantiles, 0 to 1, may be in any order; those that fall on one place, as many equal peaks
    make them, give one band. Side 0 is positive, 1 negative; ``column`` is the unit's row in the
    summary's arrays, and the threshold that of the collection.
    """
    known = _Known(summary, side, column, threshold)
    if not known.n_active:
        return ()
    cuts = [Cut(0.0, threshold, (0, 0))]
    for quantile in sorted(quantiles):
        cut = known.cut(quantile)
        if cut.peak > cuts[-1].peak and cut.n_below[1] > cuts[-1].n_below[0]:
            cuts.append(cut)
    cuts.append(Cut(1.0, known.highest, (known.n_active, known.n_active)))
    return tuple(known.band(low, high) for low, high in itertools.pairwise(cuts))


class _Known:
    """The windows whose peaks are known, weakest first, and what can be counted with them."""

    def __init__(self, summary: HookSummary, side: int, column: int, threshold: float) -> None:
        self.n_active = int(summary.active_windows(side)[column])
        self._histogram = summary.peak_histogram(side)[column]
        top, top_peaks = summary.ranked(side, column)
        top, top_peaks = top[top_peaks > threshold], top_peaks[top_peaks > threshold]
        sampled, peaks = summary.sampled(side, column)
        other = ~np.isin(sampled, top)
        sampled, peaks = sampled[other], peaks[other]
        n_other = self.n_active - len(top)
        self.is_complete = len(sampled) == n_other
        self._lowest_top = float(top_peaks[-1]) if len(top) else np.inf
        weights = [1.0] * len(top) + [n_other / max(1, len(sampled))] * len(sampled)
        windows = np.concatenate((top, sampled))
        values = np.concatenate((top_peaks, peaks)).astype(np.float64)
        order = np.lexsort((windows, values))
        self._windows, self._peaks = windows[order], values[order]
        self._weights = np.array(weights)[order]

    @property
    def highest(self) -> float:
        return float(self._peaks[-1])

    def band(self, low: Cut, high: Cut) -> Band:
        inside = (self._peaks >= low.peak) & (self._peaks < high.peak)
        if high.quantile == 1:
            inside = self._peaks >= low.peak
        windows, weights = self._windows[inside].tolist(), self._weights[inside].tolist()
        return Band(low, high, self.n_active, tuple(windows), tuple(weights))

    def cut(self, quantile: float) -> Cut:
        target = quantile * self.n_active
        counts = np.array([self._n_below(peak)[0] for peak in self._countable])
        off = np.abs(counts - target)
        best = float(self._countable[off.argmin()])
        if off.min() > _NEAR * self.n_active and not self.is_complete:
            best = self._sampled_cut(target, best)
        return Cut(quantile, best, self._n_below(best))

    @cached_property
    def _countable(self) -> NDArray[np.float64]:
        """Peaks below which windows are counted exactly, ascending."""
        used = np.flatnonzero(self._histogram)
        edges = bin_edges()[used[0] : used[-1] + 1]
        exact = self._peaks if self.is_complete else self._peaks[self._peaks > self._lowest_top]
        return np.unique(np.concatenate((edges, exact)))

    def _sampled_cut(self, target: float, otherwise: float) -> float:
        place = int(np.searchsorted(np.cumsum(self._histogram), target, side="right"))
        before = int(self._histogram[:place].sum())
        low, high = bin_edges()[place : place + 2]
        inside = (self._peaks >= low) & (self._peaks < high)
        if not inside.any():
            return otherwise
        peaks, weights = self._peaks[inside], self._weights[inside]
        values, first = np.unique(peaks, return_index=True)
        below = (np.cumsum(weights) - weights)[first] / weights.sum()
        wanted = (target - before) / self._histogram[place]
        return float(values[np.abs(below - wanted).argmin()])

    def _n_below(self, peak: float) -> tuple[int, int]:
        n_above = int((self._peaks >= peak).sum())
        if self.is_complete or peak > self._lowest_top:
            return self.n_active - n_above, self.n_active - n_above
        edges = bin_edges()
        place = int(np.searchsorted(edges, peak, side="right")) - 1
        before = int(self._histogram[:place].sum())
        if peak == edges[place]:
            return before, before
        inside = (self._peaks >= edges[place]) & (self._peaks < edges[place + 1])
        below = int((inside & (self._peaks < peak)).sum())
        above = int((inside & (self._peaks >= peak)).sum())
        return before + below, before + int(self._histogram[place]) - above
