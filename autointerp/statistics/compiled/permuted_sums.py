"""Sums over windows whose predictions change places, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from autointerp.statistics.compiled.compilation import CACHED

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@njit(nogil=True, cache=CACHED)
def permuted_sums(x: Floats, y: Floats, weights: Floats, order: Places, turn: Places) -> Floats:
    """Weighted sums of y, y*y and x*y for each permutation, shape (n_permutations, 3).

    Window i of x, shape (n_windows, length) as y, meets window ``order[., i]`` of y, turned by
    ``turn[., i]`` tokens.
    """
    n, length = x.shape
    # Each twice in a row, so that a turned window lies in one piece.
    twice, sums, squares = np.empty((n, 2 * length)), np.zeros(n), np.zeros(n)
    weighted, masses = np.empty((n, length)), np.zeros(n)
    is_flat = np.ones(n, np.bool_)
    for place in range(n):
        for token in range(length):
            value = y[place, token]
            twice[place, token] = twice[place, length + token] = value
            sums[place] += value
            squares[place] += value * value
            weighted[place, token] = weights[place] * x[place, token]
            masses[place] += weighted[place, token]
            is_flat[place] &= value == y[place, 0]
    result, products = np.zeros((len(order), 3)), np.empty(length)
    for row in range(len(order)):
        products[:] = 0.0
        for place in range(n):
            other, first, weight = order[row, place], turn[row, place], weights[place]
            result[row, 0] += weight * sums[other]
            result[row, 1] += weight * squares[other]
            # Most windows of rules: nothing is predicted, and no turn changes that.
            if is_flat[other]:
                result[row, 2] += masses[place] * y[other, 0]
            else:
                # Token by token: a sum within a window would wait for each of its additions.
                real, predicted = weighted[place], twice[other, first : first + length]
                for token in range(length):
                    products[token] += real[token] * predicted[token]
        for token in range(length):
            result[row, 2] += products[token]
    return result
