"""One pass over a batch's activations on the CPU, compiled: everything a state keeps of them.

`state.update_state` does the same in whole-tensor operations, on any device; here every
activation is loaded once, and what is counted lies in the caches of one core. Units are cut into
blocks, each handled by one thread from the first window to the last, so that sums are taken in
the same order by any number of threads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from autointerp.activations.kernels.cpu_arrays import CACHED, Arrays, BatchArrays, bin_of_code
from autointerp.activations.kernels.cpu_peaks import add_peaks
from autointerp.activations.kernels.decoding import FRACTION_BITS
from autointerp.activations.kernels.encoding import N_BINS, N_SIGNED_BINS

_BLOCK = 768
"""Units that a thread takes at a time, at most: their running values fit its nearest cache."""
_PART = 64
"""Units whose histograms fit it."""
_AT_ONCE = 4
"""Tokens whose values are combined before they touch the running ones."""
MAX_PENDING = 2**16 - 1
"""Tokens that may be counted before `flush_units`: pending counts have 16 bits."""

_SCALE = float(2**FRACTION_BITS)
_FRACTION_BITS = np.int64(FRACTION_BITS)
_MASK = np.int64(2**FRACTION_BITS - 1)

# Constants of the narrowest type: wider ones would make every vector operation a wider one.
_LAST = np.int32(N_BINS - 1)
_NONE = np.int32(0)
_ONE_BIN = np.int32(1)
_MAGNITUDE = np.int32(0x7FFFFFFF)
_MINUS_ZERO = np.int32(-(2**31))
_ONE = np.uint16(1)
_N_BINS = np.uint64(N_SIGNED_BINS)
_ZERO = np.uint64(N_BINS)


class _Block(NamedTuple):
    """Running values of a block of units within one batch."""

    sums: NDArray[np.float64]
    squares: NDArray[np.float64]
    above: NDArray[np.int32]
    below: NDArray[np.int32]
    high: NDArray[np.float32]
    """Of each window, shape (batch, unit); `low` likewise."""
    low: NDArray[np.float32]


class _Window(NamedTuple):
    """A block's activations on one window; those at a position begin at flat[pos * stride]."""

    flat: NDArray[np.float32]
    pos_stride: int
    length: int
    row: int
    """Its place in the batch."""
    unit: int
    """The block's first."""


@njit(nogil=True, cache=CACHED, parallel=True)
def add_units(arrays: Arrays, batch: BatchArrays, n_threads: int) -> float:
    """Adds a batch to all units, in about equal parts for so many threads.

    Returns:
        The greatest magnitude seen, infinite where one was infinite or NaN: the arrays are
        spoilt then.
    """
    n_units = arrays.minimum.shape[0]
    n_parts = (n_units + _PART - 1) // _PART
    block = min(_BLOCK, _PART * ((n_parts + n_threads - 1) // n_threads))
    n_blocks = (n_units + block - 1) // block
    worst = np.zeros(n_blocks, np.float64)
    for number in prange(n_blocks):
        unit = number * block
        worst[number] = _add_to_block(arrays, batch, unit, min(block, n_units - unit))
    return float(worst.max())


@njit(nogil=True, cache=CACHED)
def _add_to_block(arrays: Arrays, batch: BatchArrays, unit: int, n: int) -> float:
    n_windows = len(batch.lengths)
    block = _Block(
        np.zeros(n, np.float64),
        np.zeros(n, np.float64),
        np.zeros(n, np.int32),
        np.zeros(n, np.int32),
        np.full((n_windows, n), -np.inf, np.float32),
        np.full((n_windows, n), np.inf, np.float32),
    )
    wide = np.empty(batch.lengths.max() * n if len(batch.codes) else 0, np.float32)
    for row in range(n_windows):
        start = row * batch.window_stride + unit
        flat, step = batch.flat[start:], batch.pos_stride
        if len(batch.codes):
            _widen(batch.codes[start:], step, batch.lengths[row], n, wide)
            flat, step = wide, n
        window = _Window(flat, step, batch.lengths[row], row, unit)
        if batch.sparse:
            _add_sparse(arrays, block, window, batch.threshold)
        else:
            _add_window(arrays, block, window, batch.threshold)
    _add_block_peaks(arrays, batch, block, unit)
    return _add_moments(arrays, block, unit, n)


@njit(nogil=True, cache=CACHED)
def _add_window(arrays: Arrays, block: _Block, window: _Window, threshold: np.float32) -> None:
    n, step, n_pos = len(block.sums), window.pos_stride, window.length
    # One pass in the order of memory, a second over what the first left in the caches.
    for position in range(0, n_pos, _AT_ONCE):
        if position + _AT_ONCE <= n_pos:
            _add_tokens(window.flat[position * step :], step, block, window.row, threshold)
            continue
        for single in range(position, n_pos):
            place = single * step
            _add_token(window.flat[place : place + n], block, window.row, threshold)
    bits, counts = window.flat.view(np.int32), arrays.tokens.reshape(-1)
    places = np.empty(_PART, np.uint32)
    for part in range(0, n, _PART):
        first = np.uint64(window.unit + part) * _N_BINS
        n_part = min(_PART, n - part)
        for position in range(n_pos):
            place = position * step + part
            _count_token(bits[place : place + n_part], places, counts, first)


@njit(nogil=True, cache=CACHED)
def _add_block_peaks(arrays: Arrays, batch: BatchArrays, block: _Block, unit: int) -> None:
    n, n_windows = len(block.sums), len(batch.lengths)
    peaks = np.empty((2, _PART, n_windows), np.float32)
    ranks, priorities = np.empty(n_windows, np.int64), np.empty(n_windows, np.int64)
    for part in range(0, n, _PART):
        n_part = min(_PART, n - part)
        for row in range(n_windows):
            for i in range(n_part):
                # Adding zero turns -0.0 into 0.0.
                peaks[0, i, row] = block.high[row, part + i] + np.float32(0.0)
                peaks[1, i, row] = np.float32(0.0) - block.low[row, part + i]
        for side in range(2):
            for i in range(n_part):
                place = unit + part + i
                add_peaks(arrays, batch, place, side, peaks[side, i], ranks, priorities)


@njit(nogil=True, cache=CACHED)
def _add_tokens(
    flat: NDArray[np.float32], step: int, block: _Block, row: int, threshold: np.float32
) -> None:
    n = len(block.sums)
    first, second = flat[:n], flat[step : step + n]
    third, fourth = flat[2 * step : 2 * step + n], flat[3 * step : 3 * step + n]
    sums, squares = block.sums, block.squares
    for i in range(n):
        a, b = np.float64(first[i]), np.float64(second[i])
        c, d = np.float64(third[i]), np.float64(fourth[i])
        sums[i] += (a + b) + (c + d)
    for i in range(n):
        a, b = np.float64(first[i]), np.float64(second[i])
        c, d = np.float64(third[i]), np.float64(fourth[i])
        squares[i] += (a * a + b * b) + (c * c + d * d)
    high, low = block.high[row], block.low[row]
    for i in range(n):
        a, b, c, d = first[i], second[i], third[i], fourth[i]
        a = b if b > a else a
        c = d if d > c else c
        a = c if c > a else a
        high[i] = a if a > high[i] else high[i]
    for i in range(n):
        a, b, c, d = first[i], second[i], third[i], fourth[i]
        a = b if b < a else a
        c = d if d < c else c
        a = c if c < a else a
        low[i] = a if a < low[i] else low[i]
    above, below = block.above, block.below
    for i in range(n):
        above[i] += (
            np.int32(first[i] > threshold)
            + np.int32(second[i] > threshold)
            + np.int32(third[i] > threshold)
            + np.int32(fourth[i] > threshold)
        )
    for i in range(n):
        below[i] += (
            np.int32(first[i] < -threshold)
            + np.int32(second[i] < -threshold)
            + np.int32(third[i] < -threshold)
            + np.int32(fourth[i] < -threshold)
        )


@njit(nogil=True, cache=CACHED)
def _widen(
    codes: NDArray[np.uint16], stride: int, n_pos: int, n: int, wide: NDArray[np.float32]
) -> None:
    """Writes bfloat16 values as float32, whose upper half they are, one position after another."""
    bits = wide.view(np.uint32)
    for position in range(n_pos):
        given = codes[position * stride : position * stride + n]
        written = bits[position * n : position * n + n]
        for i in range(n):
            written[i] = np.uint32(given[i]) << np.uint32(16)


@njit(nogil=True, cache=CACHED)
def _add_sparse(arrays: Arrays, block: _Block, window: _Window, threshold: np.float32) -> None:
    """A window of units that are mostly zero: only what is not is looked at."""
    n, bits, row = len(block.sums), window.flat.view(np.int32), window.row
    counts, first = arrays.tokens.reshape(-1), np.uint64(window.unit)
    seen, result = np.zeros(n, np.int64), np.empty(_PART + 1, np.int64)
    high, low = block.high[row], block.low[row]
    for position in range(window.length):
        start = position * window.pos_stride
        for part in range(0, n, _PART):
            end = min(part + _PART, n)
            codes = bits[start + part : start + end]
            if _all_zero(codes):
                continue
            n_found = np.int64(0)
            for i in range(len(codes)):
                # Written always and counted where it is one: no branch to guess wrong.
                result[n_found] = part + i
                n_found += np.int64(codes[i] & _MAGNITUDE != _NONE)
            for i in result[:n_found]:
                value = window.flat[start + i]
                exact = np.float64(value)
                block.sums[i] += exact
                block.squares[i] += exact * exact
                high[i], low[i] = max(high[i], value), min(low[i], value)
                block.above[i] += np.int32(value > threshold)
                block.below[i] += np.int32(value < -threshold)
                place = np.uint64(_place(bits[start + i]))
                counts[(first + np.uint64(i)) * _N_BINS + place] += _ONE
                seen[i] += 1
    for i in range(n):
        n_zero = window.length - seen[i]
        if n_zero:
            counts[(first + np.uint64(i)) * _N_BINS + _ZERO] += np.uint16(n_zero)
            high[i], low[i] = max(high[i], np.float32(0.0)), min(low[i], np.float32(0.0))


@njit(nogil=True, cache=CACHED)
def _all_zero(codes: NDArray[np.int32]) -> bool:
    seen = _NONE
    for i in range(len(codes)):
        # Cut back to 32 bits at once, or every vector operation would be a wider one.
        seen = np.int32(seen | np.int32(codes[i] & _MAGNITUDE))
    return bool(seen == _NONE)


@njit(nogil=True, cache=CACHED)
def _add_token(values: NDArray[np.float32], block: _Block, row: int, threshold: np.float32) -> None:
    # Three loops: one over so many arrays at once would not become vector instructions.
    sums, squares = block.sums, block.squares
    for i in range(len(values)):
        exact = np.float64(values[i])
        sums[i] += exact
        squares[i] += exact * exact
    high, low = block.high[row], block.low[row]
    for i in range(len(values)):
        value = values[i]
        # Comparisons in this form become one instruction for several units, NaN or not.
        high[i] = value if value > high[i] else high[i]
        low[i] = value if value < low[i] else low[i]
    above, below = block.above, block.below
    for i in range(len(values)):
        value = values[i]
        above[i] += np.int32(value > threshold)
        below[i] += np.int32(value < -threshold)


@njit(nogil=True, cache=CACHED)
def _count_token(
    codes: NDArray[np.int32],
    places: NDArray[np.uint32],
    counts: NDArray[np.uint16],
    first: np.uint64,
) -> None:
    # Arithmetic for several units at a time, then one increment each.
    for i in range(len(codes)):
        places[i] = _place(codes[i])
    place = first
    for i in range(len(codes)):
        counts[place + np.uint64(places[i])] += _ONE
        place += _N_BINS


@njit(nogil=True, cache=CACHED, inline="always")
def _place(code: np.int32) -> np.int32:
    """The signed bin of the float with these bits."""
    size = bin_of_code(code)
    # Both zeros are in one bin: -0.0 is not below it.
    negative = code < _NONE and code != _MINUS_ZERO
    return (_LAST - size) if negative else (_LAST + _ONE_BIN + size)


@njit(nogil=True, cache=CACHED)
def _add_moments(arrays: Arrays, block: _Block, unit: int, n: int) -> float:
    worst = 0.0
    for i in range(n):
        _add_fixed(arrays.total, unit + i, block.sums[i])
        _add_fixed(arrays.squares, unit + i, block.squares[i])
        arrays.active_tokens[0, unit + i] += block.above[i]
        arrays.active_tokens[1, unit + i] += block.below[i]
        # Adding zero turns -0.0 into 0.0.
        high = block.high[:, i].max() + np.float32(0.0)
        low = block.low[:, i].min() + np.float32(0.0)
        arrays.maximum[unit + i] = max(arrays.maximum[unit + i], high)
        arrays.minimum[unit + i] = min(arrays.minimum[unit + i], low)
        # A sum of squares is NaN or infinite where one of its terms is.
        worst = max(worst, np.float64(max(-low, high)))
        if not np.isfinite(block.squares[i]):
            return np.inf
    return worst


@njit(nogil=True, cache=CACHED)
def _add_fixed(fixed: NDArray[np.int64], unit: int, value: float) -> None:
    if not abs(value) < 2.0**62:
        return
    whole = np.floor(value)
    fraction = fixed[1, unit] + np.int64((value - whole) * _SCALE)
    fixed[0, unit] += np.int64(whole) + (fraction >> _FRACTION_BITS)
    fixed[1, unit] = fraction & _MASK


@njit(nogil=True, cache=CACHED, parallel=True)
def flush_units(pending: NDArray[Any], counts: NDArray[np.int64]) -> None:
    """Moves pending counts into the state's; both of shape (unit, bin)."""
    for row in prange(pending.shape[0]):
        for place in range(pending.shape[1]):
            counts[row, place] += pending[row, place]
            pending[row, place] = 0
