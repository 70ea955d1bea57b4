"""What scores over all windows of a split would be, estimated from a sample of judged windows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from autointerp.core.errors import InputError
from autointerp.core.records import Stratum
from autointerp.core.scores import Score
from autointerp.statistics.bootstrap import Group, Resampling, Statistic, sampled_groups
from autointerp.statistics.intervals import t_interval
from autointerp.statistics.scored_windows import Floats, ScoredWindow, ScoredWindows
from autointerp.statistics.sufficient_statistics import (
    PooledSums,
    correlation,
    cosine,
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
    weights: list[float]
    """Windows of the population that each stands for."""

    @classmethod
    def of(
        cls, windows: Sequence[ScoredWindow], strata: Sequence[Stratum], *, ordered: bool = False
    ) -> Sample:
        """The sample; `ordered` where the windows are in such an order."""
        stored = ScoredWindows.of(windows)
        stored = stored if ordered else stored.in_order()
        return cls(stored, *population_groups(stored, strata))


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
@lru_cache(maxsize=64)
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
        Group(tuple(first + i for i in part), max(len(part), math.fsum(weights[i] for i in part)))
        for part in parts
        if part
    )


def _shares(given: Sequence[float], groups: Sequence[Group]) -> list[float]:
    weights = [0.0] * len(given)
    for group in groups:
        total = math.fsum(given[i] for i in group.members)
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
    return _score_of("population", Sample.of(windows, strata), resampling)


def sampled_scores(
    windows: Sequence[ScoredWindow], strata: Sequence[Stratum], resampling: Resampling
) -> tuple[Score, ...]:
    """``population``, ``top_random``, ``random``, ``cosine``, then one of each stratum by name.

    ``random`` is the literature's random-only score: correlation over uniformly random windows
    has the population's as its target, so it is the population score under that name. ``cosine``
    is not centred. Within the stratum ``top`` the correlation is the literature's top-only.
    """
    sample = Sample.of(windows, strata)
    pool = pool_windows(sample.windows, sample.weights, errors=False)
    population = correlation_score("population", pool, sample.groups, resampling)
    why = why_no_cosine(pool)
    return (
        population,
        _top_random(sample, resampling),
        replace(population, name="random"),
        sum_score("cosine", cosine, pool, sample.groups, resampling, reason=why, fisher=True),
        *(
            _score_of(one.name, Sample.of(sample.windows.of_stratum(one.name), [one]), resampling)
            for one in strata
        ),
    )


def _top_random(sample: Sample, resampling: Resampling) -> Score:
    """The literature's top-and-random score, estimated from the same windows.

    Bills et al. 2023 pool t top windows with t uniformly random ones. Here the t judged windows
    of the stratum ``top`` count 1 each, and the random half is what t random windows would be in
    expectation: all judged windows, in proportion to their population weights, t in total. No
    further window is judged. It overstates how well an explanation does on all text, and is for
    comparison with other tools only.
    """
    of_top = [name == _TOP for name in sample.windows.strata]
    if not any(of_top):
        reason = "no window of the top stratum was judged"
        return Score.undefined("top_random", reason, n_windows=len(of_top))
    # As many as were judged, each in proportion to the top windows that it stands for.
    stands = math.fsum(w for w, is_top in zip(sample.weights, of_top, strict=True) if is_top)
    top = [
        sum(of_top) * weight / stands if is_top else 0.0
        for weight, is_top in zip(sample.weights, of_top, strict=True)
    ]
    share = sum(top) / sum(sample.weights)
    mixed = [t + share * weight for t, weight in zip(top, sample.weights, strict=True)]
    return _score_of("top_random", replace(sample, weights=mixed), resampling)


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
    pair = paired_windows(ScoredWindows.of(windows), ScoredWindows.of(others))
    first, second = (Sample.of(own, strata, ordered=True) for own in pair)
    pools = [
        pool_windows(sample.windows, sample.weights, errors=False) for sample in (first, second)
    ]
    reasons = [why_no_correlation(pool) for pool in pools]
    reason = reasons[0] or (reasons[1] and f"of the baseline: {reasons[1]}")
    if reason:
        return Score.undefined("difference", reason, n_windows=len(windows))
    rows = np.concatenate([pool.rows for pool in pools], axis=1)
    half = pools[0].rows.shape[1]

    def difference(sums: Floats) -> Floats:
        return correlation(sums[..., :half]) - correlation(sums[..., half:])

    value = float(difference(rows.sum(axis=0)))
    low, high = t_interval(value, difference, rows, first.groups, resampling, fisher=False)
    return Score("difference", value, _clip(low, -2, 2), _clip(high, -2, 2), len(windows), None)


def _score_of(name: str, sample: Sample, resampling: Resampling) -> Score:
    pool = pool_windows(sample.windows, sample.weights, errors=False)
    return correlation_score(name, pool, sample.groups, resampling)


def correlation_score(
    name: str, pool: PooledSums, groups: Sequence[Group], resampling: Resampling
) -> Score:
    """Correlation of the real and predicted activations of a pool, with its interval."""
    why = why_no_correlation(pool)
    return sum_score(name, correlation, pool, groups, resampling, reason=why, fisher=True)


def sum_score(
    name: str,
    statistic: Statistic,
    pool: PooledSums,
    groups: Sequence[Group],
    resampling: Resampling,
    *,
    reason: str | None,
    fisher: bool,
) -> Score:
    """The statistic of a pool with its interval, undefined for the reason given if there is one."""
    n_windows = len(pool.rows)
    if reason is not None:
        return Score.undefined(name, reason, n_windows=n_windows)
    value = float(statistic(pool.rows.sum(axis=0)))
    if not math.isfinite(value):
        return Score.undefined(name, _OVERFLOW, n_windows=n_windows)
    low, high = t_interval(value, statistic, pool.rows, groups, resampling, fisher=fisher)
    return Score(name, value, _clip(low, -math.inf, 1), _clip(high, -math.inf, 1), n_windows, None)


def _clip(number: float | None, low: float, high: float) -> float | None:
    return None if number is None else min(max(number, low), high)


def paired_windows(
    first: ScoredWindows, second: ScoredWindows
) -> tuple[ScoredWindows, ScoredWindows]:
    """Two predictions of the same windows, in one order that does not depend on the caller's.

    Raises:
        InputError: the two are not the same windows.
    """
    keys = first.keys(), second.keys()
    if [key[:3] for key in keys[0]] != [key[:3] for key in keys[1]]:
        raise InputError(
            f"a paired comparison needs the same windows twice, found {len(first)} and "
            f"{len(second)} that differ; leave out of both what failed in either"
        )
    pairs = list(zip(*keys, strict=True))
    order = sorted(range(len(pairs)), key=pairs.__getitem__)
    return first.taken(order), second.taken(order)
