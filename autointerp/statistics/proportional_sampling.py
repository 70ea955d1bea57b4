"""Sampling without replacement in proportion to sizes."""

from __future__ import annotations

import random
from collections.abc import Sequence

# A probability this near to 1 differs from it by rounding.
_CERTAIN = 1 - 1e-9


def proportional_sample(sizes: Sequence[float], n: int, *, seed: int) -> list[tuple[int, float]]:
    """(place, probability) of n places, drawn in proportion to their sizes; places ascend.

    Those too large for that are certain. The others are drawn systematically in the order given,
    so that neighbours in it, which should be alike, seldom come together. A value over its
    probability, added up, estimates the total without bias.

    Sizes are above 0.

    Source: systematic sampling with probability proportional to size (Madow 1949).
    """
    chances = _chances(sizes, n)
    open_places = [i for i, chance in enumerate(chances) if chance < 1]
    certain = [(i, 1.0) for i, chance in enumerate(chances) if chance >= 1]
    point = random.Random(seed).random()
    drawn: list[tuple[int, float]] = []
    passed = 0.0
    for i in open_places:
        passed += chances[i]
        if passed > point and len(certain) + len(drawn) < n:
            drawn.append((i, chances[i]))
            point += 1
    # Rounding may leave the last point just behind the last place.
    if open_places and len(certain) + len(drawn) < min(n, len(sizes)):
        left = [i for i in open_places if i not in {place for place, _ in drawn}]
        drawn.append((left[-1], chances[left[-1]]))
    return sorted(certain + drawn)


def _chances(sizes: Sequence[float], n: int) -> list[float]:
    """Probability of each place to be among the n."""
    if n >= len(sizes):
        return [1.0] * len(sizes)
    chances = [0.0] * len(sizes)
    open_places = list(range(len(sizes)))
    while open_places:
        n_open = n - (len(sizes) - len(open_places))
        total = sum(sizes[i] for i in open_places)
        for i in open_places:
            chances[i] = n_open * sizes[i] / total
        certain = {i for i in open_places if chances[i] >= _CERTAIN}
        for i in certain:
            chances[i] = 1.0
        open_places = [i for i in open_places if i not in certain]
        if not certain:
            break
    return chances
