"""Activations as the integer levels that prompts show."""

from __future__ import annotations

import math
from collections.abc import Sequence

from autointerp.core.errors import InputError
from autointerp.core.ids import Side

MAX_LEVEL = 10


def rectify(activations: Sequence[float], side: Side) -> tuple[float, ...]:
    """``max(0, sign * a)`` for each activation: what a side's exemplars and levels use."""
    if side is Side.POSITIVE:
        return tuple([a if a > 0.0 else 0.0 for a in activations])
    return tuple([-a if a < 0.0 else 0.0 for a in activations])


def to_levels(activations: Sequence[float], *, peak: float) -> tuple[int, ...]:
    """Integer levels 0..10 shown in prompts, rounded down; negatives are level 0.

    Everything below a tenth of the peak shows as 0, which a reader should be told.

    Args:
        activations: one side of one unit, shape (n_ctx,), model units.
        peak: largest activation over the *explain set*, above 0. Never taken from held-out
            records: that would leak their range.

    Raises:
        InputError: when the peak is not a positive finite number.

    Source: Bills et al. 2023, which rounds down; other tools round up, so levels do not
    compare across tools.
    """
    if not (math.isfinite(peak) and peak > 0):
        msg = f"levels need a positive finite peak, found {peak!r}; the unit is dead on this side"
        raise InputError(msg)
    # Dividing first keeps the peak of the smallest subnormal from overflowing the product.
    return tuple(
        min(MAX_LEVEL, math.floor(MAX_LEVEL * min(1.0, max(a, 0.0) / peak))) for a in activations
    )
