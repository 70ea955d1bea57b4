"""Sums and histograms of activations by the classes of tokens, on the CPU, compiled.

As in `cpu_kernel` units are cut into blocks, each handled by one thread from the first token to
the last; tokens without a class are not looked at.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from autointerp.activations.kernels.cpu_tokens import (
    PART,
    ROWS,
    Codes,
    Floats,
    count_places,
    find_places,
    n_bits_of,
    value_of,
)
from autointerp.statistics.compiled.compilation import CACHED, compiled_inner

_BLOCK = 768
_AT_ONCE = 4


class ClassArrays(NamedTuple):
    """What is kept of the units of a hook point, by class."""

    sums: Floats
    """Shape (n_classes, n_units)."""
    squares: Floats
    tokens: NDArray[np.uint16]
    """Pending part of the histograms, shape (n_classes, n_units, signed_bin)."""


@njit(nogil=True, cache=CACHED, parallel=True)
def add_classes(
    arrays: ClassArrays,
    codes: Codes,
    rows: NDArray[np.int64],
    bounds: NDArray[np.int64],
    n_threads: int,
) -> None:
    """Adds tokens to all units, in about equal parts for so many threads.

    Args:
        arrays: added to.
        codes: bits of float32 or bfloat16; a token's activations lie one behind the other.
        rows: where each token's begin, those of a class together.
        bounds: where each class begins in `rows`, and the end of the last.
        n_threads: threads to take.
    """
    n_units = arrays.sums.shape[1]
    n_parts = (n_units + PART - 1) // PART
    block = min(_BLOCK, PART * ((n_parts + n_threads - 1) // n_threads))
    for number in prange((n_units + block - 1) // block):
        unit = number * block
        n = min(block, n_units - unit)
        places = np.empty((ROWS, n), np.uint8)
        for group in range(len(bounds) - 1):
            _add_class(arrays, codes, rows[bounds[group] : bounds[group + 1]], places, group, unit)


@compiled_inner
def _add_class(  # noqa: PLR0913, PLR0917 - compiled code takes what it needs one by one
    arrays: ClassArrays,
    codes: Codes,
    rows: NDArray[np.int64],
    places: NDArray[np.uint8],
    group: int,
    unit: int,
) -> None:
    n = places.shape[1]
    sums, squares = np.zeros(n, np.float64), np.zeros(n, np.float64)
    counts, flat = arrays.tokens[group].reshape(-1), places.reshape(-1)
    waiting = 0
    for first in range(0, len(rows), _AT_ONCE):
        part = rows[first : first + _AT_ONCE]
        if len(part) == _AT_ONCE:
            _add_four(codes, part, np.uint64(unit), sums, squares)
        else:
            for row in part:
                _add_one(codes[row + unit : row + unit + n], sums, squares)
        if waiting + len(part) > ROWS:
            count_places(counts, places, waiting, unit)
            waiting = 0
        for row in part:
            at = np.uint64(row) + np.uint64(unit)
            find_places(codes, at, np.uint64(n), flat, np.uint64(n) * np.uint64(waiting))
            waiting += 1
    count_places(counts, places, waiting, unit)
    arrays.sums[group, unit : unit + n] += sums
    arrays.squares[group, unit : unit + n] += squares


@njit(nogil=True, cache=CACHED, inline="always")
def _add_four(
    codes: Codes, rows: NDArray[np.int64], unit: np.uint64, sums: Floats, squares: Floats
) -> None:
    n_bits = n_bits_of(codes.dtype.type)
    first, second = np.uint64(rows[0]) + unit, np.uint64(rows[1]) + unit
    third, fourth = np.uint64(rows[2]) + unit, np.uint64(rows[3]) + unit
    for i in range(np.uint64(len(sums))):
        a = np.float64(value_of(codes[first + i], n_bits))
        b = np.float64(value_of(codes[second + i], n_bits))
        c = np.float64(value_of(codes[third + i], n_bits))
        d = np.float64(value_of(codes[fourth + i], n_bits))
        sums[i] += (a + b) + (c + d)
        squares[i] += (a * a + b * b) + (c * c + d * d)


@compiled_inner
def _add_one(codes: Codes, sums: Floats, squares: Floats) -> None:
    n_bits = n_bits_of(codes.dtype.type)
    for i in range(len(codes)):
        value = np.float64(value_of(codes[i], n_bits))
        sums[i] += value
        squares[i] += value * value
