"""Intervals: of statistics of sums over windows, of rates, and of differences of means."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, variance

import numpy as np
from numpy.polynomial.legendre import leggauss

from autointerp.core.errors import InputError
from autointerp.statistics.bootstrap import (
    Group,
    Resampling,
    Statistic,
    open_groups,
    replicate,
    without_singles,
)
from autointerp.statistics.scored_windows import Floats

# Numbers that are held at once: about what a second-level cache holds.
_BLOCK = 100_000
# Gauss and Legendre's nodes and weights on 0..1, and when Newton's steps end.
_NODES, _SHARES = ((part + shift) / 2 for part, shift in zip(leggauss(32), (1.0, 0.0), strict=True))
_STEPS, _NEAR = 100, 1e-12


@dataclass(frozen=True, slots=True)
class Unseen:
    """What few windows may have missed, shape (n_kinds, n_columns) both."""

    against: Floats
    """What a token of each kind that brings the statistic down would add to the sums."""
    in_favour: Floats
    """The same of each kind that raises it."""


def t_interval(
    value: float,
    statistic: Statistic,
    rows: Floats,
    groups: Sequence[Group],
    resampling: Resampling,
    *,
    fisher: bool,
) -> tuple[float | None, float | None]:
    """The interval of a statistic of sums of rows, or Nones where nothing tells its width.

    Measured with benchmarks/interval_coverage.py on three kinds of heavy-tailed units, windows
    drawn jointly by influence, correlations from 0 to 0.97; the target is the value over all
    windows, at 95 %:

        windows drawn             10    12    20    40
        this                    97.4  97.5  96.2  96.3
        percentile              92.3  92.4  92.3  91.9
        basic                   88.1  88.0  89.6  88.5
        Fisher z, t of n - H    95.8  95.8  94.2  93.1
        studentised             95.4  94.5  95.6  95.1

    Near a correlation of 0 it is 90 to 94; nearly all misses there are intervals below the truth.

    `rows` is what each window adds to the sums, weight included, shape (n_windows, n_columns); the
    groups hold every window once. A resample for which the statistic is not finite is left out.
    With `fisher` a statistic between -1 and 1 is taken to Fisher's scale.
    """
    groups = without_singles(groups)
    if (ends := _without_width(value, groups)) is not None:
        return ends
    scale: Callable[[Floats], Floats] = _fisher if fisher else np.asarray
    centre = float(scale(np.array(value)))
    reached = _ends(centre, lambda sums: scale(statistic(sums)), rows, groups, resampling)
    low, high = map(math.tanh, reached) if fisher else reached
    if not (math.isfinite(low) and math.isfinite(high)):
        return None, None
    return min(low, value), max(high, value)


def unseen_interval(  # noqa: PLR0913 - a statistic, what it is of, and what was not seen
    value: float,
    statistic: Statistic,
    rows: Floats,
    groups: Sequence[Group],
    resampling: Resampling,
    *,
    unseen: Unseen,
) -> tuple[float | None, float | None]:
    """The percentile interval of resamples to which something unseen was added each time.

    Rare mistakes, and rare hits, are missing from few windows, and resampling these cannot bring
    them back. So each resample adds Gamma(1/2) of every kind of token that may have been missed:
    those that speak against the score for the lower end, those in its favour for the upper one,
    as Clopper and Pearson's interval of a simple rate adds one trial at either end.

    The interval holds the value; the rest is as for `t_interval`.
    """
    groups = without_singles(groups)
    if (ends := _without_width(value, groups)) is not None:
        return ends
    rng = np.random.default_rng([resampling.seed, 1])
    step = max(16, _BLOCK // rows.shape[1])

    def with_unseen(counts: Floats) -> Floats:
        sums = counts @ rows
        return np.stack(
            [
                statistic(sums + rng.gamma(0.5, size=(len(counts), len(kinds))) @ kinds)
                for kinds in (unseen.against, unseen.in_favour)
            ]
        )

    def estimate(counts: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            blocks = [with_unseen(counts[i : i + step]) for i in range(0, len(counts), step)]
        return np.concatenate(blocks, axis=1).T

    columns = replicate(groups, estimate, resampling).T
    if np.isfinite(columns).sum(axis=1).min() < resampling.n_bootstrap / 2:
        return None, None
    below, above = (percentile_ends(column, resampling.confidence) for column in columns)
    return min(below[0], value), max(above[1], value)


def percentile_ends(values: Floats, confidence: float) -> list[float]:
    """Both ends of the percentile interval of the values that are finite; empty where none is."""
    defined, tail = values[np.isfinite(values)], (1.0 - confidence) / 2
    return np.quantile(defined, [tail, 1.0 - tail]).tolist() if len(defined) else []


def wilson_interval(n_right: int, n: int, *, confidence: float) -> tuple[float, float]:
    """Wilson's interval of a rate of which ``n_right`` of ``n`` independent tries were seen."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate = n_right / n
    middle = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return min(rate, max(0.0, middle - half)), max(rate, min(1.0, middle + half))


def welch_interval(
    first: Sequence[float], second: Sequence[float], *, confidence: float
) -> tuple[float | None, float | None]:
    """Welch's interval of the first mean less the second; Nones where nothing varies."""
    parts = [(variance(sample) / len(sample), len(sample) - 1) for sample in (first, second)]
    total = sum(part for part, _ in parts)
    if total <= 0:
        return None, None
    df = 1 / sum((part / total) ** 2 / freedom for part, freedom in parts)
    reach = t_quantile(confidence, df) * math.sqrt(total)
    value = fmean(first) - fmean(second)
    return value - reach, value + reach


def weighted_quantile(values: Sequence[float], weights: Sequence[float], q: float) -> float:
    """The smallest value below or at which at least a share ``q`` of the weight lies."""
    need, below = q * sum(weights), 0.0
    for value, weight in sorted(zip(values, weights, strict=True)):
        below += weight
        # Sums of weights that are equal on paper differ by rounding.
        if below >= need * (1 - 1e-12):
            return value
    raise InputError("a quantile needs at least one value")


def _without_width(
    value: float, groups: Sequence[Group]
) -> tuple[float | None, float | None] | None:
    """The interval where it needs no resamples: of a census, or of one window that tells none."""
    sampled = open_groups(groups)
    if not sampled:
        return value, value
    return (None, None) if any(len(group.members) < 2 for group in sampled) else None


def t_quantile(confidence: float, df: float) -> float:
    """The t for which Student's distribution has that much mass between -t and t; df >= 1."""
    # With t = sqrt(df) * tan(angle) the density is a power of the cosine on a bounded interval.
    whole = math.sqrt(math.pi) / 2 * math.exp(math.lgamma(df / 2) - math.lgamma((df + 1) / 2))
    angle = math.atan(NormalDist().inv_cdf((1 + confidence) / 2) / math.sqrt(df))
    # Newton's steps from below, where the normal's quantile is, never pass the root.
    for _ in range(_STEPS):
        mass = angle * float(np.cos(angle * _NODES) ** (df - 1.0) @ _SHARES)
        step = (confidence * whole - mass) / math.cos(angle) ** (df - 1.0)
        angle += step
        if step <= _NEAR * angle:
            break
    return math.sqrt(df) * math.tan(angle)


def _ends(
    centre: float,
    statistic: Statistic,
    rows: Floats,
    groups: Sequence[Group],
    resampling: Resampling,
) -> tuple[float, float]:
    """``centre +- t * s``, NaN where half of the resamples have no value.

    Here s is the root mean square deviation of the resampled values from the centre, or the
    jackknife's standard error where that is larger; t is the quantile of Student's distribution
    with Satterthwaite's degrees of freedom, but no fewer than 2. Most of the variance comes from
    the few windows of the strongest strata, so that counting all windows as degrees of freedom
    would promise far too much. Such values are skewed as well: the end on the long side is moved
    out by the first Edgeworth term of a studentized mean (Hall 1992), and the other is left,
    since so few windows tell a skew too badly to take anything away for it.
    """
    result = replicate(groups, lambda counts: statistic(counts @ rows), resampling)
    result = result[np.isfinite(result)]
    if len(result) < resampling.n_bootstrap / 2:
        return math.nan, math.nan
    # In units of the largest deviation nothing overflows when it is squared.
    unit = float(np.max(np.abs(result - centre))) or 1.0
    alone = _jackknife(lambda sums: (statistic(sums) - centre) / unit, rows, groups)
    error = max(math.sqrt(float(np.mean(((result - centre) / unit) ** 2))), alone.error)
    reach = error * t_quantile(resampling.confidence, alone.df)
    normal = NormalDist().inv_cdf((1 + resampling.confidence) / 2)
    shift = error * alone.skew * (2 * normal**2 + 1) / 6
    return centre - unit * (reach - min(0.0, shift)), centre + unit * (reach + max(0.0, shift))


@dataclass(frozen=True, slots=True)
class _Spread:
    """What leaving out one window at a time says of a value's distribution."""

    error: float
    """Standard error."""
    df: float
    """Satterthwaite's degrees of freedom."""
    skew: float
    """Third standardized moment."""


def _jackknife(statistic: Statistic, rows: Floats, groups: Sequence[Group]) -> _Spread:
    own = open_groups(groups)
    sizes = np.array([len(group.members) for group in own])
    unseen = np.array([group.unseen for group in own])
    starts = np.cumsum(sizes) - sizes
    members = rows[np.concatenate([group.members for group in own])]
    sums = np.repeat(np.add.reduceat(members, starts, axis=0), sizes, axis=0)
    n = np.repeat(sizes, sizes)
    left_out = statistic(rows.sum(axis=0) + (sums - n[:, None] * members) / (n - 1)[:, None])
    there = np.isfinite(left_out)
    result = np.maximum(np.add.reduceat(there.astype(np.float64), starts), 1.0)

    def means(values: Floats) -> Floats:
        return np.asarray(np.add.reduceat(np.where(there, values, 0.0), starts) / result)

    pull = np.repeat(means(left_out), sizes) - left_out
    seconds = unseen * (sizes - 1) * means(pull**2)
    # Moments of a mean of n out of N; two windows say nothing of the third.
    third = means(pull**3) * (sizes - 1) ** 2 / np.maximum(1, sizes - 2)
    thirds = np.where(sizes > 2, unseen * (2 * unseen - 1) * third, 0.0)
    error = math.sqrt(float(seconds.sum()))
    skew = float(thirds.sum()) / error**3 if error > 1e-100 else 0.0
    return _Spread(error, _satterthwaite(seconds.tolist(), (sizes - 1).tolist()), skew)


def _satterthwaite(variances: Sequence[float], sizes: Sequence[int]) -> float:
    most, largest = float(sum(sizes)), max(variances)
    if largest <= 0:
        return most
    parts = [variance / largest for variance in variances]
    df = sum(parts) ** 2 / sum(part * part / n for part, n in zip(parts, sizes, strict=True))
    return min(max(df, 2.0), most)


def _fisher(values: Floats) -> Floats:
    edge = 1.0 - 1e-15
    return np.arctanh(np.clip(values, -edge, edge))
