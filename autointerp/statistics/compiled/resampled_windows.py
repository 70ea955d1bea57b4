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
    counts = np.zeros((len(shares), len(steps)))
    for row in range(len(shares)):
        drawn, first, column = counts[row], np.int64(0), np.int64(0)
        for size in sizes:
            own = members[first : first + size]
            for share in shares[row, column : column + size - 1]:
                drawn[own[np.uint64(share * size)]] += 1.0
            first += size
            column += size - 1
        for window in range(len(steps)):
            drawn[window] = drawn[window] * steps[window] + bases[window]
    return counts


@njit(nogil=True, cache=CACHED)
def add_left_out(rows: Floats, members: Places, sizes: Places, result: Floats) -> None:
    """Writes the sums without one member at a time, the others of its group counting for it.

    A row a column of the rows; groups are so many members.
    """
    n_windows, n_columns = rows.shape
    first, whole = np.int64(0), np.zeros(n_columns)
    for window in range(n_windows):
        for column in range(n_columns):
            whole[column] += rows[window, column]
    for size in sizes:
        group = np.zeros(n_columns)
        for member in members[first : first + size]:
            for column in range(n_columns):
                group[column] += rows[member, column]
        for place in range(first, first + size):
            own = rows[members[place]]
            for column in range(n_columns):
                less = (group[column] - size * own[column]) / (size - 1)
                result[column, place] = whole[column] + less
        first += size


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
        for place in range(first, first + n):
            off = values[place] - centre
            if math.isfinite(off):
                n_there += 1
                unit = max(unit, abs(off))
        unit = unit if unit > 0 else 1.0
        # In units of the largest deviation nothing overflows when it is squared.
        for place in range(first, first + n):
            off = (values[place] - centre) / unit
            if math.isfinite(off):
                error += off * off
        result[i, 0] = math.nan if n_there < n / 2 else unit
        result[i, 1] = math.sqrt(error / max(1, n_there))
        first += n
        # In the same unit, which drops out of what follows but for the error.
        for place in range(first, starts[i + 1]):
            values[place] = (values[place] - centre) / unit
        _jackknife(values, first, group_starts[i], group_starts[i + 1], sizes, unseen, result[i])
    return result


@njit(nogil=True, cache=CACHED, error_model="numpy")
def _jackknife(  # noqa: PLR0913, PLR0917
    values: Floats,
    first: int,
    group: int,
    last: int,
    sizes: Places,
    unseen: Floats,
    result: Floats,
) -> None:
    """Standard error, degrees of freedom and skew, from the values without each member.

    The values are those from the first on, of the groups up to the last.
    """
    seconds, total, largest, thirds, most = np.empty(last - group), 0.0, 0.0, 0.0, 0
    for g in range(group, last):
        size, share = sizes[g], unseen[g]
        n_there, mean, square, cube = 0, 0.0, 0.0, 0.0
        for place in range(first, first + size):
            if math.isfinite(values[place]):
                n_there += 1
                mean += values[place]
        mean /= max(1, n_there)
        for place in range(first, first + size):
            pull = mean - values[place]
            if math.isfinite(pull):
                square += pull * pull
                cube += pull * pull * pull
        first += size
        second = seconds[g - group] = share * (size - 1) * (square / max(1, n_there))
        total, largest, most = total + second, max(largest, second), most + size - 1
        # Moments of a mean of n out of N; two windows say nothing of the third.
        if size > 2:
            third = cube / max(1, n_there) * (size - 1) ** 2 / (size - 2)
            thirds += share * (2 * share - 1) * third
    error = math.sqrt(total)
    result[1] = max(result[1], error)
    result[3] = thirds / (error * error * error) if error > 1e-100 else 0.0
    # Satterthwaite's, from variances in units of the largest, but no fewer than 2.
    result[2] = most
    if largest > 0:
        parts, squares = total / largest, 0.0
        for g in range(group, last):
            part = seconds[g - group] / largest
            squares += part * part / (sizes[g] - 1)
        result[2] = min(max(parts * parts / squares, 2.0), most)
