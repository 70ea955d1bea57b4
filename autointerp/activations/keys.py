"""Windows ranked by value and by chance, as single integers that sort the same everywhere.

A value and a window id are packed into one int64, so that top-k by value breaks ties by the
smaller window id whatever the order in which windows arrive.
"""

from __future__ import annotations

import hashlib

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

_LOW = 0xFFFFFFFF
EMPTY_PRIORITY = torch.iinfo(torch.int64).max


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
