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

from autointerp.activations.bins import FIRST_CODE, N_BINS, N_SIGNED_BINS, SHIFT
from autointerp.activations.decode import FRACTION_BITS

__all__ = ["MAX_PENDING", "Arrays", "BatchArrays", "add_units", "flush_units"]

_BLOCK = 768
"""Units that a thread takes at a time, at most: their running values fit its nearest cache."""
_PART = 64
"""Units whose histograms fit it."""
MAX_PENDING = 2**16 - 1
"""Tokens that may be counted before `flush_units`: pending counts have 16 bits."""


def _can_be_kept() -> bool:
    """Whether compiled code has a place on disk; else every process compiles its own."""

    def nothing() -> None:
        pass

    try:
        njit(cache=True)(nothing)
    except RuntimeError:
        return False
    return True


_KEPT = _can_be_kept()
_SCALE = float(2**FRACTION_BITS)
_FRACTION_BITS = np.int64(FRACTION_BITS)
_MASK = np.int64(2**FRACTION_BITS - 1)
_LOW = np.int64(0xFFFFFFFF)
_PRIORITY = np.int64(0x7FFFFFFF << 32)

# Constants of the narrowest type: wider ones would make every vector operation a wider one.
_SHIFT = np.int32(SHIFT)
_FIRST = np.int32(FIRST_CODE)
_LAST = np.int32(N_BINS - 1)
_NONE = np.int32(0)
_ONE_BIN = np.int32(1)
_MAGNITUDE = np.int32(0x7FFFFFFF)
_MINUS_ZERO = np.int32(-(2**31))
_ONE = np.uint16(1)
_N_BINS = np.uint64(N_SIGNED_BINS)


class Arrays(NamedTuple):
    """A `HookState` as arrays that share its memory, with counts that are not yet in it."""

    total: NDArray[np.int64]
    squares: NDArray[np.int64]
    minimum: NDArray[np.float32]
    maximum: NDArray[np.float32]
    active_tokens: NDArray[np.int64]
    active_windows: NDArray[np.int64]
    top: NDArray[np.int64]
    sample: NDArray[np.int64]
    sample_peaks: NDArray[np.float32]
    shared_peaks: NDArray[np.float32]
    tokens: NDArray[np.uint16]
    """Pending part of the histogram, shape (unit, signed_bin)."""
    peaks: NDArray[np.uint16]
    """Pending part of the histogram of window peaks, shape (side, unit, bin)."""
    seeds: NDArray[np.int64]
    """What decides the random order of windows, shape (side, unit)."""


class BatchArrays(NamedTuple):
    """A batch of windows; the activation at (window, pos, unit) is flat[start + ... + unit]."""

    flat: NDArray[np.float32]
    window_stride: int
    pos_stride: int
    lengths: NDArray[np.int64]
    windows: NDArray[np.int64]
    shared_columns: NDArray[np.int64]
    threshold: np.float32
    n_before: int
    """At least as many windows as were added before."""


class _Block(NamedTuple):
    """Running values of a block of units within one batch."""

    sums: NDArray[np.float64]
    squares: NDArray[np.float64]
    above: NDArray[np.int32]
    below: NDArray[np.int32]
    high: NDArray[np.float32]
    """Of each window, shape (batch, unit); `low` likewise."""
    low: NDArray[np.float32]


@njit(nogil=True, cache=_KEPT, parallel=True)
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


@njit(nogil=True, cache=_KEPT)
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
    bits = batch.flat.view(np.int32)
    counts = arrays.tokens.reshape(-1)
    places = np.empty(_PART, np.uint32)
    for row in range(n_windows):
        start = row * batch.window_stride + unit
        n_pos = batch.lengths[row]
        # One pass in the order of memory, a second over what the first left in the caches.
        for position in range(n_pos):
            place = start + position * batch.pos_stride
            _add_token(batch.flat[place : place + n], block, row, batch.threshold)
        for part in range(0, n, _PART):
            first = np.uint64(unit + part) * _N_BINS
            n_part = min(_PART, n - part)
            for position in range(n_pos):
                place = start + position * batch.pos_stride + part
                _count_token(bits[place : place + n_part], places, counts, first)
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
                _add_peaks(arrays, batch, place, side, peaks[side, i], ranks, priorities)
    return _add_moments(arrays, block, unit, n)


@njit(nogil=True, cache=_KEPT)
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


@njit(nogil=True, cache=_KEPT)
def _count_token(
    codes: NDArray[np.int32],
    places: NDArray[np.uint32],
    counts: NDArray[np.uint16],
    first: np.uint64,
) -> None:
    # Arithmetic for several units at a time, then one increment each.
    for i in range(len(codes)):
        size = _bin(codes[i])
        # Both zeros are in one bin: -0.0 is not below it.
        negative = codes[i] < _NONE and codes[i] != _MINUS_ZERO
        places[i] = (_LAST - size) if negative else (_LAST + _ONE_BIN + size)
    place = first
    for i in range(len(codes)):
        counts[place + np.uint64(places[i])] += _ONE
        place += _N_BINS


@njit(nogil=True, cache=_KEPT, inline="always")
def _bin(code: np.int32) -> np.int32:
    """`bins.bin_of` of the float with these bits."""
    size = np.int32(np.int32((code & _MAGNITUDE) >> _SHIFT) - _FIRST)
    size = size if size > _NONE else _NONE
    return size if size < _LAST else _LAST


@njit(nogil=True, cache=_KEPT)
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


@njit(nogil=True, cache=_KEPT)
def _add_fixed(fixed: NDArray[np.int64], unit: int, value: float) -> None:
    if not abs(value) < 2.0**62:
        return
    whole = np.floor(value)
    fraction = fixed[1, unit] + np.int64((value - whole) * _SCALE)
    fixed[0, unit] += np.int64(whole) + (fraction >> _FRACTION_BITS)
    fixed[1, unit] = fraction & _MASK


@njit(nogil=True, cache=_KEPT)
def _add_peaks(  # noqa: PLR0913, PLR0917
    arrays: Arrays,
    batch: BatchArrays,
    unit: int,
    side: int,
    peaks: NDArray[np.float32],
    ranks: NDArray[np.int64],
    priorities: NDArray[np.int64],
) -> None:
    """Adds one side of one unit: its peak on each window of the batch."""
    seed = arrays.seeds[side, unit]
    for row in range(len(peaks)):
        ranks[row] = _value_key(peaks[row], batch.windows[row])
        priorities[row] = _priority(seed, batch.windows[row])
    top, sample = arrays.top[side, unit], arrays.sample[side, unit]
    sample_peaks, shared_peaks = arrays.sample_peaks[side, unit], arrays.shared_peaks[side, unit]
    counts = arrays.peaks[side, unit]
    n_active = arrays.active_windows[side, unit]
    for row in range(len(peaks)):
        if not batch.lengths[row]:
            continue
        peak = peaks[row]
        if batch.shared_columns[row] >= 0:
            shared_peaks[batch.shared_columns[row]] = peak
        if ranks[row] > top[-1]:
            _insert_top(top, ranks[row], batch.n_before + row)
        if peak > batch.threshold:
            counts[_bin(_bits(peak))] += _ONE
            if priorities[row] < sample[-1]:
                _insert_sample(sample, sample_peaks, priorities[row], peak, n_active)
            n_active += 1
    arrays.active_windows[side, unit] = n_active


@njit(nogil=True, cache=_KEPT, inline="always")
def _bits(value: np.float32) -> np.int32:
    return np.float32(value).view(np.int32)


@njit(nogil=True, cache=_KEPT)
def _value_key(value: np.float32, window: int) -> np.int64:
    """`keys.value_keys` of one value."""
    bits = np.int64(_bits(value))
    if bits < 0:
        bits ^= np.int64(0x7FFFFFFF)
    return (bits << np.int64(32)) | (_LOW - np.int64(window))


@njit(nogil=True, cache=_KEPT)
def _priority(seed: np.int64, window: int) -> np.int64:
    """`keys.priority_keys` of one window, with the unit's part done before."""
    x = (seed ^ np.int64(window)) * np.int64(-7046029254386353131)
    x = (x ^ ((x >> np.int64(30)) & np.int64(2**34 - 1))) * np.int64(-4658895280553007687)
    x = (x ^ ((x >> np.int64(27)) & np.int64(2**37 - 1))) * np.int64(-7723592293110705685)
    x ^= (x >> np.int64(31)) & np.int64(2**33 - 1)
    return ((x >> np.int64(1)) & _PRIORITY) | np.int64(window)


@njit(nogil=True, cache=_KEPT)
def _insert_top(keys: NDArray[np.int64], key: np.int64, n: int) -> None:
    """Puts a key among at most n falling ones, whose last falls out."""
    last = min(n, len(keys) - 1)
    low, high = 0, last
    while low < high:
        middle = (low + high) // 2
        if keys[middle] > key:
            low = middle + 1
        else:
            high = middle
    # Without a comparison in it, the loop is one move of memory.
    for place in range(last, low, -1):
        keys[place] = keys[place - 1]
    keys[low] = key


@njit(nogil=True, cache=_KEPT)
def _insert_sample(
    keys: NDArray[np.int64], peaks: NDArray[np.float32], key: np.int64, peak: np.float32, n: int
) -> None:
    """Puts a key among at most n rising ones, whose last falls out, and its peak beside it."""
    last = min(n, len(keys) - 1)
    low, high = 0, last
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    for place in range(last, low, -1):
        keys[place] = keys[place - 1]
    for place in range(last, low, -1):
        peaks[place] = peaks[place - 1]
    keys[low] = key
    peaks[low] = peak


@njit(nogil=True, cache=_KEPT, parallel=True)
def flush_units(pending: NDArray[Any], counts: NDArray[np.int64]) -> None:
    """Moves pending counts into the state's; both of shape (unit, bin)."""
    for row in prange(pending.shape[0]):
        for place in range(pending.shape[1]):
            counts[row, place] += pending[row, place]
            pending[row, place] = 0
