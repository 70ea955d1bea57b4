"""What scores over all windows of a split would be, estimated from a sample of judged windows."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from autointerp.core.errors import InputError
from autointerp.core.identity_cache import cached_by_identity
from autointerp.core.records import Stratum
from autointerp.core.scores import Score
from autointerp.statistics.bootstrap import Group, Resampling, Statistic, sampled_groups
from autointerp.statistics.intervals import Estimate, t_intervals
from autointerp.statistics.scored_windows import Floats, ScoredWindow, ScoredWindows
from autointerp.statistics.sufficient_statistics import (
    PooledSums,
    correlation,
    cosine,
    pool_parts,
    pool_windows,
    why_no_correlation,
    why_no_cosine,
)

_TOP = "top"
_OVERFLOW = "the errors are too many times the activations for a float; calibrate the predictions"
CERTAIN_WEIGHT = 1 + 1e-6
"""A window of at most this weight was certain to be drawn: 1 up to rounding."""
# Of a group that is made of neighbours in a draw, except where there are no more.
_MIN_GROUP = 4


@dataclass(frozen=True, slots=True)
class Sample:
    """Judged windows in an order that does not depend on the caller's."""

    windows: ScoredWindows
    groups: tuple[Group, ...]
    weights: tuple[float, ...]
    """Windows of the population that each stands for."""

    @classmethod
    def of(cls, windows: Sequence[ScoredWindow], strata: Sequence[Stratum]) -> Sample:
        """The sample; made once for all scores of the same `ScoredWindows`."""
        return _cached_sample(ScoredWindows.of(windows), tuple(strata))

    @classmethod
    def ordered(cls, windows: ScoredWindows, strata: Sequence[Stratum]) -> Sample:
        """The sample of windows that are in such an order."""
        return cls(windows, *_cached_groups(windows.strata, windows.weights, tuple(strata)))

    @property
    def pool(self) -> PooledSums:
        """The windows' sums with their weights."""
        return _cached_pool(self)


@cached_by_identity(16)
def _cached_sample(windows: ScoredWindows, strata: tuple[Stratum, ...]) -> Sample:
    return Sample.ordered(windows.in_order(), strata)


@cached_by_identity(16)
def _cached_pool(sample: Sample) -> PooledSums:
    return pool_windows(sample.windows, sample.weights, errors=False)


def population_weights(windows: Sequence[ScoredWindow], strata: Sequence[Stratum]) -> list[float]:
    """How many windows of the split each judged one stands for, in the order given.

    The judged windows of a stratum share all its windows among them, in proportion to their own
    weights, so that failed trials bias nothing. A stratum without any is merged with a neighbour.
    """
    return population_groups(windows, strata)[1]


def population_groups(
    windows: Sequence[ScoredWindow], strata: Sequence[Stratum]
) -> tuple[tuple[Group, ...], list[float]]:
    """Groups within which windows are resampled, and how many windows each stands for.

    Where windows were drawn from each stratum by itself, the strata are the groups, and share
    their windows among those judged. Where they were drawn from all at once, weights count as
    they are, times what makes up for failed trials of the stratum; windows that were certain to
    be drawn are one group, the others are grouped by weight, as neighbours in that order were
    drawn one instead of another.
    """
    given = ScoredWindows.of(windows)
    groups, weights = _cached_groups(given.strata, given.weights, tuple(strata))
    return groups, list(weights)


# Several predictions are scored on the same windows, each by several scores.
@cached_by_identity(16)
def _cached_groups(
    names: tuple[str, ...], given: tuple[float, ...], strata: tuple[Stratum, ...]
) -> tuple[tuple[Group, ...], tuple[float, ...]]:
    groups = sampled_groups(names, strata)
    if not all(stratum.joint for stratum in strata):
        return groups, tuple(_shares(given, groups))
    weights = _as_drawn(names, given, strata)
    return neighbour_groups(given, weights), tuple(weights)


def _as_drawn(
    names: Sequence[str], given: Sequence[float], strata: Sequence[Stratum]
) -> list[float]:
    drawn = [replace(stratum, n_windows=stratum.n_sampled) for stratum in strata]
    weights = list(given)
    for group in sampled_groups(names, drawn):
        for i in group.members:
            weights[i] *= group.n_total / len(group.members)
    return weights


def neighbour_groups(
    given: Sequence[float], weights: Sequence[float], *, first: int = 0
) -> tuple[Group, ...]:
    """Windows that were drawn one instead of another: neighbours by their probability.

    `given` is one over each window's probability to be drawn; those that were certain are one
    group. `first` is the position of the first window.
    """
    certain = [i for i, weight in enumerate(given) if weight <= CERTAIN_WEIGHT]
    others = sorted(set(range(len(given))) - set(certain), key=lambda i: (given[i], i))
    n_groups = max(1, len(others) // _MIN_GROUP)
    cuts = [len(others) * k // n_groups for k in range(n_groups + 1)]
    parts = [certain, *(others[a:b] for a, b in itertools.pairwise(cuts))]
    return tuple(
        Group(
            tuple([first + i for i in part]),
            max(len(part), math.fsum(map(weights.__getitem__, part))),
        )
        for part in parts
        if part
    )


def _shares(given: Sequence[float], groups: Sequence[Group]) -> list[float]:
    weights = [0.0] * len(given)
    for group in groups:
        total = math.fsum(map(given.__getitem__, group.members))
        for i in group.members:
            weights[i] = group.n_total * (given[i] / total)
    return weights


def population_score(
    windows: Sequence[ScoredWindow], strata: Sequence[Stratum], resampling: Resampling
) -> Score:
    """What the correlation over all windows of the strata would be, estimated from judged ones.

    Args:
        windows: the judged windows only; a failed trial is left out, not zeroed.
        strata: all strata that windows were drawn from, with their true sizes.
        resampling: how the interval is made, which is of the value over these strata: a stratum
            that was judged whole adds nothing to it.

    Source: Oikarinen et al. 2025; weighting by post-stratification.
    """
    sample = Sample.of(windows, strata)
    return correlation_score("population", sample.pool, sample.groups, resampling)


def population_value(windows: Sequence[ScoredWindow], strata: Sequence[Stratum]) -> float | None:
    """The value of `population_score` without its interval; None where it is undefined."""
    pool = Sample.of(windows, strata).pool
    return None if why_no_correlation(pool) else float(correlation(pool.rows.sum(axis=0)))


def sampled_scores(
    windows: Sequence[ScoredWindow], strata: Sequence[Stratum], resampling: Resampling
) -> tuple[Score, ...]:
    """``population``, ``top_random``, ``random``, ``cosine``, then one of each stratum by name.

    ``random`` is the literature's random-only score: correlation over uniformly random windows
    has the population's as its target, so it is the population score under that name. ``cosine``
    is not centred. Within the stratum ``top`` the correlation is the literature's top-only.
    """
    return scores_of_each([windows], strata, resampling)[0]


def scores_of_each(
    predictions: Sequence[Sequence[ScoredWindow]],
    strata: Sequence[Stratum],
    resampling: Resampling,
) -> list[tuple[Score, ...]]:
    """The scores of `sampled_scores` for several predictions, with as few calls as for one."""
    if not predictions:
        return []
    samples = [Sample.of(windows, strata) for windows in predictions]
    parts = [
        _cached_parts(one.windows.strata, one.windows.weights, one.weights, tuple(strata))
        for one in samples
    ]
    asked = []
    for sample, own in zip(samples, parts, strict=True):
        pool, *others = pool_parts(sample.windows, own.weights, own.firsts, own.sizes)
        _cached_pool.keep(pool, sample)
        asked += _asked(sample.groups, own, pool, others, strata)
    scores, n_each = sum_scores(asked, resampling), len(asked) // len(samples)
    each = [scores[i : i + n_each] for i in range(0, len(scores), n_each)]
    return [
        (whole, top, replace(whole, name="random"), cosines, *others)
        for whole, cosines, top, *others in each
    ]


def _asked(
    groups: Sequence[Group],
    parts: _Parts,
    pool: PooledSums,
    pools: Sequence[PooledSums],
    strata: Sequence[Stratum],
) -> list[AskedScore]:
    """``population``, ``cosine`` and ``top_random``, then the strata."""
    top, pool_of = pools[0], dict(zip(parts.groups, pools[1:], strict=True))
    return [
        AskedScore.correlation("population", pool, groups),
        AskedScore("cosine", cosine, pool, groups, why_no_cosine(pool), fisher=True),
        AskedScore("top_random", correlation, top, groups, parts.without_top, fisher=True)
        if parts.without_top
        else AskedScore.correlation("top_random", top, groups),
        *(
            AskedScore.correlation(one.name, pool_of[one.name], parts.groups[one.name])
            for one in strata
        ),
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """How windows in order are weighted, then for ``top_random``, then as those of each stratum."""

    groups: Mapping[str, tuple[Group, ...]]
    """Of each stratum by name, names ascending as the windows' do; positions within it."""
    weights: Floats
    firsts: Sequence[int]
    """First window of each part."""
    sizes: Sequence[int]
    """Windows of each part."""
    without_top: str | None
    """Why there is no ``top_random``."""


@cached_by_identity(16)
def _cached_parts(
    names: tuple[str, ...],
    given: tuple[float, ...],
    weights: tuple[float, ...],
    strata: tuple[Stratum, ...],
) -> _Parts:
    groups, parts, firsts, sizes = {}, [weights, weights], [0, 0], [len(names), len(names)]
    for one in sorted(strata, key=lambda stratum: stratum.name):
        own = slice(bisect_left(names, one.name), bisect_right(names, one.name))
        groups[one.name], shares = _cached_groups(names[own], given[own], (one,))
        parts.append(shares)
        firsts.append(own.start)
        sizes.append(len(shares))
    reason = None
    if _TOP in names:
        parts[1] = tuple(_top_random(names, weights))
    else:
        reason = "no window of the top stratum was judged"
    return _Parts(groups, np.concatenate(parts), firsts, sizes, reason)


def _top_random(names: Sequence[str], weights: Sequence[float]) -> list[float]:
    """What each window counts in the literature's top-and-random score.

    Bills et al. 2023 pool t top windows with t uniformly random ones. Here the t judged windows
    of the stratum ``top`` count 1 each, and the random half is what t random windows would be in
    expectation: all judged windows, in proportion to their population weights, t in total. No
    further window is judged. It overstates how well an explanation does on all text, and is for
    comparison with other tools only.
    """
    of_top = [name == _TOP for name in names]
    # As many as were judged, each in proportion to the top windows that it stands for.
    stands = math.fsum(w for w, is_top in zip(weights, of_top, strict=True) if is_top)
    top = [
        sum(of_top) * weight / stands if is_top else 0.0
        for weight, is_top in zip(weights, of_top, strict=True)
    ]
    share = sum(top) / sum(weights)
    return [t + share * weight for t, weight in zip(top, weights, strict=True)]


def paired_difference(
    windows: Sequence[ScoredWindow],
    others: Sequence[ScoredWindow],
    strata: Sequence[Stratum],
    *,
    n_bootstrap: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Score:
    """Population score of the first predictions minus that of the others, on the same windows.

    Named ``difference``, -2..2. Both are resampled together, so that what makes a window hard for
    both cancels; the interval is narrower than the two scores' own would suggest.

    Leave out of both what failed in either; the baseline's are of the same windows in the same
    order.

    Raises:
        InputError: the two are not the same windows.
    """
    resampling = Resampling(n_bootstrap, confidence, seed)
    first, second = paired_samples(windows, others, strata)
    pools = [first.pool, second.pool]
    reasons = [why_no_correlation(pool) for pool in pools]
    reason = reasons[0] or (reasons[1] and f"of the baseline: {reasons[1]}")
    if reason:
        return Score.undefined("difference", reason, n_windows=len(windows))
    sums = np.stack([pool.rows.sum(axis=0) for pool in pools])
    value = float(np.subtract(*correlation(sums)))
    estimate = Estimate(value, correlation, pools[0].rows, first.groups, less=pools[1].rows)
    ((low, high),) = t_intervals([estimate], resampling)
    return Score("difference", value, _clip(low, -2, 2), _clip(high, -2, 2), len(windows), None)


def correlation_score(
    name: str, pool: PooledSums, groups: Sequence[Group], resampling: Resampling
) -> Score:
    """Correlation of the real and predicted activations of a pool, with its interval."""
    return sum_scores([AskedScore.correlation(name, pool, groups)], resampling)[0]


@dataclass(frozen=True, slots=True)
class AskedScore:
    """A statistic of a pool, of which a score is to be made."""

    name: str
    statistic: Statistic
    pool: PooledSums
    groups: Sequence[Group]
    reason: str | None
    """Why it is undefined, if it is."""
    fisher: bool = False
    """As of `Estimate`."""

    @classmethod
    def correlation(cls, name: str, pool: PooledSums, groups: Sequence[Group]) -> AskedScore:
        """The correlation of real and predicted activations."""
        return cls(name, correlation, pool, groups, why_no_correlation(pool), fisher=True)


def sum_scores(asked: Sequence[AskedScore], resampling: Resampling) -> list[Score]:
    """Each statistic with its interval, or the reason why it is undefined."""
    values: list[float | None] = [None] * len(asked)
    for statistic in dict.fromkeys(one.statistic for one in asked if one.reason is None):
        own = [
            i for i, one in enumerate(asked) if one.reason is None and one.statistic is statistic
        ]
        sums = np.stack([asked[i].pool.rows.sum(axis=0) for i in own])
        for i, value in zip(own, statistic(sums).tolist(), strict=True):
            values[i] = value
    known = [
        Estimate(value, one.statistic, one.pool.rows, one.groups, one.fisher)
        for one, value in zip(asked, values, strict=True)
        if value is not None and math.isfinite(value)
    ]
    ends = iter(t_intervals(known, resampling))
    scores = []
    for one, value in zip(asked, values, strict=True):
        n_windows = len(one.pool.rows)
        if value is None or not math.isfinite(value):
            why = one.reason or _OVERFLOW
            scores.append(Score.undefined(one.name, why, n_windows=n_windows))
        else:
            low, high = (_clip(end, -math.inf, 1) for end in next(ends))
            scores.append(Score(one.name, value, low, high, n_windows, None))
    return scores


def _clip(number: float | None, low: float, high: float) -> float | None:
    return None if number is None else min(max(number, low), high)


def paired_samples(
    windows: Sequence[ScoredWindow], others: Sequence[ScoredWindow], strata: Sequence[Stratum]
) -> tuple[Sample, Sample]:
    """Two predictions of the same windows, in one order that does not depend on the caller's.

    Raises:
        InputError: the two are not the same windows.
    """
    pair = ScoredWindows.of(windows), ScoredWindows.of(others)
    if not pair[0].same_windows(pair[1]):
        raise InputError(
            f"a paired comparison needs the same windows twice, found {len(pair[0])} and "
            f"{len(pair[1])} that differ; leave out of both what failed in either"
        )
    own = [Sample.of(given, strata) for given in pair]
    if own[0].windows.order == own[1].windows.order:
        return own[0], own[1]
    keys = pair[0].keys(), pair[1].keys()
    pairs = list(zip(*keys, strict=True))
    order = sorted(range(len(pairs)), key=pairs.__getitem__)
    first, second = (Sample.ordered(given.taken(order), strata) for given in pair)
    return first, second
