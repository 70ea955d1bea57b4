"""How loops are compiled: sums are taken in the order in which they are written.

Where any order is allowed, code that was compiled in a process and the same code read from disk
gave other last bits, and so other labels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _can_be_kept() -> bool:
    """Whether compiled code has a place on disk; else every process compiles its own."""

    def nothing() -> None:
        pass

    try:
        njit(cache=True)(nothing)
    except RuntimeError:
        return False
    return True


CACHED = _can_be_kept()
"""Compiled code is kept on disk."""


def compiled_inner(function: _Function) -> _Function:
    """Called by compiled code alone: what Python would call it by, slow to make, is left out."""
    options: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    compiled: _Function = njit(nogil=True, cache=CACHED, **options)(function)
    return compiled
