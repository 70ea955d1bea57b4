"""Windows ranked by value and by chance, as single integers that sort the same everywhere.

A value and a window id are packed into one int64, so that top-k by value breaks ties by the
smaller window id whatever the order in which windows arrive.
"""

from __future__ import annotations

import hashlib

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

__all__ = [
    "EMPTY_PRIORITY",
    "EMPTY_RANK",
    "NO_WINDOW",
    "priority_keys",
    "unpack_ranked",
    "value_keys",
]

_LOW = 0xFFFFFFFF
NO_WINDOW = -1
"""Window id in places that no window fills."""
EMPTY_RANK = torch.iinfo(torch.int64).min
EMPTY_PRIORITY = torch.iinfo(torch.int64).max


def value_keys(
    values: Float32[Tensor, "*shape"], windows: Int64[Tensor, "*#shape"]
) -> Int64[Tensor, "*shape"]:
    """Keys that grow with the value and, among equal values, fall with the window id."""
    # Adding zero turns -0.0 into 0.0, which compares equal but has other bits.
    bits = (values + 0.0).contiguous().view(torch.int32)
    ordered = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).to(torch.int64)
    return (ordered << 32) | (_LOW - windows)


def unpack_ranked(
    keys: Int64[Tensor, "*shape"],
) -> tuple[Float32[Tensor, "*shape"], Int64[Tensor, "*shape"]]:
    """(values, window ids) of value keys; NaN and NO_WINDOW where no window is."""
    empty = keys == EMPTY_RANK
    ordered = (keys >> 32).to(torch.int32)
    values = torch.where(ordered < 0, ordered ^ 0x7FFFFFFF, ordered).view(torch.float32)
    windows = _LOW - (keys & _LOW)
    return values.masked_fill(empty, torch.nan), windows.masked_fill(empty, NO_WINDOW)


def priority_keys(
    units: Int64[Tensor, " unit"], windows: Int64[Tensor, " batch"], *, salt: str
) -> Int64[Tensor, "unit batch"]:
    """Keys in random order, a different one for every unit; the low half is the window id.

    The windows with the smallest keys are a uniform sample without replacement of any set of
    windows, however it was split and in whatever order it came.
    """
    offset = int.from_bytes(hashlib.sha256(salt.encode()).digest()[:8], "big", signed=True)
    mixed = _mix(_mix(units + offset)[:, None] ^ windows[None, :])
    return ((mixed >> 1) & (0x7FFFFFFF << 32)) | windows[None, :]


def _mix(x: Tensor) -> Tensor:
    # The finalizer of splitmix64 (Steele, Lea and Flood 2014); int64 arithmetic wraps around,
    # and the masks turn arithmetic shifts into logical ones.
    x = x * -7046029254386353131
    x = (x ^ ((x >> 30) & (2**34 - 1))) * -4658895280553007687
    x = (x ^ ((x >> 27) & (2**37 - 1))) * -7723592293110705685
    return x ^ ((x >> 31) & (2**33 - 1))
