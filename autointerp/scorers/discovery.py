"""False-discovery control where many units are tested together, a whole layer for instance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autointerp.core.errors import InputError

__all__ = ["q_values"]


def q_values(
    p_values: Sequence[float | None], *, any_dependence: bool = False
) -> tuple[float | None, ...]:
    """Adjusted p-values: keeping those up to q makes at most a share q false ones, expected.

    With n permutations no p-value is below 1 / (n + 1): among m units of which k stand out, n
    must be above m / (k * q).

    Args:
        p_values: one a unit, 0..1; None where a test was undefined, which counts as no test.
        any_dependence: hold for tests that depend on each other in whatever way, at a price
            (Benjamini and Yekutieli 2001). Otherwise for independent or positively dependent
            ones (Benjamini and Hochberg 1995).

    Raises:
        InputError: a p-value outside 0..1.
    """
    known = [i for i, p in enumerate(p_values) if p is not None]
    p = np.array([p_values[i] for i in known], dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        msg = f"p-values lie between 0 and 1, found {p[~((p >= 0) & (p <= 1))][0]}"
        raise InputError(msg)
    order = np.argsort(p, kind="stable")
    ranks = np.arange(1, len(p) + 1)
    factor = len(p) * (float((1.0 / ranks).sum()) if any_dependence else 1.0)
    # The smallest of what this and every larger p-value would need.
    needed = np.minimum.accumulate((p[order] * factor / ranks)[::-1])[::-1]
    found: list[float | None] = [None] * len(p_values)
    for place, q in zip(order.tolist(), np.minimum(needed, 1.0).tolist(), strict=True):
        found[known[place]] = q
    return tuple(found)
