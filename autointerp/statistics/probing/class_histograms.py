"""What a pass over text keeps of each unit to rank units by a labelled feature.

Sums of examples by class, of one size however long the text is; those of two texts add.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autointerp.core.errors import InputError
from autointerp.statistics.scored_windows import Floats

Counts = NDArray[np.integer[Any]]
NEGATIVE, POSITIVE = range(2)
"""Rows of the classes: examples without the feature, examples with it."""


@dataclass(frozen=True, slots=True, eq=False)
class ClassHistograms:
    """Sums over the examples of either class, for each unit."""

    n_examples: Counts
    """Examples of each class, shape (2,)."""
    sums: Floats
    """Sum of activations, shape (2, n_units), model units."""
    squares: Floats
    """Sum of squared activations, shape (2, n_units)."""
    counts: Counts
    """Examples in each bin of activations, bins ascending, shape (2, n_units, n_bins).

    Any bins that are the same for all examples of a unit.
    """

    def __post_init__(self) -> None:
        shapes = self.n_examples.shape, self.sums.shape, self.squares.shape, self.counts.shape[:2]
        if shapes != ((2,), (2, self.n_units), (2, self.n_units), (2, self.n_units)):
            raise InputError(
                "sums by class need shapes (2,), (2, n_units), (2, n_units) and "
                f"(2, n_units, n_bins), found {shapes[:3]} and {self.counts.shape}"
            )

    @property
    def n_units(self) -> int:
        """Units that the sums are of."""
        return int(self.sums.shape[1])

    @classmethod
    def of(cls, activations: ArrayLike, classes: ArrayLike, edges: ArrayLike) -> ClassHistograms:
        """The sums of examples that are at hand.

        Args:
            activations: shape (n_examples, n_units).
            classes: whether each example has the feature, shape (n_examples,).
            edges: inner edges of the bins, ascending; a value on an edge is in the upper bin.
        """
        values, has = np.asarray(activations, np.float64), np.asarray(classes, np.bool_)
        bins = np.searchsorted(np.asarray(edges, np.float64), values, side="right")
        n_bins, n_units = np.size(edges) + 1, values.shape[1]
        places = bins + np.arange(n_units) * n_bins
        parts = [~has, has]
        counted = [np.bincount(places[p].ravel(), minlength=n_units * n_bins) for p in parts]
        return cls(
            np.array([part.sum() for part in parts]),
            np.stack([values[part].sum(axis=0) for part in parts]),
            np.stack([(values[part] ** 2).sum(axis=0) for part in parts]),
            np.stack(counted).reshape(2, n_units, n_bins),
        )


def merge_class_histograms(parts: Iterable[ClassHistograms]) -> ClassHistograms:
    """The sums over the examples of all parts, which are of the same units and bins."""
    every = list(parts)
    shapes = {part.counts.shape for part in every}
    if len(shapes) != 1:
        raise InputError(
            f"only sums by class of the same units and bins merge, found shapes {sorted(shapes)}"
        )
    return ClassHistograms(
        *(sum(getattr(part, field.name) for part in every) for field in fields(ClassHistograms))
    )
