"""What states are made of: histogram bins, fixed-point sums, and window keys.

All are integers that combine in any order to the same result, to the bit.

Bins: four to a power of two, read off a float's own bits. A float32's exponent and first two
fraction bits number its bin, so binning is exact, costs a shift and a clamp, and needs no range
chosen beforehand: histograms of any two runs add.

Fixed point: a float64 sum depends on the order of its terms in its last bits. Each term is split
into an integer and 52 fraction bits, both int64.

Keys: a value and a window id are packed into one int64, so that top-k by value breaks ties by the
smaller window id whatever the order in which windows arrive.
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from numpy.typing import NDArray
from torch import Tensor

from autointerp.activations.kernels.decoding import FRACTION_BITS
from autointerp.activations.kernels.state_shapes import LOWEST_EXPONENT, MAGNITUDE_BINS, STEPS

SHIFT = 21
"""Bits of a float32 below its exponent and first two fraction bits."""
FIRST_CODE = (127 + LOWEST_EXPONENT) * STEPS
"""A magnitude's bits, shifted, less this is its bin, where it is not clamped."""

N_BINS = MAGNITUDE_BINS
"""Bins of non-negative values: bin 0 holds all below 2**-16 * 1.25, the last all from 2**9.8."""
N_SIGNED_BINS = 2 * N_BINS

_SCALE = float(2**FRACTION_BITS)
_MASK = 2**FRACTION_BITS - 1

_LOW = 0xFFFFFFFF
EMPTY_PRIORITY = torch.iinfo(torch.int64).max


def bin_of(values: Float32[Tensor, "*shape"]) -> Int64[Tensor, "*shape"]:
    """Bin, 0 to N_BINS - 1, of the magnitude of each value."""
    bits = values.contiguous().view(torch.int32) & 0x7FFFFFFF
    return ((bits >> SHIFT) - FIRST_CODE).clamp_(0, N_BINS - 1).to(torch.int64)


def signed_bin_of(values: Float32[Tensor, "*shape"]) -> Int64[Tensor, "*shape"]:
    """Bin, 0 to N_SIGNED_BINS - 1, ascending with the value; both zeros are in bin N_BINS."""
    magnitude = bin_of(values)
    return torch.where(values < 0, N_BINS - 1 - magnitude, N_BINS + magnitude)


@functools.cache
def bin_edges() -> NDArray[np.float64]:
    """Edges of the magnitude bins, shape (N_BINS + 1,); 0 first and infinity last."""
    bits = (np.arange(N_BINS + 1, dtype=np.int64) + FIRST_CODE) << SHIFT
    edges = bits.astype(np.int32).view(np.float32).astype(np.float64)
    edges[0], edges[-1] = 0.0, np.inf
    return edges


@functools.cache
def signed_edges() -> NDArray[np.float64]:
    """Edges of the signed bins, shape (N_SIGNED_BINS + 1,), ascending."""
    edges = bin_edges()
    return np.concatenate((-edges[:0:-1], edges))


def to_fixed(values: Float64[Tensor, " unit"]) -> Int64[Tensor, "part unit"]:
    """Fixed-point form of float64 values below 2**62, to within 2**-52."""
    whole = torch.floor(values)
    fraction = ((values - whole) * _SCALE).to(torch.int64)
    return torch.stack((whole.to(torch.int64), fraction))


def add_fixed(a: Int64[Tensor, "part unit"], b: Int64[Tensor, "part unit"]) -> Tensor:
    """Exact sum; commutative and associative to the bit."""
    fraction = a[1] + b[1]
    return torch.stack((a[0] + b[0] + (fraction >> FRACTION_BITS), fraction & _MASK))


def value_keys(
    values: Float32[Tensor, "*shape"], windows: Int64[Tensor, "*#shape"]
) -> Int64[Tensor, "*shape"]:
    """Keys that grow with the value and, among equal values, fall with the window id."""
    # Adding zero turns -0.0 into 0.0, which compares equal but has other bits.
    bits = (values + 0.0).contiguous().view(torch.int32)
    ordered = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).to(torch.int64)
    return (ordered << 32) | (_LOW - windows)


def priority_keys(
    units: Int64[Tensor, " unit"], windows: Int64[Tensor, " batch"], *, salt: str
) -> Int64[Tensor, "unit batch"]:
    """Keys in random order, a different one for every unit; the low half is the window id.

    The windows with the smallest keys are a uniform sample without replacement of any set of
    windows, however it was split and in whatever order it came.
    """
    mixed = _mix(unit_seeds(units, salt=salt)[:, None] ^ windows[None, :])
    return ((mixed >> 1) & (0x7FFFFFFF << 32)) | windows[None, :]


def unit_seeds(units: Int64[Tensor, " unit"], *, salt: str) -> Int64[Tensor, " unit"]:
    """What decides each unit's order of windows."""
    offset = int.from_bytes(hashlib.sha256(salt.encode()).digest()[:8], "big", signed=True)
    return _mix(units + offset)


def _mix(x: Tensor) -> Tensor:
    # The finalizer of splitmix64 (Steele, Lea and Flood 2014); int64 arithmetic wraps around,
    # and the masks turn arithmetic shifts into logical ones.
    x = x * -7046029254386353131
    x = (x ^ ((x >> 30) & (2**34 - 1))) * -4658895280553007687
    x = (x ^ ((x >> 27) & (2**37 - 1))) * -7723592293110705685
    return x ^ ((x >> 31) & (2**33 - 1))
