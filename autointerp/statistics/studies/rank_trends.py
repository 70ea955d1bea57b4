"""Medians and rank correlations over units, with intervals that assume no distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.statistics.closed_form_intervals import t_quantile
from autointerp.statistics.scored_windows import Floats

_N_BOOTSTRAP = 500
_FEWEST = 8
"""Units of which a rank correlation has an interval."""

_NEARLY_ONE = 1 - 1e-12

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RankTrend:
    """Spearman's rank correlation, of a number with the layer or of two runs."""

    value: float
    low: float | None
    """Lower end of the 95 % interval over units; None with fewer than eight."""
    high: float | None
    n: int
    """Units."""


def median_interval(
    values: Sequence[float] | Floats, *, confidence: float = 0.95
) -> tuple[float | None, float | None]:
    """The interval of a median between two of the values; Nones where they are too few.

    Its ends are order statistics, by the binomial distribution of how many values lie below the
    median: it holds the median in at least that share of samples, of whatever distribution.

    Source: Conover, Practical Nonparametric Statistics, section 3.2.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n, below, mass = len(ordered), -1, 0.0
    while n:
        further = mass + math.exp(_log_chance(n, below + 1))
        if further > (1 - confidence) / 2:
            break
        below, mass = below + 1, further
    if below < 0:
        return None, None
    return float(ordered[below]), float(ordered[n - 1 - below])


def _log_chance(n: int, k: int) -> float:
    """Of the probability that k of n fair coins show heads."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2)


def rank_trend(groups: Sequence[int], values: Sequence[float], *, seed: int) -> RankTrend | None:
    """How values rise with the group that each is of, from -1 to 1; None where nothing varies.

    The interval is on Fisher's scale, its width from resamples of the units within each group, as
    the groups (layers) are all there and their units are what might have been others. Of n units
    n - 1 are drawn and count n / (n - 1) times, without which few units give too narrow a one.
    Simulated with 6 groups, 400 studies each, it holds the truth in 94 to 97 of 100 where the
    plain percentile interval does in 89 to 96.

    Args:
        groups: the layer of each unit.
        values: one a unit.
        seed: of the resamples.

    Source: Rao and Wu 1988 for the resamples.
    """
    layer, ordered = _places(np.asarray(groups)), _places(np.asarray(values, dtype=np.float64))
    n = len(ordered)
    value = _weighted_spearman(layer, ordered, np.ones(n)) if n > 1 else None
    if value is None:
        return None
    members = [np.flatnonzero(layer == one) for one in range(int(layer.max()) + 1)]
    df = n - len(members)
    if n < _FEWEST or df < 1 or abs(value) > _NEARLY_ONE:
        return RankTrend(value, None, None, n)
    rng = np.random.default_rng(seed)
    drawn = [_resampled(layer, ordered, members, rng) for _ in range(_N_BOOTSTRAP)]
    return _on_fishers_scale(value, drawn, n, df=df)


def _resampled(
    layer: Ints, ordered: Ints, members: Sequence[Ints], rng: np.random.Generator
) -> float | None:
    weights = np.ones(len(ordered))
    for own in members:
        n = len(own)
        if n > 1:
            counts = np.bincount(rng.integers(n, size=n - 1), minlength=n)
            weights[own] = counts * (n / (n - 1))
    return _weighted_spearman(layer, ordered, weights)


def spearman(first: Sequence[float] | Floats, second: Sequence[float] | Floats) -> float | None:
    """The rank correlation of two rows, ties at their mean rank; None where one is constant."""
    places = _places(np.asarray(first)), _places(np.asarray(second))
    return _weighted_spearman(*places, np.ones(len(places[0]))) if len(places[0]) > 1 else None


def mean_spearman(pairs: Sequence[tuple[Floats, Floats]], *, seed: int) -> RankTrend | None:
    """The mean rank correlation of pairs of rows of the same units; None where one is constant.

    Its interval is made as that of `rank_trend`, units drawn anew in all pairs alike.
    """
    placed = [(_places(a), _places(b)) for a, b in pairs]
    n = len(placed[0][0]) if placed else 0
    value = _mean_weighted(placed, np.ones(n)) if n > 1 else None
    if value is None:
        return None
    if n < _FEWEST or abs(value) > _NEARLY_ONE:
        return RankTrend(value, None, None, n)
    rng = np.random.default_rng(seed)
    scale = n / (n - 1)
    drawn = []
    for _ in range(_N_BOOTSTRAP):
        counts = np.bincount(rng.integers(n, size=n - 1), minlength=n)
        drawn.append(_mean_weighted(placed, counts.astype(np.float64) * scale))
    return _on_fishers_scale(value, drawn, n, df=n - 1)


def _mean_weighted(pairs: Sequence[tuple[Ints, Ints]], weights: Floats) -> float | None:
    values = [_weighted_spearman(a, b, weights) for a, b in pairs]
    known = [one for one in values if one is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _on_fishers_scale(value: float, drawn: Sequence[float | None], n: int, *, df: int) -> RankTrend:
    known = np.clip([one for one in drawn if one is not None], -_NEARLY_ONE, _NEARLY_ONE)
    middle, reach = math.atanh(value), t_quantile(0.95, df) * float(np.arctanh(known).std(ddof=1))
    return RankTrend(value, math.tanh(middle - reach), math.tanh(middle + reach), n)


def _places(values: NDArray[np.generic]) -> Ints:
    """The place of each value among the different ones, ascending, 0-based."""
    return np.asarray(np.unique(values, return_inverse=True)[1], dtype=np.int64).reshape(-1)


def _weighted_spearman(first: Ints, second: Ints, weights: Floats) -> float | None:
    """Pearson's correlation of the mean ranks, where a row counts as often as its weight."""
    total = float(weights.sum())
    centred = [_mean_ranks(one, weights) - (total + 1) / 2 for one in (first, second)]
    a, b = (float((weights * one * one).sum()) for one in centred)
    if a <= 0 or b <= 0:
        return None
    return float((weights * centred[0] * centred[1]).sum()) / math.sqrt(a * b)


def _mean_ranks(places: Ints, weights: Floats) -> Floats:
    counts = np.bincount(places, weights=weights)
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks
