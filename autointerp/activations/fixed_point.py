"""Sums of floats that do not depend on the order of addition.

A float64 sum depends on the order of its terms in its last bits. Here each term is split into
an integer and 52 fraction bits, both int64, and integers add in any order to the same result.
"""

from __future__ import annotations

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from autointerp.activations.decode import FRACTION_BITS

_SCALE = float(2**FRACTION_BITS)
_MASK = 2**FRACTION_BITS - 1


def to_fixed(values: Float64[Tensor, " unit"]) -> Int64[Tensor, "part unit"]:
    """Fixed-point form of float64 values below 2**62, to within 2**-52."""
    whole = torch.floor(values)
    fraction = ((values - whole) * _SCALE).to(torch.int64)
    return torch.stack((whole.to(torch.int64), fraction))


def add_fixed(a: Int64[Tensor, "part unit"], b: Int64[Tensor, "part unit"]) -> Tensor:
    """Exact sum; commutative and associative to the bit."""
    fraction = a[1] + b[1]
    return torch.stack((a[0] + b[0] + (fraction >> FRACTION_BITS), fraction & _MASK))
