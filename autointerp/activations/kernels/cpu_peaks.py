"""Window peaks on the CPU, compiled: the top, the sample and the histogram of one unit's side."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from autointerp.activations.kernels.cpu_arrays import (
    CACHED,
    Arrays,
    BatchArrays,
    bin_of_code,
    code_of,
)

_LOW = np.int64(0xFFFFFFFF)
_PRIORITY = np.int64(0x7FFFFFFF << 32)
_ONE = np.uint16(1)


@njit(nogil=True, cache=CACHED)
def add_peaks(  # noqa: PLR0913, PLR0917
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
            counts[bin_of_code(code_of(peak))] += _ONE
            if priorities[row] < sample[-1]:
                _insert_sample(sample, sample_peaks, priorities[row], peak, n_active)
            n_active += 1
    arrays.active_windows[side, unit] = n_active


@njit(nogil=True, cache=CACHED)
def _value_key(value: np.float32, window: int) -> np.int64:
    """`keys.value_keys` of one value."""
    bits = np.int64(code_of(value))
    if bits < 0:
        bits ^= np.int64(0x7FFFFFFF)
    return (bits << np.int64(32)) | (_LOW - np.int64(window))


@njit(nogil=True, cache=CACHED)
def _priority(seed: np.int64, window: int) -> np.int64:
    """`keys.priority_keys` of one window, with the unit's part done before."""
    x = (seed ^ np.int64(window)) * np.int64(-7046029254386353131)
    x = (x ^ ((x >> np.int64(30)) & np.int64(2**34 - 1))) * np.int64(-4658895280553007687)
    x = (x ^ ((x >> np.int64(27)) & np.int64(2**37 - 1))) * np.int64(-7723592293110705685)
    x ^= (x >> np.int64(31)) & np.int64(2**33 - 1)
    return ((x >> np.int64(1)) & _PRIORITY) | np.int64(window)


@njit(nogil=True, cache=CACHED)
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


@njit(nogil=True, cache=CACHED)
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
