"""Bytes and seconds as people read them."""

from __future__ import annotations

_UNITS = (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20))
_TIMES = (("days", 86_400), ("h", 3_600), ("min", 60))


def size_text(n_bytes: float) -> str:
    """``1.5 GiB``; kibibytes where it is less than one mebibyte."""
    for unit, scale in _UNITS:
        if n_bytes >= scale:
            return f"{n_bytes / scale:,.1f} {unit}"
    return f"{n_bytes / 2**10:.1f} KiB"


def time_text(seconds: float) -> str:
    """``1.5 h``; days where it is more than two, seconds where it is less than two minutes."""
    for unit, scale in _TIMES:
        if seconds >= 2 * scale:
            return f"{seconds / scale:,.1f} {unit}"
    return f"{seconds:.0f} s"
