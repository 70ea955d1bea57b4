"""What the integers of a state mean; numpy only, so that summaries can be read without torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]

NO_WINDOW = -1
"""Window id in places that no window fills."""
EMPTY_RANK = int(np.iinfo(np.int64).min)
"""Key in such a place."""
FRACTION_BITS = 52
"""Of the second part of a fixed-point number, whose first part is its whole."""

_LOW = 0xFFFFFFFF


def from_fixed(fixed: Ints) -> Floats:
    """The nearest float64 values of fixed-point ones, shape (2, ...), up to one rounding a part."""
    whole, fraction = fixed.astype(np.float64)
    return np.asarray(whole + fraction / float(2**FRACTION_BITS))


def mean_of(total: Ints, n_tokens: int) -> Floats:
    """Means of fixed-point sums."""
    return np.asarray(from_fixed(total) / max(1, n_tokens))


def variance_of(total: Ints, squares: Ints, n_tokens: int) -> Floats:
    """Population variances of fixed-point sums and sums of squares."""
    mean = mean_of(total, n_tokens)
    return np.asarray(np.maximum(0.0, mean_of(squares, n_tokens) - mean**2))


def share(counts: Ints, n: int) -> Floats:
    """Counts as fractions of n; 0 of nothing."""
    return np.asarray(counts / max(1, n))


def unpack_ranked(keys: Ints) -> tuple[Floats, Ints]:
    """(values, window ids) of value keys; NaN and NO_WINDOW where no window is."""
    empty = keys == EMPTY_RANK
    ordered = (keys >> 32).astype(np.int32)
    bits = np.where(ordered < 0, ordered ^ np.int32(0x7FFFFFFF), ordered)
    values = np.where(empty, np.float32(np.nan), bits.view(np.float32))
    return values, np.where(empty, NO_WINDOW, _LOW - (keys & _LOW))


def ranked(keys: Ints) -> tuple[Ints, Floats]:
    """(window ids, values) of the value keys of one unit, empty places left out."""
    values, windows = unpack_ranked(keys)
    present = windows != NO_WINDOW
    return windows[present], values[present]


def sampled(keys: Ints, peaks: Floats) -> tuple[Ints, Floats]:
    """(window ids, peaks) of the priority keys of one unit, empty places left out."""
    return seen(keys & _LOW, peaks)


def seen(windows: Ints, peaks: Floats) -> tuple[Ints, Floats]:
    """(window ids, peaks) where there is a peak."""
    present = ~np.isnan(peaks)
    return windows[present], peaks[present]
