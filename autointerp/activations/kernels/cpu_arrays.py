"""What compiled code on the CPU is given, and how it reads a float."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from autointerp.activations.kernels.encoding import FIRST_CODE, N_BINS, SHIFT
from autointerp.statistics.compiled.compilation import CACHED

# Constants of the narrowest type: wider ones would make every vector operation a wider one.
_SHIFT = np.int32(SHIFT)
_FIRST = np.int32(FIRST_CODE)
_LAST = np.int32(N_BINS - 1)
_NONE = np.int32(0)
_MAGNITUDE = np.int32(0x7FFFFFFF)


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
    """Pending part of the histogram of window peaks, shape (side, unit, bin + 1)."""
    seeds: NDArray[np.int64]
    """What decides the random order of windows, shape (side, unit)."""


class BatchArrays(NamedTuple):
    """A batch of windows; the activation at (window, pos, unit) is codes[start + ... + unit]."""

    codes: NDArray[np.int32] | NDArray[np.int16]
    """Bits of float32 or bfloat16."""
    window_stride: int
    pos_stride: int
    lengths: NDArray[np.int64]
    first: int
    """Id of the first window; the others' follow."""
    shared_columns: NDArray[np.int64]
    threshold: np.float32
    sparse: bool
    """Most activations are zero."""


@njit(nogil=True, cache=CACHED, inline="always")
def bin_of_code(code: np.int32) -> np.int32:
    """`bins.bin_of` of the float with these bits."""
    size = np.int32(np.int32((code & _MAGNITUDE) >> _SHIFT) - _FIRST)
    size = size if size > _NONE else _NONE
    return size if size < _LAST else _LAST


@njit(nogil=True, cache=CACHED, inline="always")
def code_of(value: np.float32) -> np.int32:
    """Its bits."""
    return np.float32(value).view(np.int32)
