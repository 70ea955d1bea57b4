"""How loops are compiled."""

from __future__ import annotations

from numba import njit


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

ANY_ORDER = {"reassoc", "contract", "nsz", "nnan"}
"""Sums may be taken in any order, which lets several numbers be added at a time; none is NaN."""
