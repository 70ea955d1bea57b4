"""Fixed histogram bins, four to a power of two, read off a float's own bits.

A float32's exponent and first two fraction bits number its bin, so binning is exact, costs a
shift and a clamp, and needs no range chosen beforehand: histograms of any two runs add.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from jaxtyping import Float32, Int64
from numpy.typing import NDArray
from torch import Tensor

_LOWEST_EXPONENT = -16
_HIGHEST_EXPONENT = 10
_STEPS = 4
SHIFT = 21
"""Bits of a float32 below its exponent and first two fraction bits."""
FIRST_CODE = (127 + _LOWEST_EXPONENT) * _STEPS
"""A magnitude's bits, shifted, less this is its bin, where it is not clamped."""

N_BINS = (_HIGHEST_EXPONENT - _LOWEST_EXPONENT) * _STEPS
"""Bins of non-negative values: bin 0 holds all below 2**-16 * 1.25, the last all from 2**9.8."""
N_SIGNED_BINS = 2 * N_BINS


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
