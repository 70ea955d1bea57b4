"""What scores over all windows of a split would be, estimated from the judged ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from autointerp.core.errors import InputError
from autointerp.core.records import Stratum
from autointerp.core.scores import Score
from autointerp.scorers import moments
from autointerp.scorers.bootstrap import Group, Resampling, Statistic
from autointerp.scorers.intervals import t_interval
from autointerp.scorers.moments import Pool, pool_windows
from autointerp.scorers.samples import Sample
from autointerp.scorers.windows import Floats, ScoredWindow, ScoredWindows

_TOP = "top"
_OVERFLOW = "the errors are too many times the activations for a float; calibrate the predictions"


def population_score(
    windows: Sequence[ScoredWindow],
    strata: Sequence[Stratum],
    resampling: Resampling,
) -> Score:
    """What the correlation over all windows of the strata would be, estimated from judged ones.

    Args:
        windows: the judged windows only; a failed trial is left out, not zeroed.
        strata: all strata that windows were drawn from, with their true sizes.
        resampling: how the interval is made, which is of the value over these strata: a stratum
            that was judged whole adds nothing to it.

    Source: Oikarinen et al. 2025; weighting by post-stratification.
    """
    return _correlation("population", Sample.of(windows, strata), resampling)


def top_random_score(
    windows: Sequence[ScoredWindow],
    strata: Sequence[Stratum],
    resampling: Resampling,
) -> Score:
    """The literature's top-and-random score, estimated from the same windows.

    Bills et al. 2023 pool t top windows with t uniformly random ones. Here the t judged windows
    of the stratum ``top`` count 1 each, and the random half is what t random windows would be in
    expectation: all judged windows, in proportion to their population weights, t in total. No
    further window is judged. It overstates how well an explanation does on all text, and is for
    comparison with other tools only.
    """
    return _top_random(Sample.of(windows, strata), resampling)


def _top_random(sample: Sample, resampling: Resampling) -> Score:
    of_top = [name == _TOP for name in sample.windows.strata]
    # As many as were judged, each in proportion to the top windows that it stands for.
    stands = math.fsum(w for w, is_top in zip(sample.weights, of_top, strict=True) if is_top)
    top = [
        sum(of_top) * weight / stands if is_top else 0.0
        for weight, is_top in zip(sample.weights, of_top, strict=True)
    ]
    if not any(of_top):
        reason = "no window of the top stratum was judged"
        return Score.undefined("top_random", reason, n_windows=len(of_top))
    share = sum(top) / sum(sample.weights)
    mixed = [t + share * weight for t, weight in zip(top, sample.weights, strict=True)]
    return _correlation("top_random", sample, resampling, weights=mixed)


def cosine_score(
    windows: Sequence[ScoredWindow],
    strata: Sequence[Stratum],
    resampling: Resampling,
) -> Score:
    """Cosine of real and predicted activations over all windows of the strata, not centred."""
    sample = Sample.of(windows, strata)
    return _cosine(sample, pool_windows(sample.windows, sample.weights, errors=False), resampling)


def _cosine(sample: Sample, pool: Pool, resampling: Resampling) -> Score:
    reason, groups = moments.why_no_cosine(pool), sample.groups
    return sum_score("cosine", moments.cosine, pool, groups, resampling, reason=reason, fisher=True)


def stratum_score(
    windows: Sequence[ScoredWindow],
    stratum: Stratum,
    resampling: Resampling,
) -> Score:
    """Correlation within one stratum, named after it: ``top`` is the literature's top-only."""
    own = ScoredWindows.of(windows).of_stratum(stratum.name)
    return _correlation(stratum.name, Sample.of(own, [stratum]), resampling)


def sampled_scores(
    windows: Sequence[ScoredWindow],
    strata: Sequence[Stratum],
    resampling: Resampling,
) -> tuple[Score, ...]:
    """``population``, ``top_random``, ``random``, ``cosine``, then one of each stratum by name.

    ``random`` is the literature's random-only score: correlation over uniformly random windows
    has the population's as its target, so it is the population score under that name.
    """
    sample = Sample.of(windows, strata)
    pool = pool_windows(sample.windows, sample.weights, errors=False)
    population = _pooled("population", sample, pool, resampling)
    return (
        population,
        _top_random(sample, resampling),
        replace(population, name="random"),
        _cosine(sample, pool, resampling),
        *(stratum_score(sample.windows, stratum, resampling) for stratum in strata),
    )


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

    Args:
        windows: with the explanation's predictions.
        others: the same windows in the same order with the baseline's; leave out of both what
            failed in either.
        strata: as for the population score.
        n_bootstrap: resamples behind the interval.
        confidence: of the interval.
        seed: of the resampling.

    Raises:
        InputError: the two are not the same windows.
    """
    resampling = Resampling(n_bootstrap, confidence, seed)
    pair = _paired(ScoredWindows.of(windows), ScoredWindows.of(others))
    first, second = (Sample.of(own, strata, ordered=True) for own in pair)
    pools = [
        pool_windows(sample.windows, sample.weights, errors=False) for sample in (first, second)
    ]
    reasons = [moments.why_no_correlation(pool) for pool in pools]
    reason = reasons[0] or (reasons[1] and f"of the baseline: {reasons[1]}")
    if reason:
        return Score.undefined("difference", reason, n_windows=len(windows))
    rows = np.concatenate([pool.rows for pool in pools], axis=1)
    half = pools[0].rows.shape[1]

    def difference(sums: Floats) -> Floats:
        return moments.correlation(sums[..., :half]) - moments.correlation(sums[..., half:])

    value = float(difference(rows.sum(axis=0)))
    low, high = t_interval(value, difference, rows, first.groups, resampling, fisher=False)
    return Score("difference", value, _clip(low, -2, 2), _clip(high, -2, 2), len(windows), None)


def _correlation(
    name: str, sample: Sample, resampling: Resampling, *, weights: Sequence[float] | None = None
) -> Score:
    weights = sample.weights if weights is None else weights
    pool = pool_windows(sample.windows, weights, errors=False)
    return _pooled(name, sample, pool, resampling)


def _pooled(name: str, sample: Sample, pool: Pool, resampling: Resampling) -> Score:
    reason, groups = moments.why_no_correlation(pool), sample.groups
    statistic = moments.correlation
    return sum_score(name, statistic, pool, groups, resampling, reason=reason, fisher=True)


def sum_score(
    name: str,
    statistic: Statistic,
    pool: Pool,
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


def _paired(first: ScoredWindows, second: ScoredWindows) -> tuple[ScoredWindows, ScoredWindows]:
    """Both in one order that does not depend on the caller's."""
    keys = first.keys(), second.keys()
    if [key[:3] for key in keys[0]] != [key[:3] for key in keys[1]]:
        msg = (
            f"a paired difference needs the same windows twice, found {len(first)} and "
            f"{len(second)} that differ; leave out of both what failed in either"
        )
        raise InputError(msg)
    pairs = list(zip(*keys, strict=True))
    order = sorted(range(len(pairs)), key=pairs.__getitem__)
    return first.taken(order), second.taken(order)
