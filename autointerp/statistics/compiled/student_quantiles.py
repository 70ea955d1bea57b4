"""Quantiles of Student's distribution, compiled."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from autointerp.statistics.compiled.compilation import CACHED

Floats = NDArray[np.float64]

# When Newton's steps end.
_STEPS, _NEAR = 100, 1e-12


@njit(nogil=True, cache=CACHED)
def student_quantiles(
    masses: Floats, normal: float, df: Floats, nodes: Floats, shares: Floats
) -> Floats:
    """The t up to which a power of a cosine, Student's density of each df, has that mass.

    `normal` is the normal distribution's quantile; nodes and shares integrate from 0 to 1.
    """
    result = np.empty(len(df))
    for i in range(len(df)):
        # With t = sqrt(df) * tan(angle) the density is a power of the cosine on a bounded interval.
        n = df[i]
        angle = math.atan(normal / math.sqrt(n))
        # Newton's steps from below, where the normal's quantile is, never pass the root.
        for _ in range(_STEPS):
            mass = 0.0
            for k in range(len(nodes)):
                mass += shares[k] * math.exp((n - 1.0) * math.log(math.cos(angle * nodes[k])))
            step = (masses[i] - angle * mass) / math.cos(angle) ** (n - 1.0)
            angle += step
            if step <= _NEAR * angle:
                break
        result[i] = math.sqrt(n) * math.tan(angle)
    return result
