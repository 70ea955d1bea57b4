"""How well scores of held-out examples tell the feature, with intervals over documents."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from autointerp.core.scores import Score
from autointerp.statistics.bootstrap import Group, Resampling, Statistic
from autointerp.statistics.confusion import (
    FN,
    FP,
    TN,
    TP,
    average_precision,
    confusion_entries,
    confusion_statistic,
)
from autointerp.statistics.intervals import Ends, Unseen, unseen_intervals
from autointerp.statistics.probing.examples import Indices, LabelledExamples, Labels
from autointerp.statistics.scored_windows import Floats

# What an unseen document may hold, as columns of a confusion matrix: mistakes, or right answers.
_MISTAKES, _RIGHT = (FN, FP), (TP, TN)
_FEWEST_DOCUMENTS = 2
_DIFFERENCE = "precision_less_recall"


@dataclass(frozen=True, slots=True)
class ProbeScores:
    """Scores on examples of documents that the probe was not fitted on; 95 % intervals."""

    f1: Score
    precision: Score
    """Share of the examples it takes for the feature that have it."""
    recall: Score
    """Share of the examples with the feature that it finds."""
    mcc: Score
    """Matthews' correlation of answer and label, -1..1; 0 where every answer is the same."""
    average_precision: Score
    """Of the ranking, whatever the threshold; chance is the base rate."""
    precision_less_recall: Score
    """Above 0: the probe is finer than the feature; below 0: coarser."""

    @property
    def all(self) -> tuple[Score, ...]:
        """The scores that tables show, in their order."""
        return self.f1, self.precision, self.recall, self.mcc, self.average_precision


def score_examples(
    scores: Floats, threshold: float, examples: LabelledExamples, *, seed: int = 0
) -> ProbeScores:
    """The scores of a probe that takes examples at or above the threshold for the feature.

    Documents are resampled. Each resample adds what one more document may have held, so that no
    interval is without width where few documents agree; there is none with fewer than 2.

    Args:
        scores: of the examples, any scale, shape (n_examples,).
        threshold: chosen on other examples.
        examples: both classes.
        seed: of the resamples.
    """
    answers = scores >= threshold
    documents, of_document = np.unique(examples.documents, return_inverse=True)
    cells = np.zeros((len(documents), 4))
    entries = confusion_entries(examples.has, answers) * examples.weights[:, None]
    np.add.at(cells, of_document, entries)
    statistics = {
        "f1": confusion_statistic("f1"),
        "precision": confusion_statistic("precision"),
        "recall": confusion_statistic("recall"),
        "mcc": matthews,
        _DIFFERENCE: _precision_less_recall,
    }
    groups = [Group(tuple(range(len(documents))), math.inf)]
    found = _of_cells(statistics, cells, groups, Resampling(seed=seed), len(scores))
    found["average_precision"] = score_ranking(scores, examples, seed=seed)
    return ProbeScores(**found)


def score_ranking(scores: Floats, examples: LabelledExamples, *, seed: int = 0) -> Score:
    """Average precision of the examples by descending score, with its 95 % interval.

    The interval is that of `score_examples`.

    Args:
        scores: of the examples, any scale, shape (n_examples,).
        examples: both classes.
        seed: of the resamples.
    """
    documents, of_document = np.unique(examples.documents, return_inverse=True)
    groups = [Group(tuple(range(len(documents))), math.inf)]
    return _Ranking.of(scores, examples, of_document).score(groups, Resampling(seed=seed))


def matthews(confusion: Floats) -> Floats:
    """Matthews' correlation from the four cells' weights; 0 where a margin is empty."""
    right, missed = confusion[..., TP], confusion[..., FN]
    wrong, refused = confusion[..., FP], confusion[..., TN]
    margins = (right + missed) * (wrong + refused) * (right + wrong) * (missed + refused)
    size = np.sqrt(np.maximum(margins, 0.0))
    there = size > 0
    above = right * refused - missed * wrong
    return np.asarray(np.where(there, above / np.where(there, size, 1.0), 0.0))


def best_f1_threshold(scores: Floats, has: Labels, weights: Floats) -> float:
    """The threshold with the highest F1, midway between two scores."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    right = np.cumsum(np.where(has, weights, 0.0)[order])
    taken = np.cumsum(weights[order])
    ends = np.flatnonzero(np.diff(ranked, append=-np.inf) < 0)
    best = ends[np.argmax(2 * right[ends] / (taken[ends] + right[-1]))]
    if best == len(ranked) - 1:
        return float(ranked[-1])
    return float((ranked[best] + ranked[best + 1]) / 2)


def _precision_less_recall(confusion: Floats) -> Floats:
    precision, recall = confusion_statistic("precision"), confusion_statistic("recall")
    return np.asarray(precision(confusion) - recall(confusion))


def _of_cells(
    statistics: dict[str, Statistic],
    cells: Floats,
    groups: list[Group],
    resampling: Resampling,
    n: int,
) -> dict[str, Score]:
    total = cells.sum(axis=0)
    mean = cells.mean(axis=0)
    each = np.diag(np.repeat([mean[TP] + mean[FN], mean[FP] + mean[TN]], 2))
    unseen = Unseen(each[list(_MISTAKES)], each[list(_RIGHT)])
    # Of precision less recall a false alarm takes away, and what is missed adds to it.
    of_difference = Unseen(each[[FP]], each[[FN]])
    answered = total[TP] + total[FP] > 0
    defined = {k: s for k, s in statistics.items() if answered or not k.startswith("precision")}
    found = dict[str, Score]()
    for missed in (unseen, of_difference):
        names = [k for k in defined if (k == _DIFFERENCE) == (missed is of_difference)]
        asked = [(float(defined[k](total)), defined[k], missed) for k in names]
        ends = _intervals(asked, cells, groups, resampling)
        for name, (value, _, _), own in zip(names, asked, ends, strict=True):
            found[name] = Score(name, value, *own, n, None)
    reason = "no held-out example is taken for the feature"
    return {
        name: found[name] if name in found else Score.undefined(name, reason, n_windows=n)
        for name in statistics
    }


def _intervals(
    asked: list[tuple[float, Statistic, Unseen]],
    rows: Floats,
    groups: list[Group],
    resampling: Resampling,
) -> list[Ends]:
    if len(rows) < _FEWEST_DOCUMENTS:
        return [(None, None)] * len(asked)
    return unseen_intervals(asked, rows, groups, resampling)


@dataclass(frozen=True, slots=True, eq=False)
class _Ranking:
    """Examples by descending score, between unseen ones that stand above and below all."""

    of_document: Indices
    """Of each example; then those of the unseen, whose documents are their own."""
    has: Labels
    weights: Floats
    ends: Indices
    """Last of each run of equal scores."""
    n_documents: int

    @classmethod
    def of(cls, scores: Floats, examples: LabelledExamples, of_document: Indices) -> _Ranking:
        """The ranking, first an unseen negative and positive, last another of both."""
        order = np.argsort(-scores, kind="stable")
        n = int(of_document.max()) + 1
        total = [examples.weights[own].sum() / n for own in (~examples.has, examples.has)]
        ranked = np.concatenate([[np.inf, np.inf], scores[order], [-np.inf, -np.inf]])
        return cls(
            np.concatenate([[n, n + 1], of_document[order], [n + 2, n + 3]]),
            np.concatenate([[False, True], examples.has[order], [False, True]]),
            np.concatenate([total, examples.weights[order], total]),
            np.flatnonzero(np.concatenate([ranked[:-1] != ranked[1:], [True]])),
            n,
        )

    def score(self, groups: list[Group], resampling: Resampling) -> Score:
        """Average precision with its interval."""
        rows = np.concatenate([np.eye(self.n_documents), np.zeros((self.n_documents, 4))], axis=1)
        kinds = np.eye(self.n_documents + 4)[self.n_documents :]
        unseen = Unseen(kinds[[0, 3]], kinds[[1, 2]])
        value = float(self.area(rows.sum(axis=0)))
        (ends,) = _intervals([(value, self.area, unseen)], rows, groups, resampling)
        return Score("average_precision", value, *ends, len(self.weights) - 4, None)

    def area(self, counts: Floats) -> Floats:
        """Average precision where each document counts so often, shape (..., n_documents + 4)."""
        mass = counts[..., self.of_document] * self.weights
        taken = np.cumsum(mass, axis=-1)[..., self.ends]
        right = np.cumsum(mass * self.has, axis=-1)[..., self.ends]
        return average_precision(right, taken)
