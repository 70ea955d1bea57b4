"""Shapes of what is kept of the units of a hook point, told without torch: plans need them."""

from __future__ import annotations

from collections.abc import Mapping

from autointerp.core.config import CollectConfig

LOWEST_EXPONENT, HIGHEST_EXPONENT = -16, 10
STEPS = 4
"""Bins to a power of two."""
MAGNITUDE_BINS = (HIGHEST_EXPONENT - LOWEST_EXPONENT) * STEPS
"""Bins of non-negative values."""
FLOATS = frozenset({"minimum", "maximum", "sample_peaks", "shared_peaks"})
"""Fields of float32; all others are int64."""


def state_shapes(
    n_units: int, config: CollectConfig, *, n_shared: int
) -> Mapping[str, tuple[int, ...]]:
    """The shape of every field of a `HookState`.

    `n_shared` windows of the split are shared by all units.
    """
    by_side = (2, n_units)
    return {
        "total": by_side,
        "squares": by_side,
        "minimum": (n_units,),
        "maximum": (n_units,),
        "active_tokens": by_side,
        "active_windows": by_side,
        "histogram": (n_units, 2 * MAGNITUDE_BINS),
        "peak_histogram": (*by_side, MAGNITUDE_BINS),
        "top": (*by_side, config.top_k),
        "sample": (*by_side, config.sample_size),
        "sample_peaks": (*by_side, config.sample_size),
        "shared_peaks": (*by_side, n_shared),
    }
