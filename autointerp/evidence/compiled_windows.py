"""Loops over the tokens of a unit's windows, compiled; imported where they are called.

Windows are of one length; activations are a side's. A row of shifts says by how much each window's
activations are moved along it: what moves beyond its end comes back at its beginning.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from autointerp.statistics.compiled.compilation import CACHED

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_FREE = -1
# The odd number next to 2 ** 64 over the golden ratio, and the bits that it spreads keys over.
_SPREAD, _BITS = np.uint64(0x9E3779B97F4A7C15), 64


@njit(nogil=True, cache=CACHED)
def mean_lines(activations: Floats, shares: Floats, shifts: Ints) -> Floats:
    """The mean activation at each position by the windows' shares, for each row of shifts."""
    n, length = activations.shape
    lines = np.zeros((len(shifts), length))
    for row in range(len(shifts)):
        for window in range(n):
            moved = _moved(activations[window], shifts[row, window])
            for place in range(length):
                lines[row, place] += shares[window] * moved[place]
    return lines


@njit(nogil=True, cache=CACHED)
def _moved(line: Floats, shift: int) -> Floats:
    result = np.empty_like(line)
    left = len(line) - shift
    result[:left], result[left:] = line[shift:], line[:shift]
    return result


@njit(nogil=True, cache=CACHED)
def correlations_left(
    ids: Ints, activations: Floats, expected: Floats, shares: Floats, shifts: Ints
) -> tuple[Floats, Floats]:
    """Of having stood in the window before and activations less the expected, positions held still.

    For each row of shifts the covariance and the product of the two variances.
    """
    n, length = ids.shape
    flags, rest = _less_means(_stood_before(ids), shares), np.empty((n, length))
    both, sizes = np.zeros(len(shifts)), np.zeros(len(shifts))
    own = np.zeros(length)
    for window in range(n):
        for place in range(length):
            own[place] += shares[window] * flags[window, place] ** 2
    for row in range(len(shifts)):
        for window in range(n):
            moved = _moved(activations[window], shifts[row, window])
            for place in range(length):
                rest[window, place] = moved[place] - expected[window, place]
        left = _less_means(rest, shares)
        square, product = np.zeros(length), np.zeros(length)
        for window in range(n):
            for place in range(length):
                weighted = shares[window] * left[window, place]
                square[place] += weighted * left[window, place]
                product[place] += weighted * flags[window, place]
        both[row], sizes[row] = product.sum(), square.sum() * own.sum()
    return both, sizes


@njit(nogil=True, cache=CACHED)
def _stood_before(ids: Ints) -> Floats:
    """1.0 where a token stood in its window before."""
    n, length = ids.shape
    result, last = np.zeros((n, length)), np.zeros(ids.max() + 1, np.int32)
    for window in range(n):
        for place in range(length):
            token = ids[window, place]
            if last[token] == window + 1:
                result[window, place] = 1.0
            last[token] = window + 1
    return result


@njit(nogil=True, cache=CACHED)
def _less_means(values: Floats, shares: Floats) -> Floats:
    """Values less the mean at their position by the windows' shares."""
    n, length = values.shape
    means, result = np.zeros(length), np.empty((n, length))
    for window in range(n):
        for place in range(length):
            means[place] += shares[window] * values[window, place]
    means /= shares.sum()
    for window in range(n):
        for place in range(length):
            result[window, place] = values[window, place] - means[place]
    return result


@njit(nogil=True, cache=CACHED)
def pair_errors(ids: Ints, activations: Floats) -> tuple[int, float, float, float]:
    """How much of the activations is left by their tokens' means, and by those of pairs of tokens.

    Of the places, but each window's first, that hold a token at which a window is largest: how
    many there are, and the squared errors of the mean at the token, at the token and the one before
    it, and at the token and the one that stands before another place.
    """
    tokens, before, values = _at_largest(ids, activations)
    n = len(tokens)
    if n == 0:
        return 0, 0.0, 0.0, 0.0
    overall = np.full(n, values.mean())
    alone = _means_without(tokens, values, overall)
    width, turn = ids.max() + 1, n // 3
    other = np.empty_like(before)
    other[turn:], other[:turn] = before[: n - turn], before[n - turn :]
    together = _means_without(tokens * width + before, values, alone)
    chance = _means_without(tokens * width + other, values, alone)
    return n, _error(values, alone), _error(values, together), _error(values, chance)


@njit(nogil=True, cache=CACHED)
def _at_largest(ids: Ints, activations: Floats) -> tuple[Ints, Ints, Floats]:
    """Tokens, those before them and activations at places of tokens that windows peak at."""
    n, length = ids.shape
    largest = np.zeros(ids.max() + 1, np.bool_)
    for window in range(n):
        largest[ids[window, activations[window].argmax()]] = True
    tokens, before = np.empty(n * length, np.int64), np.empty(n * length, np.int64)
    values, found = np.empty(n * length), 0
    for window in range(n):
        for place in range(1, length):
            if largest[ids[window, place]]:
                tokens[found], before[found] = ids[window, place], ids[window, place - 1]
                values[found] = activations[window, place]
                found += 1
    return tokens[:found], before[:found], values[:found]


@njit(nogil=True, cache=CACHED)
def _means_without(keys: Ints, values: Floats, otherwise: Floats) -> Floats:
    """The mean of the others with the same key; of one alone that of `otherwise`."""
    n, bits = len(keys), 1
    while (1 << bits) < 2 * n:
        bits += 1
    slots, mask = np.full(1 << bits, _FREE), (1 << bits) - 1
    own, counts, sums = np.empty(n, np.int64), np.zeros(1 << bits), np.zeros(1 << bits)
    for place in range(n):
        slot = np.int64((np.uint64(keys[place]) * _SPREAD) >> np.uint64(_BITS - bits))
        while slots[slot] not in (_FREE, keys[place]):
            slot = (slot + 1) & mask
        slots[slot], own[place] = keys[place], slot
        counts[slot] += 1.0
        sums[slot] += values[place]
    result = np.empty(n)
    for place in range(n):
        others = counts[own[place]] - 1.0
        rest = sums[own[place]] - values[place]
        result[place] = rest / others if others > 0 else otherwise[place]
    return result


@njit(nogil=True, cache=CACHED)
def _error(values: Floats, means: Floats) -> float:
    total = 0.0
    for place in range(len(values)):
        total += (values[place] - means[place]) ** 2
    return total
