"""Window peaks on the CPU, compiled: the top, the sample and the histogram of one side of units.

One window after another, several units at a time: only the few units whose top or sample a window
enters are looked at one by one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from autointerp.activations.kernels.cpu_arrays import (
    Arrays,
    BatchArrays,
    bin_of_code,
    code_of,
)
from autointerp.activations.kernels.encoding import N_BINS
from autointerp.statistics.compiled.compilation import CACHED, compiled_inner

_LOW = np.int64(0xFFFFFFFF)
_PRIORITY = np.int64(0x7FFFFFFF << 32)
_EMPTY_PRIORITY = np.int64(np.iinfo(np.int64).max)
_ONE = np.uint16(1)
_N_PLACES = np.uint64(N_BINS + 1)


class Room(NamedTuple):
    """Working memory for some units."""

    keys: NDArray[np.int64]
    found: NDArray[np.int64]
    """One more than units."""
    places: NDArray[np.uint8]
    changed: NDArray[np.bool_]
    """Units whose sample got a window."""
    both: NDArray[np.float32]
    """As many as a sample and a batch's windows."""


@compiled_inner
def room_for(n_units: int, n_both: int) -> Room:
    """Working memory for so many units at a time."""
    return Room(
        np.empty(n_units, np.int64),
        np.empty(n_units + 1, np.int64),
        np.empty(n_units, np.uint8),
        np.empty(n_units, np.bool_),
        np.empty(n_both, np.float32),
    )


@compiled_inner
def add_peaks(  # noqa: PLR0913, PLR0917
    arrays: Arrays, batch: BatchArrays, side: int, unit: int, peaks: NDArray[np.float32], room: Room
) -> None:
    """Adds the peaks, shape (batch, unit), of one side of the units from `unit` on."""
    units = slice(unit, unit + peaks.shape[1])
    top, sample = arrays.top[side, units], arrays.sample[side, units]
    counts = arrays.peaks[side, units].reshape(-1)
    n_active, seeds = arrays.active_windows[side, units], arrays.seeds[side, units]
    last_ranks, last_priorities = top[:, -1].copy(), sample[:, -1].copy()
    room.changed[:] = False
    for row in range(len(peaks)):
        if not batch.lengths[row]:
            continue
        window, column = batch.first + row, batch.shared_columns[row]
        if column >= 0:
            for i in range(peaks.shape[1]):
                arrays.shared_peaks[side, unit + i, column] = peaks[row, i]
        n_found = _find_ranks(peaks[row], window, last_ranks, room)
        for i in room.found[:n_found]:
            _insert_falling(top[i], room.keys[i])
            last_ranks[i] = top[i, -1]
        n_found = _find_priorities(
            peaks[row], window, seeds, last_priorities, batch.threshold, room
        )
        for i in room.found[:n_found]:
            # So many places are taken, at most.
            _insert_rising(sample[i, : n_active[i] + 1], room.keys[i])
            last_priorities[i], room.changed[i] = sample[i, -1], True
        _count_active(peaks[row], batch.threshold, n_active, counts, room.places)
    for i in range(peaks.shape[1]):
        if room.changed[i]:
            kept = arrays.sample_peaks[side, unit + i]
            _move_peaks(sample[i], kept, peaks[:, i], batch.first, room.both)


@compiled_inner
def _find_ranks(
    peaks: NDArray[np.float32], window: int, last: NDArray[np.int64], room: Room
) -> int:
    """How many units' top the window enters; `room.found` says which, `room.keys` with what."""
    n_found, keys, found = np.int64(0), room.keys, room.found
    for i in range(len(peaks)):
        keys[i] = _value_key(peaks[i], window)
    for i in range(len(peaks)):
        # Written always and counted where it is one: no branch to guess wrong.
        found[n_found] = i
        n_found += np.int64(keys[i] > last[i])
    return int(n_found)


@compiled_inner
def _find_priorities(  # noqa: PLR0913, PLR0917
    peaks: NDArray[np.float32],
    window: int,
    seeds: NDArray[np.int64],
    last: NDArray[np.int64],
    threshold: np.float32,
    room: Room,
) -> int:
    """The same of samples."""
    n_found, keys, found = np.int64(0), room.keys, room.found
    for i in range(len(peaks)):
        keys[i] = _priority(seeds[i], window)
    for i in range(len(peaks)):
        keys[i] = keys[i] if peaks[i] > threshold else _EMPTY_PRIORITY
    for i in range(len(peaks)):
        found[n_found] = i
        n_found += np.int64(keys[i] < last[i])
    return int(n_found)


@compiled_inner
def _count_active(
    peaks: NDArray[np.float32],
    threshold: np.float32,
    n_active: NDArray[np.int64],
    counts: NDArray[np.uint16],
    places: NDArray[np.uint8],
) -> None:
    for i in range(len(peaks)):
        # Behind the bins is a place for windows that are not counted.
        place = bin_of_code(code_of(peaks[i]))
        places[i] = place if peaks[i] > threshold else np.int32(N_BINS)
    for i in range(len(peaks)):
        n_active[i] += np.int64(peaks[i] > threshold)
    first = np.uint64(0)
    for i in range(len(peaks)):
        counts[first + np.uint64(places[i])] += _ONE
        first += _N_PLACES


@njit(nogil=True, cache=CACHED, inline="always")
def _value_key(value: np.float32, window: int) -> np.int64:
    """`keys.value_keys` of one value."""
    bits = np.int64(code_of(value))
    bits = bits ^ np.int64(0x7FFFFFFF) if bits < 0 else bits
    return (bits << np.int64(32)) | (_LOW - np.int64(window))


@njit(nogil=True, cache=CACHED, inline="always")
def _priority(seed: np.int64, window: int) -> np.int64:
    """`keys.priority_keys` of one window, with the unit's part done before."""
    x = (seed ^ np.int64(window)) * np.int64(-7046029254386353131)
    x = (x ^ ((x >> np.int64(30)) & np.int64(2**34 - 1))) * np.int64(-4658895280553007687)
    x = (x ^ ((x >> np.int64(27)) & np.int64(2**37 - 1))) * np.int64(-7723592293110705685)
    x ^= (x >> np.int64(31)) & np.int64(2**33 - 1)
    return ((x >> np.int64(1)) & _PRIORITY) | np.int64(window)


@compiled_inner
def _insert_falling(keys: NDArray[np.int64], key: np.int64) -> None:
    """Puts a key among falling ones, whose last falls out."""
    # Every place looks at itself and the one before: no search, and several places at a time.
    for place in range(len(keys) - 1, 0, -1):
        before, here = keys[place - 1], keys[place]
        moved = before if before < key else key
        keys[place] = moved if moved > here else here
    keys[0] = max(keys[0], key)


@compiled_inner
def _insert_rising(keys: NDArray[np.int64], key: np.int64) -> None:
    """Puts a key among rising ones, whose last falls out."""
    for place in range(len(keys) - 1, 0, -1):
        before, here = keys[place - 1], keys[place]
        moved = before if before > key else key
        keys[place] = moved if moved < here else here
    keys[0] = min(keys[0], key)


@compiled_inner
def _move_peaks(
    sample: NDArray[np.int64],
    kept: NDArray[np.float32],
    peaks: NDArray[np.float32],
    first: int,
    both: NDArray[np.float32],
) -> None:
    """Puts peaks beside the keys of a sample that has got some of a batch's windows."""
    n = len(kept)
    for place in range(n):
        both[place] = kept[place]
    for row in range(len(peaks)):
        both[n + row] = peaks[row]
    n_old = np.uint64(0)
    for place in range(n):
        row_of_batch = np.uint64((sample[place] & _LOW) - first)
        old = np.uint64(row_of_batch >= np.uint64(len(peaks)))
        # Keys that were there before are still in order, and have only moved back.
        kept[place] = both[n_old if old else np.uint64(n) + row_of_batch]
        n_old += old
