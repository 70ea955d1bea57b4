"""Memory of large tensors that goes back to the system as soon as they are let go of."""

from __future__ import annotations

import math
import mmap

import torch
from torch import Tensor

_LEAST = 1 << 16
"""Bytes from which a tensor gets pages of its own."""
_FLAGS = sum(getattr(mmap, name, 0) for name in ("MAP_PRIVATE", "MAP_ANONYMOUS", "MAP_POPULATE"))
"""All pages are written soon; several threads that touch new pages wait for each other."""


def zeros_in_own_pages(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Zeros; on the CPU in pages of their own.

    The C library's allocator leaves holes between the many tensors of a collection, a third of
    their size, and keeps what it got when they are gone.
    """
    n_bytes = math.prod(shape) * dtype.itemsize
    if device.type != "cpu" or n_bytes < _LEAST or not hasattr(mmap, "MAP_ANONYMOUS"):
        return torch.zeros(shape, dtype=dtype, device=device)
    try:
        pages = mmap.mmap(-1, n_bytes, flags=_FLAGS)
    except OSError as error:
        raise MemoryError(f"{n_bytes:,} bytes") from error
    return torch.frombuffer(pages, dtype=dtype).reshape(shape)
