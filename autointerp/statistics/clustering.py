"""Groups of places by what a unit reads there: directions that lie together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autointerp.core.errors import InputError

Vectors = NDArray[np.floating]
# Chosen with `benchmarks/senses.py --clusters`, where 0.12 to 0.25 do as well: unlike places have a
# mean cosine about 0 once the background is taken away, places of one token 0.3 to 0.6.
_LIKE = 0.2
FEWEST = 2
"""Places of the smallest cluster."""


def cluster_places(vectors: Vectors, *, most: int) -> tuple[tuple[int, ...], ...]:
    """The places of each cluster, the largest cluster first; places like no other are in none.

    Average linkage by cosine: the two clusters whose places are most alike on average become one
    until none are alike, or few enough have two places or more. Of equals the first are joined.

    Args:
        vectors: one row a place, the background taken away; any length, and 0 is like nothing.
        most: clusters at most, at least 1.

    Raises:
        InputError: a vector is not finite, or no cluster is allowed.
    """
    unit = directions(vectors)
    if most < 1:
        raise InputError(f"at least one cluster is needed, {most} are allowed")
    members = [[place] for place in range(len(unit))]
    # Likeness of two clusters as a sum over their pairs of places, which merging only adds up.
    sums, sizes = unit @ unit.T, np.ones(len(unit))
    alive = np.ones(len(unit), dtype=bool)
    while alive.sum() > 1:
        means = np.where(np.outer(alive, alive), sums / np.outer(sizes, sizes), -np.inf)
        np.fill_diagonal(means, -np.inf)
        first, second = divmod(int(means.argmax()), len(unit))
        n_clusters = sum(len(own) >= FEWEST for own in members)
        if means[first, second] < _LIKE and n_clusters <= most:
            break
        members[first] += members[second]
        members[second] = []
        sums[first] += sums[second]
        sums[:, first] += sums[:, second]
        sizes[first] += sizes[second]
        alive[second] = False
    clusters = [tuple(sorted(own)) for own in members if len(own) >= FEWEST]
    return tuple(sorted(clusters, key=lambda own: (-len(own), own)))


def directions(vectors: Vectors) -> NDArray[np.float64]:
    """The rows at length 1, those of length 0 as they are.

    Raises:
        InputError: a vector is not finite, or they are not rows.
    """
    rows = np.asarray(vectors, dtype=np.float64)
    if rows.ndim != 2 or not np.isfinite(rows).all():
        raise InputError(
            f"clusters need one vector of finite numbers for each place, found shape {rows.shape}"
        )
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1.0))
