"""Is the feature there wherever any one of some units fires? The rule that tells a union."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autointerp.statistics.confusion import confusion_entries
from autointerp.statistics.probing.examples import LabelledExamples, Labels
from autointerp.statistics.probing.probe_scores import matthews
from autointerp.statistics.probing.sparse_probes import SparseProbe
from autointerp.statistics.scored_windows import Floats

# Each unit's threshold is chosen that often, given those of the others.
_N_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class AnyUnitRule:
    """A threshold a unit, chosen where the probe was fitted, and what that gives elsewhere."""

    thresholds: tuple[float, ...]
    """Of each unit in the probe's order, model units; infinite where it is better left out."""
    mcc: float
    """Matthews' correlation on held-out documents of "any unit is past its threshold"."""
    own_shares: tuple[float, ...]
    """Share of the held-out positives for which this unit alone is past its threshold."""
    precisions: tuple[float, ...]
    """Share of each unit's held-out firings that have the feature; 0 where it never fires."""


def fit_any_unit_rule(
    probe: SparseProbe, train: LabelledExamples, test: LabelledExamples
) -> AnyUnitRule:
    """The rule of the probe's units with the best F1 on the train examples, scored on the test.

    A unit fires above its threshold, or below it where its weight is negative. Thresholds are
    chosen in turn, each with those of the others held.
    """
    values = _signed(probe, train)
    thresholds = np.full(len(probe.units), np.inf)
    for _ in range(_N_ROUNDS):
        before = thresholds.copy()
        for unit in range(len(thresholds)):
            fired = values >= thresholds
            fired[:, unit] = False
            others = np.asarray(fired.any(axis=1))
            thresholds[unit] = _threshold_beside(values[:, unit], others, train)
        if (before == thresholds).all():
            break
    fires = _signed(probe, test) >= thresholds
    answers, weights = np.asarray(fires.any(axis=1)), test.weights
    alone = fires & (fires.sum(axis=1) == 1)[:, None] & test.has[:, None]
    right = weights @ (fires & test.has[:, None])
    fired_mass = weights @ fires
    signs = np.where(np.array(probe.weights) < 0, -1.0, 1.0)
    return AnyUnitRule(
        tuple((signs * thresholds).tolist()),
        float(matthews(confusion_entries(test.has, answers).T @ weights)),
        tuple((weights @ alone / weights[test.has].sum()).tolist()),
        tuple((right / np.where(fired_mass > 0, fired_mass, 1.0)).tolist()),
    )


def own_correlations(
    probe: SparseProbe, train: LabelledExamples, test: LabelledExamples
) -> tuple[float, ...]:
    """Matthews' correlation of each of the probe's units alone, on held-out documents.

    A unit fires above its threshold, or below it where its weight is negative: the threshold with
    the best F1 on the train examples. Of a unit that tells nothing it is about 0.
    """
    nobody, values, tested = (
        np.zeros(len(train.has), bool),
        _signed(probe, train),
        _signed(probe, test),
    )
    thresholds = [_threshold_beside(own, nobody, train) for own in values.T]
    fires = tested >= thresholds
    entries = (confusion_entries(test.has, own).T @ test.weights for own in fires.T)
    return tuple(float(matthews(one)) for one in entries)


def _signed(probe: SparseProbe, examples: LabelledExamples) -> Floats:
    values = examples.activations[:, list(probe.units)].astype(np.float64)
    return np.asarray(values * np.where(np.array(probe.weights) < 0, -1.0, 1.0))


def _threshold_beside(values: Floats, others: Labels, train: LabelledExamples) -> float:
    """The unit's threshold with the best F1 of the rule, or infinity where none is better."""
    weights, has = train.weights, train.has
    order = np.argsort(-values, kind="stable")
    added = np.where(others, 0.0, weights)[order]
    right = np.cumsum(np.where(has[order], added, 0.0)) + weights[others & has].sum()
    taken = np.cumsum(added) + weights[others].sum()
    scores = 2 * right / (taken + weights[has].sum())
    ranked = values[order]
    ends = np.flatnonzero(np.diff(ranked, append=-np.inf) < 0)
    best = ends[np.argmax(scores[ends])]
    without = 2 * weights[others & has].sum() / (weights[others].sum() + weights[has].sum())
    if scores[best] <= without + 1e-12:
        return np.inf
    below = ranked[best + 1] if best + 1 < len(ranked) else ranked[best]
    return float((ranked[best] + below) / 2)
