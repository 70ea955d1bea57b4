"""Intervals of statistics of sums over windows, from resamples."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
    resamples,
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
    statistic_of: Callable[[Floats, Floats, Floats], Floats] | None = None
    """The statistic of sums, a column a row, with so many of some kinds added, in one pass."""


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
    step = max(16, _BLOCK // rows.shape[1])
    _, _, first = asked[0]
    n_kinds = [len(kinds) for kinds in (first.against, first.in_favour)]
    gammas = _gammas(resampling.seed, resampling.n_bootstrap * sum(n_kinds))
    n_taken = 0

    def with_unseen(counts: Floats) -> Floats:
        nonlocal n_taken
        sums, added = _weighted(rows, counts), []
        for n in n_kinds:
            n_taken += len(counts) * n
            added.append(gammas[n_taken - len(counts) * n : n_taken].reshape(len(counts), n))
        values, moved = [], dict[tuple[int, int], Floats]()
        for _, statistic, unseen in asked:
            for side, kinds in enumerate((unseen.against, unseen.in_favour)):
                if unseen.statistic_of is not None:
                    values.append(unseen.statistic_of(sums.T, kinds, added[side]))
                    continue
                key = id(unseen), side
                if key not in moved:
                    moved[key] = sums + _weighted(kinds, added[side])
                values.append(statistic(moved[key]))
        return np.stack(values)

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


_GAMMAS = KeptResults[int, Floats](1)


def _gammas(seed: int, n: int) -> Floats:
    """The first n numbers of the seed from Gamma(1/2); those that were drawn last are kept.

    Both kinds of metrics of one set of windows add them.
    """
    known = _GAMMAS.known(seed)
    if known is None or len(known) < n:
        known = np.random.default_rng([seed, 1]).gamma(0.5, size=n)
        _GAMMAS.keep(known, seed)
    return known[:n]


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

    def without_width(self, value: float) -> Ends | None:
        """The interval where it needs no resamples: of a census, or of a window that tells none."""
        if not len(self.sizes):
            return value, value
        return (None, None) if self.sizes.min() < 2 else None


@cached_by_identity(16)
def _layout(groups: tuple[Group, ...]) -> _Layout:
    merged = without_singles(groups)
    own = open_groups(merged)
    sizes = np.array([len(group.members) for group in own], dtype=np.int64)
    members = np.array([i for group in own for i in group.members], dtype=np.int64)
    unseen = np.array([group.unseen for group in own])
    return _Layout(merged, sizes, unseen, members)


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
    from autointerp.statistics.compiled.resampled_windows import spreads  # noqa: PLC0415

    n, layouts = resampling.n_bootstrap, [_layout(tuple(one.groups)) for one in estimates]
    fisher = np.array([one.fisher for one in estimates])
    found = _values(estimates, layouts, resampling)
    values, centres = np.concatenate(found), np.array([one.value for one in estimates])
    n_each, n_groups = [len(own) for own in found], [len(own.sizes) for own in layouts]
    of_fisher = slice(None) if fisher.all() else np.repeat(fisher, n_each)
    values[of_fisher] = _fisher(values[of_fisher])
    centres[fisher] = _fisher(centres[fisher])
    units, errors, df, skews = spreads(
        values,
        np.cumsum([0, *n_each]),
        n,
        centres,
        np.cumsum([0, *n_groups]),
        np.concatenate([own.sizes for own in layouts]),
        np.concatenate([own.unseen for own in layouts]),
    ).T
    reach = errors * t_quantiles(resampling.confidence, df)
    normal = NormalDist().inv_cdf((1 + resampling.confidence) / 2)
    shift = errors * skews * (2 * normal**2 + 1) / 6
    low = centres - units * (reach - np.minimum(0.0, shift))
    high = centres + units * (reach + np.maximum(0.0, shift))
    for ends in low, high:
        ends[fisher] = np.tanh(ends[fisher])
    return low, high


_RESAMPLED = KeptResults[Statistic, "_Layout", Floats, int, int, Floats](128)
"""What a statistic of rows came to: differences of scores take it from there, while four units are
scored at once."""


def _values(
    estimates: Sequence[Estimate], layouts: Sequence[_Layout], resampling: Resampling
) -> list[Floats]:
    """Each statistic for each resample, then without each member; an array an estimate."""
    n, seed = resampling.n_bootstrap, resampling.seed
    asked = {
        (one.statistic, id(layout), id(rows)): (one.statistic, layout, rows)
        for one, layout in zip(estimates, layouts, strict=True)
        for rows in (one.rows, one.less)
        if rows is not None
    }
    found = {key: _RESAMPLED.known(*parts, n, seed) for key, parts in asked.items()}
    lacking = [key for key, known in found.items() if known is None]
    sums = _sums({key[1:]: asked[key][1:] for key in lacking}, resampling)
    made: dict[tuple[Statistic, int, int], Floats] = {}
    for key, parts in asked.items():
        known = found[key]
        made[key] = known if known is not None else parts[0](sums[key[1:]].T)
        if known is None and len(made[key]) <= _MOST_KEPT:
            _RESAMPLED.keep(made[key], *parts, n, seed)
    result = []
    for one, layout in zip(estimates, layouts, strict=True):
        own = made[one.statistic, id(layout), id(one.rows)]
        if one.less is not None:
            own = own - made[one.statistic, id(layout), id(one.less)]
        result.append(own)
    return result


def _sums(
    asked: Mapping[tuple[int, int], tuple[_Layout, Floats]], resampling: Resampling
) -> dict[tuple[int, int], Floats]:
    """The sums of each resample, then those without each member; a row a column of the rows.

    As rows, so that a statistic reads each of them in one piece.
    """
    from autointerp.statistics.compiled.resampled_windows import add_left_out  # noqa: PLC0415

    n, made = resampling.n_bootstrap, dict[tuple[int, int], Floats]()
    for layout in {key[0]: layout for key, (layout, _) in asked.items()}.values():
        keys = [key for key in asked if key[0] == id(layout)]
        # All that is resampled alike, in one product.
        rows = np.concatenate([asked[key][1] for key in keys], axis=1)
        every, last = np.empty((rows.shape[1], n + len(layout.members))), 0
        for counts in resamples(layout.groups, resampling):
            first, last = last, last + len(counts)
            np.matmul(rows.T, counts.T, out=every[:, first:last])
        add_left_out(rows, layout.members, layout.sizes, every[:, n:])
        parts = np.cumsum([asked[key][1].shape[1] for key in keys])[:-1]
        made |= zip(keys, np.split(every, parts), strict=True)
    return made


def _weighted(rows: Floats, counts: Floats) -> Floats:
    """``counts @ rows``, each column in one piece."""
    return np.asarray((rows.T @ counts.T).T)


def _fisher(values: Floats) -> Floats:
    edge = 1.0 - 1e-15
    return np.arctanh(np.clip(values, -edge, edge))
