"""One pass over a batch's activations on the CPU, compiled: everything a state keeps of them.

`state.update_state` does the same in whole-tensor operations, on any device; here every
activation is loaded once, and what is counted lies in the caches of one core. Units are cut into
blocks, each handled by one thread from the first window to the last, so that sums are taken in
the same order by any number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from autointerp.activations.kernels.cpu_arrays import Arrays, BatchArrays
from autointerp.activations.kernels.cpu_peaks import add_peaks, room_for
from autointerp.activations.kernels.cpu_tokens import (
    PART,
    ROWS,
    Block,
    Codes,
    ReadWindow,
    add_dense,
    add_sparse,
    count_places,
    in_order,
    n_bits_of,
    value_of,
)
from autointerp.activations.kernels.decoding import FRACTION_BITS
from autointerp.statistics.compiled.compilation import CACHED, compiled_inner

_BLOCK = 768
"""Units that a thread takes at a time, at most: their running values fit its nearest cache."""
MAX_PENDING = 2**16 - 1
"""Tokens that may be counted before `flush_units`: pending counts have 16 bits."""

_SCALE = float(2**FRACTION_BITS)
_FRACTION_BITS = np.int64(FRACTION_BITS)
_MASK = np.int64(2**FRACTION_BITS - 1)
_ZERO = np.float32(0.0)


@njit(nogil=True, cache=CACHED, parallel=True)
def add_units(arrays: Arrays, batch: BatchArrays, n_threads: int) -> float:
    """Adds a batch to all units, in about equal parts for so many threads.

    Returns:
        The greatest magnitude seen, infinite where one was infinite or NaN: the arrays are
        spoilt then.
    """
    n_units = arrays.minimum.shape[0]
    n_parts = (n_units + PART - 1) // PART
    block = min(_BLOCK, PART * ((n_parts + n_threads - 1) // n_threads))
    n_blocks = (n_units + block - 1) // block
    worst = np.zeros(n_blocks, np.float64)
    for number in prange(n_blocks):
        unit = number * block
        worst[number] = _add_to_block(arrays, batch, unit, min(block, n_units - unit))
    return float(worst.max())


@compiled_inner
def _add_to_block(arrays: Arrays, batch: BatchArrays, unit: int, n: int) -> float:
    n_windows, kind = len(batch.lengths), batch.codes.dtype.type
    least = -(1 << (n_bits_of(batch.codes.dtype.type) - 1))
    block = Block(
        np.zeros(n, np.float64),
        np.zeros(n, np.float64),
        np.zeros(n, batch.codes.dtype),
        np.zeros(n, batch.codes.dtype),
        np.full((n_windows, n), kind(least), batch.codes.dtype),
        np.full((n_windows, n), kind(-1 - least), batch.codes.dtype),
        np.empty((ROWS, n), np.uint8),
    )
    counts, waiting = arrays.tokens.reshape(-1), 0
    for row in range(n_windows):
        codes = batch.codes[row * batch.window_stride + unit :]
        window = ReadWindow(codes, batch.pos_stride, batch.lengths[row], row, unit)
        if batch.sparse:
            add_sparse(counts, block, window, batch.threshold)
        else:
            waiting = add_dense(counts, block, window, batch.threshold, waiting)
    count_places(counts, block.places, waiting, unit)
    return max(_add_block_peaks(arrays, batch, block, unit), _add_moments(arrays, block, unit))


@compiled_inner
def _add_block_peaks(arrays: Arrays, batch: BatchArrays, block: Block, unit: int) -> float:
    """Returns the greatest magnitude."""
    n, n_windows, worst = len(block.sums), len(batch.lengths), np.float32(0.0)
    for part in range(0, n, PART):
        n_part = min(PART, n - part)
        units, first = slice(part, part + n_part), unit + part
        peaks = np.empty((n_windows, n_part), np.float32)
        room = room_for(n_part, arrays.sample.shape[2] + n_windows)
        for side in range(2):
            for row in range(n_windows):
                ends = block.low[row, units] if side else block.high[row, units]
                _decode_peaks(ends, side, peaks[row])
            extremes = arrays.minimum if side else arrays.maximum
            worst = max(
                worst, _keep_extremes(peaks, batch.lengths, side, extremes[first : first + n_part])
            )
            add_peaks(arrays, batch, side, first, peaks, room)
    return float(worst)


@compiled_inner
def _decode_peaks(ends: Codes, side: int, peaks: NDArray[np.float32]) -> None:
    kind, n_bits = ends.dtype.type, n_bits_of(ends.dtype.type)
    sign = np.float32(1 - 2 * side)
    for i in range(len(peaks)):
        # Adding zero turns -0.0 into 0.0.
        peaks[i] = sign * value_of(in_order(ends[i], kind, n_bits), n_bits) + _ZERO


@compiled_inner
def _keep_extremes(
    peaks: NDArray[np.float32], lengths: NDArray[np.int64], side: int, kept: NDArray[np.float32]
) -> np.float32:
    """Keeps the greatest activations, or the smallest of side 1; returns the greatest peak."""
    sign, worst = np.float32(1 - 2 * side), np.float32(0.0)
    for row in range(len(peaks)):
        if lengths[row]:
            line = peaks[row]
            for i in range(len(line)):
                value = sign * line[i] + _ZERO
                further = value < kept[i] if side else value > kept[i]
                kept[i] = value if further else kept[i]
                worst = line[i] if line[i] > worst else worst
    return worst


@compiled_inner
def _add_moments(arrays: Arrays, block: Block, unit: int) -> float:
    finite = True
    for i in range(len(block.sums)):
        _add_fixed(arrays.total, unit + i, block.sums[i])
        _add_fixed(arrays.squares, unit + i, block.squares[i])
        # The types are signed, and narrow; the counts are neither.
        arrays.active_tokens[0, unit + i] += np.int64(block.above[i]) & MAX_PENDING
        arrays.active_tokens[1, unit + i] += np.int64(block.below[i]) & MAX_PENDING
        # A sum of squares is NaN or infinite where one of its terms is.
        finite = finite and np.isfinite(block.squares[i])
    return 0.0 if finite else np.inf


@compiled_inner
def _add_fixed(fixed: NDArray[np.int64], unit: int, value: float) -> None:
    if not abs(value) < 2.0**62:
        return
    whole = np.floor(value)
    fraction = fixed[1, unit] + np.int64((value - whole) * _SCALE)
    fixed[0, unit] += np.int64(whole) + (fraction >> _FRACTION_BITS)
    fixed[1, unit] = fraction & _MASK


@njit(nogil=True, cache=CACHED, parallel=True)
def flush_units(pending: NDArray[Any], counts: NDArray[np.int64]) -> None:
    """Moves pending counts into the state's; both of shape (unit, bin).

    Behind their bins pending ones may have more, which is left out.
    """
    for row in prange(pending.shape[0]):
        for place in range(counts.shape[1]):
            counts[row, place] += pending[row, place]
            pending[row, place] = 0
