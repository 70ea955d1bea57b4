"""How often windows count in resamples, and what statistics of resamples say, compiled."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from autointerp.statistics.compiled.compilation import CACHED

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

# A resampled variance below this share of the mean square is rounding.
_NO_VARIANCE = 1e-12


@njit(nogil=True, cache=CACHED)
def window_counts(
    shares: Floats, sizes: Places, members: Places, steps: Floats, bases: Floats
) -> Floats:
    """How often each window counts in each resample, shape (n_resamples, n_windows).

    Of each group all members but one are drawn, by numbers from 0 to 1, a row a resample. A window
    counts its base, and its step each time that it is drawn.
    """
    counts = np.empty((len(shares), len(steps)))
    drawn = np.empty(len(steps), np.int64)
    for row in range(len(shares)):
        drawn[:] = 0
        first = column = np.int64(0)
        for size in sizes:
            for _ in range(size - 1):
                drawn[members[first + np.int64(shares[row, column] * size)]] += 1
                column += 1
            first += size
        for window in range(len(steps)):
            counts[row, window] = drawn[window] * steps[window] + bases[window]
    return counts


@njit(nogil=True, cache=CACHED, error_model="numpy")
def correlations(sums: Floats) -> Floats:
    """Pearson's r of each column of six sums; 0 where one side does not vary.

    Sums of weights, of both sides, of their squares and of their product.
    """
    result = np.empty(sums.shape[1])
    for i in range(sums.shape[1]):
        n = sums[0, i]
        mean_x, mean_y = sums[1, i] / n, sums[2, i] / n
        square_x, square_y = sums[3, i] / n, sums[4, i] / n
        var_x, var_y = square_x - mean_x * mean_x, square_y - mean_y * mean_y
        varies = (var_x > _NO_VARIANCE * square_x) & (var_y > _NO_VARIANCE * square_y)
        spread = math.sqrt(var_x if varies else 1.0) * math.sqrt(var_y if varies else 1.0)
        r = (sums[5, i] / n - mean_x * mean_y) / spread
        r = -1.0 if r < -1.0 else r
        r = 1.0 if r > 1.0 else r
        result[i] = r if varies else 0.0
    return result


@njit(nogil=True, cache=CACHED, error_model="numpy")
def spreads(  # noqa: PLR0913, PLR0917
    values: Floats,
    starts: Places,
    n: int,
    centres: Floats,
    group_starts: Places,
    sizes: Places,
    unseen: Floats,
) -> Floats:
    """How resampled values of each estimate lie about its centre, shape (n_estimates, 4).

    Of each there are n values and then one without each member of its groups, from its start on.
    A row has the unit, which is the largest deviation, or NaN where less than half of the values
    are finite; and in such units the standard error, Satterthwaite's degrees of freedom, and the
    third standardized moment by leaving out one window at a time.
    """
    result = np.empty((len(centres), 4))
    for i in range(len(centres)):
        first, centre = starts[i], centres[i]
        n_there, unit, error = 0, 0.0, 0.0
        for value in values[first : first + n]:
            if math.isfinite(value - centre):
                n_there += 1
                unit = max(unit, abs(value - centre))
        unit = unit if unit > 0 else 1.0
        # In units of the largest deviation nothing overflows when it is squared.
        for value in values[first : first + n]:
            if math.isfinite(value - centre):
                error += ((value - centre) / unit) ** 2
        error = math.sqrt(error / max(1, n_there))
        groups = slice(group_starts[i], group_starts[i + 1])
        left_out = (values[first + n : starts[i + 1]] - centre) / unit
        alone, df, skew = _jackknife(left_out, sizes[groups], unseen[groups])
        unit = math.nan if n_there < n / 2 else unit
        result[i] = unit, max(error, alone), df, skew
    return result


@njit(nogil=True, cache=CACHED, error_model="numpy")
def _jackknife(left_out: Floats, sizes: Places, unseen: Floats) -> tuple[float, float, float]:
    """Standard error, degrees of freedom and skew, from the values without each member."""
    seconds, thirds, free = np.empty(len(sizes)), 0.0, 0.0
    first = np.int64(0)
    for group in range(len(sizes)):
        size, share = sizes[group], unseen[group]
        own = left_out[first : first + size]
        first += size
        n_there, mean = 0, 0.0
        for value in own:
            if math.isfinite(value):
                n_there += 1
                mean += value
        mean /= max(1, n_there)
        square, cube = 0.0, 0.0
        for value in own:
            if math.isfinite(value):
                square += (mean - value) ** 2
                cube += (mean - value) ** 3
        seconds[group] = share * (size - 1) * (square / max(1, n_there))
        # Moments of a mean of n out of N; two windows say nothing of the third.
        if size > 2:
            third = cube / max(1, n_there) * (size - 1) ** 2 / (size - 2)
            thirds += share * (2 * share - 1) * third
    error, largest, most = math.sqrt(seconds.sum()), seconds.max(), float((sizes - 1).sum())
    skew = thirds / error**3 if error > 1e-100 else 0.0
    if not largest > 0:
        return error, most, skew
    # Satterthwaite's, from variances in units of the largest, but no fewer than 2.
    parts = seconds / largest
    free = parts.sum() ** 2 / (parts * parts / (sizes - 1)).sum()
    return error, min(max(free, 2.0), most), skew
