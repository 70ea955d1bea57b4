"""False-discovery control where many units are tested together, a whole layer for instance."""

from __future__ import annotations

from collections.abc import Sequence

from autointerp.core.errors import InputError


def q_values(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Adjusted p-values: keeping those up to q makes at most a share q false ones, expected.

    With n permutations no p-value is below 1 / (n + 1): among m units of which k stand out, n
    must be above m / (k * q). For tests that are independent or depend positively on each other
    (Benjamini and Hochberg 1995).

    Args:
        p_values: one a unit, 0..1; None where a test was undefined, which counts as no test.

    Raises:
        InputError: a p-value outside 0..1.
    """
    known = [(p, i) for i, p in enumerate(p_values) if p is not None]
    wrong = [p for p, _ in known if not 0 <= p <= 1]
    if wrong:
        msg = f"p-values lie between 0 and 1, found {wrong[0]}"
        raise InputError(msg)
    result: list[float | None] = [None] * len(p_values)
    # The smallest of what this and every larger p-value would need.
    least = 1.0
    for rank, (p, place) in reversed(list(enumerate(sorted(known), 1))):
        least = min(least, p * len(known) / rank)
        result[place] = least
    return tuple(result)
