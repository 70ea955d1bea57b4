"""Probes on few units: chosen by adaptive thresholding, or exactly where k is small.

Source: Gurnee et al. 2023, Finding neurons in a haystack, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from autointerp.core.errors import InputError
from autointerp.statistics.probing.exact_search import ExactSearch, search_exactly
from autointerp.statistics.probing.examples import Indices, LabelledExamples
from autointerp.statistics.probing.logistic import INTERCEPT, RIDGE, Design, Fit, fit_logistic
from autointerp.statistics.probing.probe_scores import (
    ProbeScores,
    best_f1_threshold,
    score_examples,
)
from autointerp.statistics.scored_windows import Floats

DEFAULT_KS = (256, 128, 64, 32, 16, 8, 4, 3, 2, 1)
"""Numbers of units that probes are fitted on."""
# Of that many units that stand, one is left out at a time; of more, a share.
_ONE_BY_ONE = 64
_KEPT_SHARE = 0.75
_UNITS_PER_RIDGE = 16


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """How probes of several sizes are fitted."""

    ks: tuple[int, ...] = DEFAULT_KS
    """Numbers of units."""
    exact_up_to: int = 4
    """Probes of at most so many units are searched for exactly."""
    n_exact_candidates: int = 50
    """Units that the exact search of several chooses from: the last ones that thresholding leaves.
    One unit is searched for among all."""
    time_limit_s: float = 60.0
    """Of each exact search."""
    seed: int = 0
    """Of intervals."""


@dataclass(frozen=True, slots=True)
class SparseProbe:
    """Few units with weights, and a threshold on their sum."""

    units: tuple[int, ...]
    """0-based columns of the examples, the strongest first."""
    weights: tuple[float, ...]
    """Of each, per standard deviation of the unit: what one weighs against another."""
    slopes: tuple[float, ...]
    """Of each, per model unit of activation."""
    intercept: float
    """Added to the sum."""
    threshold: float
    """From that sum on an example is taken for the feature: the best F1 where it was fitted."""
    loss: float
    """Mean logistic loss where it was fitted, nats, both classes weighing the same."""

    def sums(self, examples: LabelledExamples) -> Floats:
        """The weighted sum of each example, shape (n_examples,)."""
        values = examples.activations[:, list(self.units)].astype(np.float64)
        return np.asarray(values @ np.array(self.slopes) + self.intercept)


@dataclass(frozen=True, slots=True)
class ProbeAtK:
    """The probe of one size, with its scores on held-out documents."""

    k: int
    probe: SparseProbe
    scores: ProbeScores
    search: ExactSearch | None
    """Of an exact search; None where thresholding chose the units."""


def ridge_of(k: int) -> float:
    """The ridge of a probe on k units: more units need more."""
    return RIDGE * max(1.0, k / _UNITS_PER_RIDGE)


def sweep_sparse_probes(
    train: LabelledExamples,
    test: LabelledExamples,
    options: SweepOptions | None = None,
) -> tuple[ProbeAtK, ...]:
    """The probe of each size, largest first.

    Args:
        train: examples of both classes; all of their units are candidates.
        test: examples of other documents, with the same units.
        options: sizes and limits.

    Raises:
        InputError: a k below 1 or above the number of units.
    """
    asked = options or SweepOptions()
    check_ks(asked.ks, train.n_units)
    design = Design.of(train)
    stops = {*asked.ks, min(asked.n_exact_candidates, train.n_units), train.n_units}
    standing = {len(units): units for units in threshold_units(design, range(train.n_units), stops)}
    candidates = standing[min(asked.n_exact_candidates, train.n_units)].tolist()
    result = []
    for k in sorted(set(asked.ks), reverse=True):
        search = None
        units: Sequence[int] = standing[k].tolist()
        if k <= min(asked.exact_up_to, len(candidates)):
            pool = standing[train.n_units].tolist() if k == 1 else candidates
            search = search_exactly(design, pool, k, time_limit_s=asked.time_limit_s)
            units = search.units
        probe = fit_probe(train, units, design=design)
        scores = score_probe(probe, test, seed=asked.seed)
        result.append(ProbeAtK(k, probe, scores, search))
    return tuple(result)


def check_ks(ks: Sequence[int], n_units: int) -> None:
    """Refuses sizes that no probe can have."""
    if not ks:
        raise InputError("no k was given: name how many units a probe may use, like 1,2,4")
    wrong = next((k for k in sorted(ks, reverse=True) if not 1 <= k <= n_units), None)
    if wrong is not None:
        raise InputError(
            f"asked for a probe on k = {wrong} units, but there are {n_units}: give a k from 1 "
            f"to {n_units}"
        )


def threshold_units(
    design: Design, candidates: Sequence[int], stops: set[int]
) -> Iterator[Indices]:
    """The units that stand at each stop, by adaptive thresholding, strongest first.

    A probe is fitted on all that stand, those with the smallest standardised weights are left
    out, and it is fitted again.

    Args:
        design: the examples.
        candidates: 0-based units that stand at first.
        stops: numbers of units to stop at, of at most as many as there are candidates.
    """
    units = np.asarray(candidates, np.intp)
    start: Floats | None = None
    while stops and len(units) >= min(stops):
        fitted = fit_logistic(design, units, ridge=ridge_of(len(units)), start=start)
        order = np.argsort(-np.abs(fitted.weights[1:]), kind="stable")
        units, weights = units[order], fitted.weights[1:][order]
        if len(units) in stops:
            yield units
        n = _next_size(len(units), stops)
        units, start = units[:n], np.concatenate([fitted.weights[:1], weights[:n]])
        if not n:
            return


def fit_probe(
    train: LabelledExamples, units: Sequence[int], *, design: Design | None = None
) -> SparseProbe:
    """The probe on these units, at least one, with its threshold.

    Args:
        train: examples of both classes.
        units: 0-based columns of the examples.
        design: of the examples, where it was made before.
    """
    own = Design.of(train) if design is None else design
    places = np.asarray(units, np.intp)
    fitted = fit_logistic(own, places, ridge=ridge_of(len(places)))
    order = np.argsort(-np.abs(fitted.weights[1:]), kind="stable")
    return _probe(train, own, places[order], Fit(fitted.weights[[0, *(order + 1)]], fitted.loss))


def score_probe(probe: SparseProbe, test: LabelledExamples, *, seed: int = 0) -> ProbeScores:
    """The scores of a probe on examples that it was not fitted on."""
    return score_examples(probe.sums(test), probe.threshold, test, seed=seed)


def _probe(train: LabelledExamples, design: Design, units: Indices, fitted: Fit) -> SparseProbe:
    slopes = fitted.weights[1:] / design.scales[units]
    intercept = INTERCEPT * fitted.weights[0] - float(slopes @ design.means[units])
    sums = train.activations[:, units].astype(np.float64) @ slopes + intercept
    return SparseProbe(
        tuple(units.tolist()),
        tuple(fitted.weights[1:].tolist()),
        tuple(slopes.tolist()),
        float(intercept),
        best_f1_threshold(sums, train.has, train.weights),
        fitted.loss,
    )


def _next_size(n: int, stops: set[int]) -> int:
    """How many of n units stand next: no stop is passed over."""
    fewer = n - 1 if n <= _ONE_BY_ONE else math.floor(_KEPT_SHARE * n)
    return max([fewer, *(stop for stop in stops if stop < n)]) if n > 1 else 0
