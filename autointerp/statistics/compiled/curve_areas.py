"""Areas under the curves of resamples to which unseen tokens were added, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from autointerp.statistics.compiled.compilation import CACHED

Floats = NDArray[np.float64]


@njit(nogil=True, cache=CACHED, error_model="numpy")
def precision_areas(sums: Floats, kinds: Floats, added: Floats) -> Floats:
    """Average precision of each resample, shape (n_resamples,).

    The sums have a column of `_Tokens.ranking` a row, shape (n_columns, n_resamples). To them come
    tokens of each kind, shape (n_kinds, n_columns), so many times, shape (n_resamples, n_kinds).
    """
    n, n_resamples = len(sums) // 3, sums.shape[1]
    area, before = np.zeros(n_resamples), np.zeros(n_resamples)
    positive, message = np.empty(n_resamples), np.empty(n_resamples)
    times = added.T.copy()
    for i in range(n):
        _moved(sums, kinds, times, i, positive)
        _moved(sums, kinds, times, n + i, message)
        for row in range(n_resamples):
            there = message[row] > 0
            precision = positive[row] / (message[row] if there else 1.0)
            area[row] += (positive[row] - before[row]) * (precision if there else 0.0)
            before[row] = positive[row]
    for row in range(n_resamples):
        area[row] /= before[row]
    return area


@njit(nogil=True, cache=CACHED, error_model="numpy")
def roc_areas(sums: Floats, kinds: Floats, added: Floats) -> Floats:
    """Area under the ROC curve of each resample, as `precision_areas` takes them."""
    n, n_resamples = len(sums) // 3, sums.shape[1]
    area, before = np.zeros(n_resamples), np.zeros(n_resamples)
    positive, middle = np.empty(n_resamples), np.empty(n_resamples)
    times = added.T.copy()
    for i in range(n):
        _moved(sums, kinds, times, i, positive)
        _moved(sums, kinds, times, 2 * n + i, middle)
        for row in range(n_resamples):
            area[row] += (positive[row] - before[row]) * middle[row]
            before[row] = positive[row]
    _moved(sums, kinds, times, 3 * n, middle)
    for row in range(n_resamples):
        area[row] = 1.0 - area[row] / (before[row] * middle[row])
    return area


@njit(nogil=True, cache=CACHED)
def _moved(sums: Floats, kinds: Floats, times: Floats, column: int, result: Floats) -> None:
    """The sums of one column with what was added to it."""
    for row in range(len(result)):
        result[row] = sums[column, row]
    for kind in range(len(kinds)):
        each = kinds[kind, column]
        if each != 0.0:
            for row in range(len(result)):
                result[row] += each * times[kind, row]
