"""How closely each of many units follows predictions: weighted correlations by sums of products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
_LEAST = 1e-9
"""Share of a mean square that is rounding, where all the rest of it is the mean."""


def weighted_correlations(
    activations: Floats, predicted: Floats, weights: Floats
) -> NDArray[np.float64]:
    """Pearson's, shape (unit, prediction); NaN where one side does not vary.

    Args:
        activations: shape (unit, token).
        predicted: shape (token, prediction).
        weights: of each token for each prediction, 0 where it makes none; same shape.
    """
    total = weights.sum(axis=0, dtype=np.float64)
    # Without a weight all sums are 0, and nothing is defined.
    total = np.where(total > 0, total, np.nan)
    weighted = weights * predicted
    mean_p = weighted.sum(axis=0, dtype=np.float64) / total
    square_p = (weighted * predicted).sum(axis=0, dtype=np.float64) / total
    mean = (activations @ weights).astype(np.float64) / total
    square = (np.square(activations) @ weights).astype(np.float64) / total
    product = (activations @ weighted).astype(np.float64) / total
    variance, variance_p = square - mean * mean, square_p - mean_p * mean_p
    flat = (variance <= _LEAST * square) | (variance_p <= _LEAST * square_p)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (product - mean * mean_p) / np.sqrt(variance * variance_p)
    return np.where(flat, np.nan, found)


@dataclass(frozen=True, slots=True)
class WindowLines:
    """One window: what was predicted there, and what two units do."""

    stratum: str
    weight: float
    predicted: Floats
    own: Floats
    other: Floats


def margin_interval(
    windows: Sequence[WindowLines], *, seed: int, n_resamples: int = 500
) -> tuple[float, float] | None:
    """The 95 % interval of one unit's correlation less another's, from resampled windows.

    Windows are drawn anew within their strata, both units on the same ones; None of fewer than two
    windows, or where too many resamples have no correlation.
    """
    if len(windows) < 2:
        return None
    sums = np.array([_sums(window) for window in windows])
    rng, counts = np.random.default_rng(seed), np.zeros((n_resamples, len(windows)))
    names = np.array([window.stratum for window in windows])
    for name in dict.fromkeys(names.tolist()):
        places = np.flatnonzero(names == name)
        drawn = rng.multinomial(len(places), np.full(len(places), 1 / len(places)), n_resamples)
        counts[:, places] = drawn
    found = _margins(counts @ sums)
    found = found[np.isfinite(found)]
    if len(found) < n_resamples // 2:
        return None
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def _sums(window: WindowLines) -> list[float]:
    p, own, other = (
        line.astype(np.float64) for line in (window.predicted, window.own, window.other)
    )
    rows = (np.ones_like(p), p, p * p, own, own * own, own * p, other, other * other, other * p)
    return [window.weight * float(row.sum()) for row in rows]


def _margins(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    n, p, pp, *rest = sums.T
    variance_p = pp / n - (p / n) ** 2
    correlations = []
    for a, aa, ap in (rest[:3], rest[3:]):
        variance = aa / n - (a / n) ** 2
        flat = (variance <= _LEAST * aa / n) | (variance_p <= _LEAST * pp / n)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = (ap / n - a * p / n**2) / np.sqrt(variance * variance_p)
        correlations.append(np.where(flat, np.nan, found))
    margins: NDArray[np.float64] = correlations[0] - correlations[1]
    return margins
