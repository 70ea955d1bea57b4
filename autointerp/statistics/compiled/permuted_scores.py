"""Correlations of windows whose predictions change places, compiled."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from autointerp.statistics.compiled.compilation import CACHED
from autointerp.statistics.compiled.random_numbers import (
    Halves,
    State,
    draw_below,
    draw_halves,
    more_halves,
    shuffle,
)

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

# Standard deviations of predictions, in units of the largest, below which all are the same.
_LEAST_SPREAD = 1e-9


@njit(nogil=True, cache=CACHED, error_model="numpy")
def permuted_scores(  # noqa: PLR0913, PLR0917
    real: Floats,
    predicted: Floats,
    lengths: Places,
    weights: Floats,
    members: Places,
    sizes: Places,
    states: State,
    n_permutations: int,
) -> Floats:
    """Of the windows as they are, then of each permutation within groups of one length.

    Predictions of a window are dealt to another of its group and turned around it. A group is so
    many members, and has a state from which it draws.
    """
    starts = np.zeros(len(lengths) + 1, np.int64)
    for window in range(len(lengths)):
        starts[window + 1] = starts[window] + lengths[window]
    x, y = _scaled(real), _scaled(predicted)
    n_tokens, x_mean, y_mean = 0.0, 0.0, 0.0
    for window in range(len(lengths)):
        n_tokens += weights[window] * lengths[window]
        for token in range(starts[window], starts[window + 1]):
            x_mean += weights[window] * x[token]
            y_mean += weights[window] * y[token]
    x_mean /= n_tokens
    # No correlation changes with what is taken off all predictions: windows of which the same is
    # predicted throughout, as nearly all of rules, are all 0 then and add nothing to any sum.
    level = _level(y, starts, y_mean / n_tokens)
    square = 0.0
    for window in range(len(lengths)):
        for token in range(starts[window], starts[window + 1]):
            x[token] -= x_mean
            y[token] -= level
            square += weights[window] * x[token] * x[token]
            x[token] *= weights[window]
    sums, first = np.zeros((1 + n_permutations, 3)), np.int64(0)
    for group in range(len(sizes)):
        own_members = members[first : first + sizes[group]]
        first += sizes[group]
        _deal(x, y, starts, weights, own_members, states[group], sums)
    scores = np.empty(len(sums))
    for row in range(len(sums)):
        mean = sums[row, 0] / n_tokens
        variance = max(sums[row, 1] / n_tokens - mean * mean, _LEAST_SPREAD**2)
        scores[row] = sums[row, 2] / (n_tokens * math.sqrt(variance * (square / n_tokens)))
    return scores


@njit(nogil=True, cache=CACHED, error_model="numpy")
def _scaled(values: Floats) -> Floats:
    most = 0.0
    for value in values:
        most = max(most, abs(value))
    result = np.empty(len(values))
    for i in range(len(values)):
        result[i] = values[i] / most
    return result


@njit(nogil=True, cache=CACHED)
def _level(values: Floats, starts: Places, mean: float) -> float:
    """What most windows are that are the same throughout: the first's; the mean without one."""
    for window in range(len(starts) - 1):
        own = values[starts[window] : starts[window + 1]]
        is_flat = len(own) > 1
        for value in own:
            is_flat &= value == own[0]
        if is_flat:
            return float(own[0])
    return mean


@njit(nogil=True, cache=CACHED)
def _deal(  # noqa: PLR0913, PLR0917
    x: Floats,
    y: Floats,
    starts: Places,
    weights: Floats,
    members: Places,
    state: State,
    sums: Floats,
) -> None:
    """Adds one group's weighted sums of y, y*y and x*y to each permutation's."""
    n, length = len(members), starts[members[0] + 1] - starts[members[0]]
    if length == 0:
        return
    # Each twice in a row, so that a turned window lies in one piece.
    real, twice = np.empty((n, length)), np.empty((n, 2 * length))
    there, totals, squares = np.empty(n, np.int64), np.zeros(n), np.zeros(n)
    own_weights = np.empty(n)
    n_there = 0
    for place in range(n):
        start, some = starts[members[place]], False
        own_weights[place] = weights[members[place]]
        for token in range(length):
            value = y[start + token]
            real[place, token] = x[start + token]
            twice[place, token] = twice[place, length + token] = value
            totals[place] += value
            squares[place] += value * value
            some |= value != 0.0
        if some:
            there[n_there] = place
            n_there += 1
    _add_dealt(real, twice, there[:n_there], (totals, squares, own_weights), state, sums)


@njit(nogil=True, cache=CACHED)
def _add_dealt(  # noqa: PLR0913, PLR0917
    real: Floats,
    twice: Floats,
    there: Places,
    windows: tuple[Floats, Floats, Floats],
    state: State,
    sums: Floats,
) -> None:
    """The same, of windows by their totals, squares and weights; `there` predict anything."""
    n, length = real.shape
    totals, squares, weights = windows
    # The orders come first and take up to twice as many as they have places, then the turns.
    halves = draw_halves(state, 3 * len(sums) * n + 64)
    places, halves = _places(len(sums) - 1, n, halves, state)
    turns, firsts = np.zeros(n, np.int32), np.zeros((len(there), len(sums)), np.int32)
    for row in range(len(sums)):
        taken = draw_below(length, turns, halves)
        while taken < 0:
            halves = more_halves(halves, state, 4 * n + 64)
            taken = draw_below(length, turns, halves)
        halves = halves[taken:]
        if row > 0:
            for i in range(len(there)):
                firsts[i, row] = turns[places[row, there[i]]]
    for i in range(len(there)):
        # One prediction after the other, so that it is at hand wherever it is dealt to.
        other = there[i]
        own, total, square = twice[other], totals[other], squares[other]
        for row in range(len(sums)):
            place, first = places[row, other], firsts[i, row]
            sums[row, 0] += weights[place] * total
            sums[row, 1] += weights[place] * square
            sums[row, 2] += _product(real[place], own[first : first + length])


# The order does not matter here: scores that differ by rounding count as the same.
@njit(nogil=True, cache=CACHED, fastmath={"reassoc", "contract"})
def _product(a: Floats, b: Floats) -> float:
    result = 0.0
    for i in range(len(a)):
        result += a[i] * b[i]
    return result


@njit(nogil=True, cache=CACHED)
def _places(
    n_permutations: int, n: int, halves: Halves, state: State
) -> tuple[NDArray[np.int32], Halves]:
    """Where each is dealt to: as they are, then in random orders as `Generator.permuted` has them.

    Shape (1 + n_permutations, n); and the bits that are left.
    """
    result, order = np.empty((1 + n_permutations, n), np.int32), np.empty(n, np.int32)
    for row in range(1 + n_permutations):
        for place in range(n):
            order[place] = place
        if row > 0:
            taken = shuffle(order, halves)
            while taken < 0:
                halves = more_halves(halves, state, 4 * n + 64)
                for place in range(n):
                    order[place] = place
                taken = shuffle(order, halves)
            halves = halves[taken:]
        for place in range(n):
            result[row, order[place]] = place
    return result, halves
