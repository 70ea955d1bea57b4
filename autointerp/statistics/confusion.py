"""Metrics of the weights in the four cells of a yes-or-no table, and of a ranking.

All take arrays whose last axis holds what is summed, so that resamples are computed together.
"""

from __future__ import annotations

import numpy as np

from autointerp.statistics.bootstrap import Statistic
from autointerp.statistics.scored_windows import Floats

# Columns: weights of right and wrong verdicts in each class.
TP, FN, FP, TN = range(4)


def balanced_accuracy_of(cells: Floats) -> Floats:
    """Mean of the true positive and the true negative rate."""
    found = cells[..., TP] / (cells[..., TP] + cells[..., FN])
    refused = cells[..., TN] / (cells[..., TN] + cells[..., FP])
    return (found + refused) / 2


def f1_of(cells: Floats) -> Floats:
    """Harmonic mean of precision and recall."""
    twice = 2 * cells[..., TP]
    return twice / (twice + cells[..., FP] + cells[..., FN])


def precision_of(cells: Floats) -> Floats:
    """Share of yes verdicts that are right."""
    return cells[..., TP] / (cells[..., TP] + cells[..., FP])


def recall_of(cells: Floats) -> Floats:
    """Share of the positives that got a yes."""
    return cells[..., TP] / (cells[..., TP] + cells[..., FN])


def _iou_of(cells: Floats) -> Floats:
    return cells[..., TP] / (cells[..., TP] + cells[..., FP] + cells[..., FN])


def _accuracy_of(cells: Floats) -> Floats:
    return np.asarray((cells[..., TP] + cells[..., TN]) / cells.sum(axis=-1))


CELL_METRICS: dict[str, Statistic] = {
    "f1": f1_of,
    "iou": _iou_of,
    "balanced_accuracy": balanced_accuracy_of,
    "accuracy": _accuracy_of,
    "precision": precision_of,
    "recall": recall_of,
}


def average_precision(positive: Floats, said: Floats) -> Floats:
    """Area under the precision-recall steps: precisions, weighted by the recall each step adds.

    Args:
        positive: weight of the positives at or above each threshold, thresholds descending,
            shape (..., n_thresholds); the last holds all positives.
        said: weight of everything at or above it.
    """
    gained = np.diff(positive, axis=-1, prepend=0.0)
    there = said > 0
    precision = np.where(there, positive / np.where(there, said, 1.0), 0.0)
    total: Floats = (gained * precision).sum(axis=-1) / positive[..., -1]
    return total
