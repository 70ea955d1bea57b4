"""Sums over the tokens of windows, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from autointerp.statistics.compiled.compilation import ANY_ORDER, CACHED

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@njit(nogil=True, cache=CACHED, fastmath=ANY_ORDER)
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
    starts = np.cumsum(lengths) - lengths
    rows, parts = np.zeros((len(weights), n_columns)), np.zeros((len(sizes), 7))
    row = np.int64(0)
    for part in range(len(sizes)):
        if not sizes[part]:
            parts[part, :2] = 1.0
            continue
        first, last = firsts[part], firsts[part] + sizes[part]
        shares = weights[row : row + sizes[part]]
        shares = shares / shares.max()
        tokens = slice(starts[first], starts[last - 1] + lengths[last - 1])
        x = _standard(real[tokens], lengths[first:last], shares)
        y = _standard(predicted[tokens], lengths[first:last], shares)
        parts[part, :6] = x[0], y[0], x[2], x[3], y[2], y[3]
        parts[part, 6] = tokens.stop - tokens.start
        for window in range(first, last):
            own = slice(starts[window], starts[window] + lengths[window])
            _add(rows[row], real[own], predicted[own], x[0], y[0], x[1], y[1])
            rows[row] *= shares[window - first]
            row += 1
    return rows, parts


@njit(nogil=True, cache=CACHED, fastmath=ANY_ORDER)
def _standard(values: Floats, lengths: Places, shares: Floats) -> tuple[float, float, float, float]:
    """The largest absolute value or 1, and in such units the weighted mean, least and greatest."""
    least = most = 0.0
    if len(values):
        least = most = values[0]
    for value in values:
        least, most = min(least, value), max(most, value)
    unit = max(-least, most)
    unit = unit if unit > 0 else 1.0
    start, total, weight = np.int64(0), 0.0, 0.0
    for window in range(len(lengths)):
        inner = 0.0
        for value in values[start : start + lengths[window]]:
            inner += value / unit
        start += lengths[window]
        total += inner * shares[window]
        weight += lengths[window] * shares[window]
    mean = total / weight if weight > 0 else 0.0
    return unit, mean, least / unit, most / unit


@njit(nogil=True, cache=CACHED, fastmath=ANY_ORDER)
def _add(  # noqa: PLR0913, PLR0917
    row: Floats,
    real: Floats,
    predicted: Floats,
    x_unit: float,
    y_unit: float,
    x_mean: float,
    y_mean: float,
) -> None:
    """One window's sums, as `sufficient_statistics` numbers them."""
    sum_x = sum_y = sum_xx = sum_yy = sum_xy = square_x = square_y = product = 0.0
    for i in range(len(real)):
        x, y = real[i] / x_unit, predicted[i] / y_unit
        square_x, square_y, product = square_x + x * x, square_y + y * y, product + x * y
        x, y = x - x_mean, y - y_mean
        sum_x, sum_y = sum_x + x, sum_y + y
        sum_xx, sum_yy, sum_xy = sum_xx + x * x, sum_yy + y * y, sum_xy + x * y
    row[0] = len(real)
    row[1:6] = sum_x, sum_y, sum_xx, sum_yy, sum_xy
    row[6:9] = square_x, square_y, product
    if len(row) > 9:
        unit = max(x_unit, y_unit)
        for i in range(len(real)):
            apart = real[i] / unit - predicted[i] / unit
            row[9] += apart * apart
            row[10] += abs(apart)
            row[11] += abs(real[i] / x_unit)
