"""Sparse probes, baselines and the verdict on units that were recorded, as one value."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from autointerp.activations.token_examples import TokenSample
from autointerp.core.feature_probes import (
    BaselineLine,
    FeatureProbes,
    FeatureVerdict,
    ProbeLine,
)
from autointerp.core.ids import UnitId
from autointerp.statistics.probing.baselines import (
    Baseline,
    Sides,
    fit_dense_probe,
    random_units,
    rotated_basis,
    shuffled_labels,
    units_by_the_same_search,
)
from autointerp.statistics.probing.examples import LabelledExamples
from autointerp.statistics.probing.sparse_probes import (
    ProbeAtK,
    SweepOptions,
    sweep_sparse_probes,
)
from autointerp.statistics.probing.verdict import judge

_BASELINE_KS = (1, 4, 16)
_N_ROTATIONS = 5
"""Fewer than other draws: each turns all candidates of a layer."""
_LEAST_TURNED = 16
"""Candidates of a layer that are turned among themselves: of fewer, each stays much as it is."""


def examples_of(activations: NDArray[np.float32], sample: TokenSample) -> LabelledExamples:
    """A sample of tokens with the activations there, shape (n_examples, n_units)."""
    return LabelledExamples(
        activations, sample.has, sample.documents.astype(np.intp), sample.weights
    )


def probe_units(
    units: Sequence[UnitId],
    train: LabelledExamples,
    test: LabelledExamples,
    options: SweepOptions,
) -> FeatureProbes:
    """Probes of each size on the columns of these units, with baselines and a verdict.

    The probe on one unit is always among them: there is no verdict without it.

    Raises:
        InputError: a size that the units do not allow.
    """
    probes = sweep_sparse_probes(train, test, replace(options, ks=(*options.ks, 1)))
    dense = fit_dense_probe(train, test, seed=options.seed)
    hooks = list(dict.fromkeys(unit.hook for unit in units))
    sides, seed = (train, test), options.seed
    ks = sorted({min(k, len(units)) for k in _BASELINE_KS})
    drawn = [random_units(sides, k, seed=seed) for k in ks]
    shuffled = [shuffled_labels(sides, k, seed=seed) for k in ks]
    turned = _turned_together([hooks.index(unit.hook) for unit in units])
    bases = {k: _bases(sides, turned, k, seed) for k in ks}

    def bases_of(k: int) -> tuple[Baseline, Baseline] | None:
        if len(units) < _LEAST_TURNED:
            return None
        if k not in bases:
            bases[k] = _bases(sides, turned, k, seed)
        return bases[k]

    found = judge(probes, dense, shuffled, train, test, bases=bases_of)
    pairs = [one for k in bases for one in bases[k]]
    # By size; of one size, units by the same search stand before what is read against them.
    baselines = sorted([*drawn, *pairs, *shuffled], key=lambda one: one.k)
    verdict = FeatureVerdict(
        carrier=found.carrier,
        grain=found.grain,
        units=tuple(units[column] for column in found.units),
        best_mcc=found.best_mcc,
        chance_mcc=found.chance_mcc,
        reason=found.reason,
    )
    return FeatureProbes(
        hooks=tuple(hooks),
        n_candidates=len(units),
        n_train=len(train.has),
        n_test=len(test.has),
        lines=tuple(_line(one, units) for one in probes),
        dense_mcc=dense.scores.mcc,
        baselines=tuple(
            BaselineLine(one.name, one.k, statistics.median(one.mcc), one.highest_mcc)
            for one in baselines
        ),
        verdict=verdict,
    )


def _bases(sides: Sides, turned: NDArray[np.intp], k: int, seed: int) -> tuple[Baseline, Baseline]:
    rotated = rotated_basis(sides, turned, k, n_draws=_N_ROTATIONS, seed=seed)
    return units_by_the_same_search(sides, k), rotated


def _turned_together(layers: Sequence[int]) -> NDArray[np.intp]:
    """The layer of each unit; those of layers with few join the layer with the most."""
    found, counts = np.unique(layers, return_counts=True)
    few = found[counts < _LEAST_TURNED]
    return np.where(np.isin(layers, few), found[counts.argmax()], layers).astype(np.intp)


def _line(probe: ProbeAtK, units: Sequence[UnitId]) -> ProbeLine:
    scores, search = probe.scores, probe.search
    return ProbeLine(
        k=probe.k,
        units=tuple(units[column] for column in probe.probe.units),
        weights=probe.probe.weights,
        f1=scores.f1,
        precision=scores.precision,
        recall=scores.recall,
        mcc=scores.mcc,
        average_precision=scores.average_precision,
        certified=None if search is None else search.certified,
        loss=None if search is None else search.loss,
        bound=None if search is None else search.bound,
        gap=None if search is None else search.gap,
        n_searched=None if search is None else search.n_candidates,
        n_subsets=None if search is None else search.n_subsets,
    )
