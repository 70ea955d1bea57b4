"""Intervals that need no resamples: of rates and of differences of means, and quantiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, variance

import numpy as np
from numpy.polynomial.legendre import leggauss

from autointerp.core.errors import InputError
from autointerp.statistics.scored_windows import Floats

# Gauss and Legendre's nodes and weights on 0..1.
_NODES, _SHARES = ((part + shift) / 2 for part, shift in zip(leggauss(32), (1.0, 0.0), strict=True))


def wilson_interval(n_right: float, n: float, *, confidence: float) -> tuple[float, float]:
    """Wilson's interval of a rate: ``n_right`` of ``n`` independent tries, weighted ones too."""
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


def t_quantile(confidence: float, df: float) -> float:
    """The t for which Student's distribution has that much mass between -t and t; df >= 1."""
    return float(t_quantiles(confidence, np.array([df]))[0])


def t_quantiles(confidence: float, df: Floats) -> Floats:
    """The same of several degrees of freedom."""
    from autointerp.statistics.compiled.student_quantiles import student_quantiles  # noqa: PLC0415

    halves = [math.lgamma(n / 2) - math.lgamma((n + 1) / 2) for n in df.tolist()]
    masses = confidence * (math.sqrt(math.pi) / 2) * np.exp(halves)
    normal = NormalDist().inv_cdf((1 + confidence) / 2)
    return np.asarray(student_quantiles(masses, normal, df, _NODES, _SHARES))


def t_tails(t: float, df: float) -> float:
    """The mass of Student's distribution beyond t at both ends; t >= 0, df >= 1."""
    # With t = sqrt(df) tan(angle) the density is a power of the cosine.
    least = math.atan(t / math.sqrt(df))
    width = math.pi / 2 - least
    # Of many degrees of freedom all mass is near the lower end: in parts that double in width.
    edges = least + width * np.array([0.0, *(0.5 ** np.arange(7, -1, -1))])
    angles = edges[:-1, None] + np.diff(edges)[:, None] * _NODES
    mass = float((np.cos(angles) ** (df - 1) * _SHARES * np.diff(edges)[:, None]).sum())
    whole = math.sqrt(math.pi) / 2 * math.exp(math.lgamma(df / 2) - math.lgamma((df + 1) / 2))
    return min(1.0, mass / whole)
