"""How closely each of many units follows predictions: weighted correlations by sums of products."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
LEAST = 1e-9
"""Share of a mean square that is rounding, where all the rest of it is the mean."""


@dataclass(frozen=True, slots=True, eq=False)
class PredictionSums:
    """Weighted sums over tokens; those of two sets of tokens add up to those of both."""

    weights: NDArray[np.float64]
    """Of each prediction, shape (prediction,), as the next two."""
    predicted: NDArray[np.float64]
    predicted_squares: NDArray[np.float64]
    activations: NDArray[np.float64]
    """Shape (unit, prediction), as the next two."""
    activation_squares: NDArray[np.float64]
    products: NDArray[np.float64]

    @classmethod
    def of(cls, activations: Floats, predicted: Floats, weights: Floats) -> PredictionSums:
        """The sums over some tokens.

        Args:
            activations: shape (unit, token).
            predicted: shape (token, prediction).
            weights: of each token for each prediction, 0 where it makes none; same shape.
        """
        weighted = weights * predicted
        return cls(
            weights.sum(axis=0, dtype=np.float64),
            weighted.sum(axis=0, dtype=np.float64),
            (weighted * predicted).sum(axis=0, dtype=np.float64),
            (activations @ weights).astype(np.float64),
            (np.square(activations) @ weights).astype(np.float64),
            (activations @ weighted).astype(np.float64),
        )

    def __add__(self, other: PredictionSums) -> PredictionSums:
        return PredictionSums(
            self.weights + other.weights,
            self.predicted + other.predicted,
            self.predicted_squares + other.predicted_squares,
            self.activations + other.activations,
            self.activation_squares + other.activation_squares,
            self.products + other.products,
        )

    def of_columns(self, columns: slice) -> PredictionSums:
        """Those of some predictions."""
        return PredictionSums(
            self.weights[columns],
            self.predicted[columns],
            self.predicted_squares[columns],
            self.activations[:, columns],
            self.activation_squares[:, columns],
            self.products[:, columns],
        )

    def correlations(self) -> NDArray[np.float64]:
        """Pearson's, shape (unit, prediction); NaN where one side does not vary."""
        # Without a weight all sums are 0, and nothing is defined.
        total = np.where(self.weights > 0, self.weights, np.nan)
        mean_p, square_p = self.predicted / total, self.predicted_squares / total
        mean, square = self.activations / total, self.activation_squares / total
        variance, variance_p = square - mean * mean, square_p - mean_p * mean_p
        flat = (variance <= LEAST * square) | (variance_p <= LEAST * square_p)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = (self.products / total - mean * mean_p) / np.sqrt(variance * variance_p)
        return np.where(flat, np.nan, found)


def weighted_correlations(
    activations: Floats, predicted: Floats, weights: Floats
) -> NDArray[np.float64]:
    """Pearson's over some tokens, shape (unit, prediction); NaN where one side does not vary.

    Args as of `PredictionSums.of`.
    """
    return PredictionSums.of(activations, predicted, weights).correlations()
