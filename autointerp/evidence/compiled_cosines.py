"""The largest of many cosines, compiled; imported where it is called."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from autointerp.statistics.compiled.compilation import CACHED

Singles = NDArray[np.float32]
Places = NDArray[np.int64]

_SHORTEST = np.float32(1e-30)


@njit(nogil=True, cache=CACHED)
def largest_cosines(  # noqa: PLR0913, PLR0917
    products: Singles,
    lengths: Singles,
    others: Singles,
    skipped: Places,
    first: int,
    best: tuple[Places, Singles],
) -> None:
    """Puts the cosines of rows of products that are largest in size among the best of each row.

    Products are of directions with others, whose lengths are given; of each row one place may be
    skipped. The best are places, which count from `first` on, and cosines, largest first; a place
    below zero is free.
    """
    places, cosines = best
    n = places.shape[1]
    for row in range(len(products)):
        least = np.float32(-1.0) if places[row, n - 1] < 0 else abs(cosines[row, n - 1])
        for column in range(len(others)):
            product = products[row, column]
            cosine = product / max(lengths[row] * others[column], _SHORTEST)
            if not abs(cosine) > least or column == skipped[row]:
                continue
            rank = n - 1
            while rank > 0 and (
                places[row, rank - 1] < 0 or abs(cosine) > abs(cosines[row, rank - 1])
            ):
                places[row, rank], cosines[row, rank] = (
                    places[row, rank - 1],
                    cosines[row, rank - 1],
                )
                rank -= 1
            places[row, rank], cosines[row, rank] = first + column, cosine
            if places[row, n - 1] >= 0:
                least = abs(cosines[row, n - 1])
