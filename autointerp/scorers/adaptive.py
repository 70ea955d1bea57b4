"""How many windows are enough: stop where the interval is narrow, else draw where it helps most.

Draws are nested: within each stratum the first n of a larger draw are a draw, so that windows may
be added to any stratum at any time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from autointerp.core.errors import InputError
from autointerp.core.records import Stratum
from autointerp.core.scores import Score
from autointerp.scorers import moments
from autointerp.scorers.bootstrap import Floats
from autointerp.scorers.estimates import population_weights
from autointerp.scorers.moments import ScoredWindow, pool_windows

__all__ = ["MIN_WINDOWS", "enough", "next_allocation", "stopped"]

MIN_WINDOWS = 16
"""Judged windows below which no interval is believed to be narrow."""

# Intervals are widened by this before they are believed. Measured with
# benchmarks/interval_coverage.py: without it 86 to 92 % hold the truth after stopping early.
_CAUTION = 1.25

# What is expected of a stratum before its windows are seen counts as so many of them.
_PRIOR_WINDOWS = 2.0
# The weakest stratum is expected to vary by at least this share of the strongest.
_FLOOR = 0.05


def enough(score: Score, *, width: float) -> bool:
    """Whether the score's interval is as narrow as asked, on enough windows to believe it.

    Args:
        score: of the windows judged so far.
        width: from the lower to the upper end.
    """
    _check(width)
    if score.low is None or score.high is None or score.n_windows < MIN_WINDOWS:
        return False
    return _CAUTION * (score.high - score.low) <= width


def stopped(score: Score) -> Score:
    """The score of who stopped there, with an interval that is a little wider.

    Who stops at the first narrow interval stops too often at one that is narrow by luck. An
    interval that `enough` accepted stays within the width that was asked for.
    """
    if score.value is None or score.low is None or score.high is None:
        return score
    low = score.value - _CAUTION * (score.value - score.low)
    high = score.value + _CAUTION * (score.high - score.value)
    return replace(score, low=max(-1.0, low), high=min(1.0, high))


def next_allocation(
    strata: Sequence[Stratum], judged: Sequence[ScoredWindow], n_more: int
) -> dict[str, int]:
    """How many further windows to draw from each stratum so that the variance falls most.

    Neyman's rule in steps: each window goes where it lowers the estimated variance of the
    population correlation most. A stratum's variance is that of its windows' influence on the
    correlation, drawn towards what its size and peak let expect, as two or three windows say
    little.

    Args:
        strata: all strata, with their true sizes.
        judged: windows judged so far.
        n_more: windows to add; fewer are where the strata hold no more.

    Raises:
        InputError: a negative number, a window of no stratum.
    """
    if n_more < 0:
        msg = f"the number of further windows cannot be negative, found {n_more}"
        raise InputError(msg)
    taken = {stratum.name: 0 for stratum in strata}
    for window in judged:
        if window.stratum not in taken:
            msg = f"a window is of stratum {window.stratum!r}, but the strata are {sorted(taken)}"
            raise InputError(msg)
        taken[window.stratum] += 1
    variances = _variances(strata, judged)
    added = {stratum.name: 0 for stratum in strata}
    for _ in range(n_more):
        best, most = None, -1.0
        for stratum in strata:
            n = taken[stratum.name] + added[stratum.name]
            # Two of each come first: from one window no variance can be told.
            gain = math.inf if n < 2 else stratum.n_windows**2 * variances[stratum.name]
            gain /= max(1, n * (n + 1))
            if n < stratum.n_windows and gain > most:
                best, most = stratum.name, gain
        if best is None:
            break
        added[best] += 1
    return added


def _variances(strata: Sequence[Stratum], judged: Sequence[ScoredWindow]) -> dict[str, float]:
    """Variance of a window's influence in each stratum, in any one unit."""
    ceiling = max((stratum.high for stratum in strata), default=0.0) or 1.0
    expected = {s.name: max(_FLOOR, s.high / ceiling) ** 2 for s in strata}
    influence = _influence(judged, strata)
    if influence is None:
        return expected
    names = np.array([window.stratum for window in judged])
    squares, freedom = {}, {}
    for stratum in strata:
        own = influence[names == stratum.name]
        freedom[stratum.name] = max(0, len(own) - 1)
        squares[stratum.name] = float(((own - own.mean()) ** 2).sum()) if len(own) else 0.0
    total = sum(freedom[name] * expected[name] for name in expected)
    unit = sum(squares.values()) / total if total else 0.0
    if not unit > 0:
        return expected
    seen = {
        name: (squares[name] + _PRIOR_WINDOWS * unit * expected[name])
        / (freedom[name] + _PRIOR_WINDOWS)
        for name in expected
    }
    # Two windows that are alike by luck must not starve their stratum: then the interval, which
    # believes them too, is too narrow. So what was seen only ever adds to what is expected.
    return {name: max(seen[name], unit * expected[name]) for name in expected}


def _influence(judged: Sequence[ScoredWindow], strata: Sequence[Stratum]) -> Floats | None:
    """How much each window, counted once, moves the correlation; None where that is undefined."""
    weights = np.array(population_weights(judged, strata))
    pool = pool_windows(judged, weights.tolist())
    if moments.why_no_correlation(pool) is not None:
        return None
    rows = pool.rows
    n, x, y, xx, yy, xy = rows[:, :6].sum(axis=0)
    mean_x, mean_y = x / n, y / n
    var_x, var_y = xx / n - mean_x**2, yy / n - mean_y**2
    if not (var_x > 0 and var_y > 0):
        return None
    r = float(moments.correlation(rows.sum(axis=0)))
    count, x, y, xx, yy, xy = rows[:, :6].T / (weights / weights.max())
    joint = (xy - mean_x * y - mean_y * x + count * mean_x * mean_y) / math.sqrt(var_x * var_y)
    own_x = (xx - 2 * mean_x * x + count * mean_x**2) / var_x
    own_y = (yy - 2 * mean_y * y + count * mean_y**2) / var_y
    return np.asarray(joint - r / 2 * (own_x + own_y))


def _check(width: float) -> None:
    if not width > 0:
        msg = f"the width of an interval must be above 0, found {width}"
        raise InputError(msg)
