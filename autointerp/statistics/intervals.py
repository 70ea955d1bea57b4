"""Intervals of statistics of sums over windows, from resamples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from autointerp.core.identity_cache import KeptResults, cached_by_identity
from autointerp.statistics.bootstrap import (
    Group,
    Resampling,
    Statistic,
    open_groups,
    replicate,
    without_singles,
)
from autointerp.statistics.closed_form_intervals import t_quantiles
from autointerp.statistics.scored_windows import Floats

# Numbers that are held at once: about what a second-level cache holds.
_BLOCK = 100_000
# Resamples of a statistic that are kept for the next score.
_MOST_KEPT = 20_000


Ends = tuple[float | None, float | None]
"""Of an interval; Nones where nothing tells its width."""


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """A statistic of sums of rows, of which an interval is asked for."""

    value: float
    statistic: Statistic
    rows: Floats
    """What each window adds to the sums, weight included, shape (n_windows, n_columns)."""
    groups: Sequence[Group]
    """They hold every window once."""
    fisher: bool = False
    """Whether the statistic lies between -1 and 1 and is taken to Fisher's scale."""
    less: Floats | None = None
    """Rows of which the same statistic is taken off, resampled alike."""


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
) -> Ends:
    """The interval of one `Estimate`, as `t_intervals` makes it."""
    return t_intervals([Estimate(value, statistic, rows, groups, fisher)], resampling)[0]


def t_intervals(estimates: Sequence[Estimate], resampling: Resampling) -> list[Ends]:
    """The interval of each estimate, or Nones where nothing tells its width.

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

    A resample for which a statistic is not finite is left out.
    """
    result = [_layout(tuple(one.groups)).without_width(one.value) for one in estimates]
    places = [i for i, ends in enumerate(result) if ends is None]
    if places:
        ends = (end.tolist() for end in _ends([estimates[i] for i in places], resampling))
        for i, low, high in zip(places, *ends, strict=True):
            value = estimates[i].value
            finite = math.isfinite(low) and math.isfinite(high)
            result[i] = (min(low, value), max(high, value)) if finite else (None, None)
    return [ends or (None, None) for ends in result]


def unseen_interval(  # noqa: PLR0913 - a statistic, what it is of, and what was not seen
    value: float,
    statistic: Statistic,
    rows: Floats,
    groups: Sequence[Group],
    resampling: Resampling,
    *,
    unseen: Unseen,
) -> Ends:
    """The interval of one statistic, as `unseen_intervals` makes it."""
    return unseen_intervals([(value, statistic, unseen)], rows, groups, resampling)[0]


def unseen_intervals(
    asked: Sequence[tuple[float, Statistic, Unseen]],
    rows: Floats,
    groups: Sequence[Group],
    resampling: Resampling,
) -> list[Ends]:
    """Percentile intervals of resamples to which something unseen was added each time.

    Rare mistakes, and rare hits, are missing from few windows, and resampling these cannot bring
    them back. So each resample adds Gamma(1/2) of every kind of token that may have been missed:
    those that speak against the score for the lower end, those in its favour for the upper one,
    as Clopper and Pearson's interval of a simple rate adds one trial at either end.

    Asked for is the interval of several statistics of the same sums, each with its value, which
    the interval holds, and as many kinds of what was not seen. The rest is as for `t_intervals`.
    """
    layout = _layout(tuple(groups))
    ends = [layout.without_width(value) for value, _, _ in asked]
    if not asked or ends[0] is not None:
        return [one or (None, None) for one in ends]
    rng = np.random.default_rng([resampling.seed, 1])
    step = max(16, _BLOCK // rows.shape[1])
    _, _, first = asked[0]
    n_kinds = [len(kinds) for kinds in (first.against, first.in_favour)]

    def with_unseen(counts: Floats) -> Floats:
        sums = _weighted(rows, counts)
        added = [rng.gamma(0.5, size=(len(counts), n)) for n in n_kinds]
        return np.stack(
            [
                statistic(sums + _weighted(kinds, gamma))
                for _, statistic, unseen in asked
                for gamma, kinds in zip(added, (unseen.against, unseen.in_favour), strict=True)
            ]
        )

    def estimate(counts: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            blocks = [with_unseen(counts[i : i + step]) for i in range(0, len(counts), step)]
        return np.concatenate(blocks, axis=1).T

    columns = replicate(layout.groups, estimate, resampling).T
    tail = (1.0 - resampling.confidence) / 2
    lows, highs = (_quantiles(columns[i::2], q) for i, q in enumerate((tail, 1.0 - tail)))
    return [
        (min(low, value), max(high, value)) if max(low, high) < math.inf else (None, None)
        for (value, _, _), low, high in zip(asked, lows, highs, strict=True)
    ]


def _quantiles(rows: Floats, q: float) -> list[float]:
    """The quantile of each row's finite values; infinite where fewer than half are finite."""
    finite = np.isfinite(rows)
    if finite.all():
        # As `np.quantile`, which takes longer to begin than this to end.
        place = q * (rows.shape[1] - 1)
        below, share = int(place), place - int(place)
        ends = np.sort(rows, axis=1)[:, [below, min(below + 1, rows.shape[1] - 1)]]
        step = ends[:, 1] - ends[:, 0]
        near = ends[:, 0] + step * share if share < 0.5 else ends[:, 1] - step * (1 - share)
        return [float(value) for value in near]
    return [
        float(np.quantile(row[own], q)) if own.sum() >= len(own) / 2 else math.inf
        for row, own in zip(rows, finite, strict=True)
    ]


def percentile_ends(values: Floats, confidence: float) -> list[float]:
    """Both ends of the percentile interval of the values that are finite; empty where none is."""
    defined, tail = values[np.isfinite(values)], (1.0 - confidence) / 2
    return np.quantile(defined, [tail, 1.0 - tail]).tolist() if len(defined) else []


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """Groups of two or more, and the windows of those that were not judged whole."""

    groups: tuple[Group, ...]
    sizes: NDArray[np.int64]
    """Windows of each group that was not judged whole; the rest is of these alone."""
    unseen: Floats
    members: NDArray[np.int64]
    """Positions of their windows, group after group."""
    starts: NDArray[np.int64]
    """Where each group begins among the members."""

    def without_width(self, value: float) -> Ends | None:
        """The interval where it needs no resamples: of a census, or of a window that tells none."""
        if not len(self.sizes):
            return value, value
        return (None, None) if self.sizes.min() < 2 else None

    def left_out(self, rows: Floats) -> Floats:
        """The sums without one member at a time, the others of its group counting for it."""
        own = rows[self.members]
        sums = np.repeat(np.add.reduceat(own, self.starts, axis=0), self.sizes, axis=0)
        n = np.repeat(self.sizes, self.sizes)[:, None]
        return np.asarray(rows.sum(axis=0) + (sums - n * own) / (n - 1))


@cached_by_identity(16)
def _layout(groups: tuple[Group, ...]) -> _Layout:
    merged = without_singles(groups)
    own = open_groups(merged)
    sizes = np.array([len(group.members) for group in own], dtype=np.int64)
    members = np.array([i for group in own for i in group.members], dtype=np.int64)
    unseen = np.array([group.unseen for group in own])
    return _Layout(merged, sizes, unseen, members, np.cumsum(sizes) - sizes)


def _ends(estimates: Sequence[Estimate], resampling: Resampling) -> tuple[Floats, Floats]:
    """Both ends of each, ``centre +- t * s``, NaN where half of the resamples have no value.

    Here s is the root mean square deviation of the resampled values
    from the centre, or the jackknife's standard error where that is larger; t is the quantile of
    Student's distribution with Satterthwaite's degrees of freedom, but no fewer than 2. Most of
    the variance comes from the few windows of the strongest strata, so that counting all windows
    as degrees of freedom would promise far too much. Such values are skewed as well: the end on
    the long side is moved out by the first Edgeworth term of a studentized mean (Hall 1992), and
    the other is left, since so few windows tell a skew too badly to take anything away for it.
    """
    n, layouts = resampling.n_bootstrap, [_layout(tuple(one.groups)) for one in estimates]
    fisher = np.array([one.fisher for one in estimates])
    off, left_out = _values(estimates, layouts, resampling)
    sizes = np.array([len(own) for own in left_out])
    alone = np.concatenate(left_out)
    centres = np.array([one.value for one in estimates])
    for values, own in (off, fisher), (alone, np.repeat(fisher, sizes)), (centres, fisher):
        values[own] = _fisher(values[own])
    off -= centres[:, None]
    there = np.isfinite(off)
    off[~there] = 0.0
    # In units of the largest deviation nothing overflows when it is squared.
    units = np.abs(off).max(axis=1)
    units[units == 0] = 1.0
    n_there = there.sum(axis=1)
    errors = np.sqrt(((off / units[:, None]) ** 2).sum(axis=1) / np.maximum(1, n_there))
    alone = (alone - np.repeat(centres, sizes)) / np.repeat(units, sizes)
    spread = _Spreads.of(alone, layouts)
    errors = np.maximum(errors, spread.errors)
    reach = errors * t_quantiles(resampling.confidence, spread.df)
    normal = NormalDist().inv_cdf((1 + resampling.confidence) / 2)
    shift = errors * spread.skews * (2 * normal**2 + 1) / 6
    units[n_there < n / 2] = math.nan
    low = centres - units * (reach - np.minimum(0.0, shift))
    high = centres + units * (reach + np.maximum(0.0, shift))
    for values in low, high:
        values[fisher] = np.tanh(values[fisher])
    return low, high


_RESAMPLED = KeptResults[Statistic, "_Layout", Floats, int, int, Floats](32)
"""What a statistic of rows came to: differences of scores take it from there."""


def _values(
    estimates: Sequence[Estimate], layouts: Sequence[_Layout], resampling: Resampling
) -> tuple[Floats, list[Floats]]:
    """Each statistic for each resample, a row an estimate, and without each member."""
    n, seed = resampling.n_bootstrap, resampling.seed
    kept: dict[tuple[object, ...], Floats] = {}
    asked: list[tuple[Statistic, _Layout, Floats]] = []
    for one, layout in zip(estimates, layouts, strict=True):
        for rows in (one.rows, *([] if one.less is None else [one.less])):
            known = _RESAMPLED.known(one.statistic, layout, rows, n, seed)
            if known is not None:
                kept[one.statistic, id(layout), id(rows)] = known
            elif (one.statistic, id(layout), id(rows)) not in kept:
                asked.append((one.statistic, layout, rows))
    kept |= _resampled_together(asked, resampling)
    found, left_out = np.empty((len(estimates), n)), []
    for i, (one, layout) in enumerate(zip(estimates, layouts, strict=True)):
        values = kept[one.statistic, id(layout), id(one.rows)]
        if one.less is not None:
            values = values - kept[one.statistic, id(layout), id(one.less)]
        found[i] = values[:n]
        left_out.append(values[n:])
    return found, left_out


def _resampled_together(
    asked: Sequence[tuple[Statistic, _Layout, Floats]], resampling: Resampling
) -> dict[tuple[object, ...], Floats]:
    """Each statistic for each resample, and then without each member, by what `_values` knows."""
    sums = _sums({(id(layout), id(rows)): (layout, rows) for _, layout, rows in asked}, resampling)
    result: dict[tuple[object, ...], Floats] = {}
    kinds: dict[tuple[object, ...], list[tuple[Statistic, _Layout, Floats]]] = {}
    for one in asked:
        kinds.setdefault((one[0], one[2].shape[1]), []).append(one)
    for alike in kinds.values():
        own = [sums[id(layout), id(rows)] for _, layout, rows in alike]
        values = alike[0][0](np.concatenate(own, axis=1).T)
        last = 0
        for one, sums_of_one in zip(alike, own, strict=True):
            first, last = last, last + sums_of_one.shape[1]
            statistic, layout, rows = one
            part = result[statistic, id(layout), id(rows)] = values[first:last]
            if len(part) <= _MOST_KEPT:
                _RESAMPLED.keep(part, *one, resampling.n_bootstrap, resampling.seed)
    return result


def _sums(
    asked: Mapping[tuple[int, int], tuple[_Layout, Floats]], resampling: Resampling
) -> dict[tuple[int, int], Floats]:
    """The sums of each resample, then those without each member; a row a column of the rows.

    As rows, so that a statistic reads each of them in one piece.
    """
    alike: dict[int, list[tuple[int, int]]] = {}
    for key in asked:
        alike.setdefault(key[0], []).append(key)
    made: dict[tuple[int, int], Floats] = {}
    for keys in alike.values():
        layout = asked[keys[0]][0]
        # All that is resampled alike, in one product.
        rows = np.concatenate([asked[key][1] for key in keys], axis=1)
        drawn = replicate(layout.groups, partial(_weighted, rows), resampling)
        every = np.concatenate([drawn.T, layout.left_out(rows).T], axis=1)
        last = 0
        for key in keys:
            first, last = last, last + asked[key][1].shape[1]
            made[key] = every[first:last]
    return made


def _weighted(rows: Floats, counts: Floats) -> Floats:
    """``counts @ rows``, each column in one piece."""
    return np.asarray((rows.T @ counts.T).T)


@dataclass(frozen=True, slots=True, eq=False)
class _Spreads:
    """What leaving out one window at a time says of the distribution of each estimate."""

    errors: Floats
    """Standard errors."""
    df: Floats
    """Satterthwaite's degrees of freedom, at least 2."""
    skews: Floats
    """Third standardized moments."""

    @classmethod
    def of(cls, left_out: Floats, layouts: Sequence[_Layout]) -> _Spreads:
        """From the estimates without each member, estimate after estimate."""
        sizes = np.concatenate([own.sizes for own in layouts])
        unseen = np.concatenate([own.unseen for own in layouts])
        starts = np.cumsum(sizes) - sizes
        n_groups = np.array([len(own.sizes) for own in layouts])
        firsts = np.cumsum(n_groups) - n_groups
        there = np.isfinite(left_out)
        n_there = np.maximum(np.add.reduceat(there.astype(np.float64), starts), 1.0)

        def means(values: Floats) -> Floats:
            return np.asarray(np.add.reduceat(np.where(there, values, 0.0), starts) / n_there)

        pull = np.repeat(means(left_out), sizes) - left_out
        seconds = unseen * (sizes - 1) * means(pull**2)
        # Moments of a mean of n out of N; two windows say nothing of the third.
        third = means(pull**3) * (sizes - 1) ** 2 / np.maximum(1, sizes - 2)
        thirds = np.where(sizes > 2, unseen * (2 * unseen - 1) * third, 0.0)
        errors = np.sqrt(np.add.reduceat(seconds, firsts))
        wide = errors > 1e-100
        cubes = np.where(wide, errors, 1.0) ** 3
        skews = np.where(wide, np.add.reduceat(thirds, firsts) / cubes, 0.0)
        # Satterthwaite's, from variances in units of the largest of each estimate.
        most = np.add.reduceat(sizes - 1, firsts).astype(np.float64)
        largest = np.maximum.reduceat(seconds, firsts)
        parts = seconds / np.repeat(np.where(largest > 0, largest, 1.0), n_groups)
        squares = np.add.reduceat(parts * parts / (sizes - 1), firsts)
        free = np.add.reduceat(parts, firsts) ** 2 / np.where(largest > 0, squares, 1.0)
        df = np.where(largest > 0, np.minimum(np.maximum(free, 2.0), most), most)
        return cls(errors, df, skews)


def _fisher(values: Floats) -> Floats:
    edge = 1.0 - 1e-15
    return np.arctanh(np.clip(values, -edge, edge))
