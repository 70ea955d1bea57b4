"""Units of two groups in pairs that are alike in something, and how pairs differ in a score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from autointerp.statistics.closed_form_intervals import t_quantile, t_tails

_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class MeanDifference:
    """The mean over pairs of the first's score less the second's."""

    n: int
    value: float
    low: float | None
    """Lower end of the 95 % interval; None of fewer than two pairs, or where none differs."""
    high: float | None
    p_value: float | None


def nearest_pairs(first: Sequence[float], second: Sequence[float]) -> list[tuple[int, int]]:
    """Places of units in pairs, the nearest first, each unit in one pair at most.

    Every pair of units is tried in the order of its distance, so that who comes first does not
    decide who is left with a distant one.
    """
    distances = sorted(
        (abs(a - b), i, j) for i, a in enumerate(first) for j, b in enumerate(second)
    )
    pairs, used = [], (set[int](), set[int]())
    for _, i, j in distances:
        if i not in used[0] and j not in used[1]:
            pairs.append((i, j))
            used[0].add(i)
            used[1].add(j)
    return pairs


def mean_difference(pairs: Sequence[tuple[float, float]]) -> MeanDifference | None:
    """Student's interval and p-value of paired differences; None without a pair."""
    if not pairs:
        return None
    differences = [a - b for a, b in pairs]
    n, value = len(differences), fmean(differences)
    spread = stdev(differences) if n > 1 else 0.0
    if spread <= 0:
        return MeanDifference(n, value, None, None, None)
    error = spread / math.sqrt(n)
    reach = t_quantile(_CONFIDENCE, n - 1) * error
    p_value = float(t_tails(abs(value) / error, n - 1))
    return MeanDifference(n, value, value - reach, value + reach, min(1.0, p_value))
