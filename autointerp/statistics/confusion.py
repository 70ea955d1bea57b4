"""What each metric of yes-or-no answers and of rankings is, and what it needs to be defined.

All take arrays whose last axis holds what is summed, so that resamples are computed together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from autointerp.statistics.bootstrap import Statistic
from autointerp.statistics.scored_windows import Floats

Kind = Literal["positive", "negative", "yes"]
"""What may be missing: an entry that is positive, one that is negative, an answer that is yes."""

# Columns of a confusion matrix in one row: weights of right and wrong answers to each class.
TP, FN, FP, TN = range(4)


def _balanced_accuracy(confusion: Floats) -> Floats:
    result = confusion[..., TP] / (confusion[..., TP] + confusion[..., FN])
    refused = confusion[..., TN] / (confusion[..., TN] + confusion[..., FP])
    return (result + refused) / 2


def _f1(confusion: Floats) -> Floats:
    twice = 2 * confusion[..., TP]
    return twice / (twice + confusion[..., FP] + confusion[..., FN])


def _precision(confusion: Floats) -> Floats:
    return confusion[..., TP] / (confusion[..., TP] + confusion[..., FP])


def _recall(confusion: Floats) -> Floats:
    return confusion[..., TP] / (confusion[..., TP] + confusion[..., FN])


def _iou(confusion: Floats) -> Floats:
    return confusion[..., TP] / (confusion[..., TP] + confusion[..., FP] + confusion[..., FN])


def _accuracy(confusion: Floats) -> Floats:
    return np.asarray((confusion[..., TP] + confusion[..., TN]) / confusion.sum(axis=-1))


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, 0..1."""

    needs: tuple[Kind, ...]
    """Without these it is undefined."""
    of_confusion: Statistic | None = None
    """From weights in the four cells; None for one of a ranking."""


METRICS: Mapping[str, Metric] = {
    "auprc": Metric(("positive",)),
    "auroc": Metric(("positive", "negative")),
    "f1": Metric(("positive",), _f1),
    "iou": Metric(("positive",), _iou),
    "balanced_accuracy": Metric(("positive", "negative"), _balanced_accuracy),
    "accuracy": Metric((), _accuracy),
    "precision": Metric(("yes",), _precision),
    "recall": Metric(("positive",), _recall),
}


def confusion_statistic(name: str) -> Statistic:
    """The metric of that name, from weights in the four cells of a confusion matrix."""
    statistic = METRICS[name].of_confusion
    if statistic is None:
        raise KeyError(f"{name} is computed from a ranking")
    return statistic


def missing_kinds(truths: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> frozenset[Kind]:
    """What is not among the entries."""
    there: dict[Kind, bool] = {
        "positive": bool(truths.any()),
        "negative": not truths.all(),
        "yes": bool(predicted.any()),
    }
    return frozenset(kind for kind, is_there in there.items() if not is_there)


def lacking(name: str, missing: frozenset[Kind]) -> Kind | None:
    """The first thing that the metric needs and that is missing."""
    return next((kind for kind in METRICS[name].needs if kind in missing), None)


def confusion_entries(truths: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """In which of the four cells each answer is, shape (n, 4)."""
    return np.stack(
        [truths & predicted, truths & ~predicted, ~truths & predicted, ~truths & ~predicted], axis=1
    )


def average_precision(positive: Floats, predicted: Floats) -> Floats:
    """Area under the precision-recall steps: precisions, weighted by the recall each step adds.

    Args:
        positive: weight of the positives at or above each threshold, thresholds descending,
            shape (..., n_thresholds); the last holds all positives.
        predicted: weight of everything at or above it.
    """
    gained, there = steps(positive), predicted > 0
    precision = np.where(there, positive / np.where(there, predicted, 1.0), 0.0)
    total: Floats = (gained * precision).sum(axis=-1) / positive[..., -1]
    return total


def steps(cumulated: Floats) -> Floats:
    """What each step of the last axis adds, the first to 0."""
    result = cumulated.copy(order="K")
    result[..., 1:] -= cumulated[..., :-1]
    return result


def tie_starts(ascending: Floats) -> list[int]:
    """Where each run of equal values begins."""
    return np.flatnonzero(np.diff(ascending, prepend=-np.inf)).tolist()


def rank_area(positive: Floats, negative: Floats, starts: Sequence[int]) -> Floats:
    """Weight of (positive, negative) pairs in the right order, a tie counting half.

    Args:
        positive: weights of the positive entries and 0 elsewhere, shape (..., n), entries
            ascending by what ranks them.
        negative: the same of the negative ones.
        starts: where each run of ties begins.
    """
    up = np.add.reduceat(positive, starts, axis=-1)
    down = np.add.reduceat(negative, starts, axis=-1)
    below = np.cumsum(down, axis=-1) - down / 2
    area: Floats = (up * below).sum(axis=-1)
    return area


def area_under_roc(values: Floats, positive: Floats, negative: Floats) -> Floats:
    """AUROC of values in any order, with the weights of either class."""
    order = np.argsort(values, kind="stable")
    starts = tie_starts(values[order])
    pairs = rank_area(positive[..., order], negative[..., order], starts)
    return np.asarray(pairs / (positive.sum(-1) * negative.sum(-1)))
