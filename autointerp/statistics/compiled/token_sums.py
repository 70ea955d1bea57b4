"""Sums over the tokens of windows, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from autointerp.statistics.compiled.compilation import CACHED

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@njit(nogil=True, cache=CACHED)
def token_sums(  # noqa: PLR0913, PLR0917
    real: Floats,
    predicted: Floats,
    lengths: Places,
    firsts: Places,
    sizes: Places,
    weights: Floats,
    n_columns: int,
) -> tuple[Floats, Floats]:
    """The rows of `sufficient_statistics` of several parts, and what is said of each part.

    A part is so many windows from its first on, and has a weight for each. Of it are told the
    units of both sides, their least and greatest values in such units, and how many tokens it has.
    """
    starts = np.empty(len(lengths) + 1, np.int64)
    starts[0] = 0
    for window in range(len(lengths)):
        starts[window + 1] = starts[window] + lengths[window]
    rows, parts = np.zeros((len(weights), n_columns)), np.zeros((len(sizes), 7))
    row = np.int64(0)
    for part in range(len(sizes)):
        first, last, most = firsts[part], firsts[part] + sizes[part], 0.0
        for i in range(row, row + sizes[part]):
            most = max(most, weights[i])
        own = parts[part]
        shares = weights[row : row + sizes[part]]
        x_mean = _standard(real, starts[first : last + 1], shares, own, 0)
        y_mean = _standard(predicted, starts[first : last + 1], shares, own, 1)
        own[6] = starts[last] - starts[first]
        for window in range(first, last):
            start, end = starts[window], starts[window + 1]
            _add(rows[row], real[start:end], predicted[start:end], own, x_mean, y_mean)
            for column in range(n_columns):
                rows[row, column] *= weights[row] / most
            row += 1
    return rows, parts


@njit(nogil=True, cache=CACHED)
def _standard(values: Floats, starts: Places, shares: Floats, part: Floats, side: int) -> float:
    """The weighted mean in units of the largest absolute value, or of 1.

    The unit and the least and the greatest value in it are written to the part, of either side.
    """
    first, last = starts[0], starts[len(starts) - 1]
    least = most = values[first] if last > first else 0.0
    for i in range(first, last):
        least, most = min(least, values[i]), max(most, values[i])
    unit = max(-least, most)
    unit = unit if unit > 0 else 1.0
    part[side], part[2 + 2 * side], part[3 + 2 * side] = unit, least / unit, most / unit
    total, weight = 0.0, 0.0
    for window in range(len(shares)):
        inner = 0.0
        for i in range(starts[window], starts[window + 1]):
            inner += values[i] / unit
        total += inner * shares[window]
        weight += (starts[window + 1] - starts[window]) * shares[window]
    return total / weight if weight > 0 else 0.0


@njit(nogil=True, cache=CACHED)
def _add(
    row: Floats, real: Floats, predicted: Floats, part: Floats, x_mean: float, y_mean: float
) -> None:
    """One window's sums, as `sufficient_statistics` numbers them."""
    x_unit, y_unit = part[0], part[1]
    sum_x = sum_y = sum_xx = sum_yy = sum_xy = square_x = square_y = product = 0.0
    for i in range(len(real)):
        x, y = real[i] / x_unit, predicted[i] / y_unit
        square_x, square_y, product = square_x + x * x, square_y + y * y, product + x * y
        x, y = x - x_mean, y - y_mean
        sum_x, sum_y = sum_x + x, sum_y + y
        sum_xx, sum_yy, sum_xy = sum_xx + x * x, sum_yy + y * y, sum_xy + x * y
    row[0], row[1], row[2], row[3], row[4], row[5] = len(real), sum_x, sum_y, sum_xx, sum_yy, sum_xy
    row[6], row[7], row[8] = square_x, square_y, product
    if len(row) > 9:
        unit = max(x_unit, y_unit)
        for i in range(len(real)):
            apart = real[i] / unit - predicted[i] / unit
            row[9] += apart * apart
            row[10] += abs(apart)
            row[11] += abs(real[i] / x_unit)
