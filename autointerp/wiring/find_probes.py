"""Sparse probes, baselines and the verdict on units that were recorded, as one value."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

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
    fit_dense_probe,
    random_units,
    rotated_basis,
    shuffled_labels,
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

    Raises:
        InputError: a size that the units do not allow.
    """
    probes = sweep_sparse_probes(train, test, options)
    dense = fit_dense_probe(train, test, seed=options.seed)
    hooks = list(dict.fromkeys(unit.hook for unit in units))
    layers = np.array([hooks.index(unit.hook) for unit in units])
    sides, baselines = (train, test), list[Baseline]()
    for k in sorted({min(k, len(units)) for k in _BASELINE_KS}):
        seed = options.seed
        baselines.append(random_units(sides, k, seed=seed))
        baselines.append(rotated_basis(sides, layers, k, n_draws=_N_ROTATIONS, seed=seed))
        baselines.append(shuffled_labels(sides, k, seed=seed))
    shuffled = [one for one in baselines if one.name == "shuffled labels"]
    found = judge(probes, dense, shuffled, train, test)
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
        gap=None if search is None else search.gap,
        n_subsets=None if search is None else search.n_subsets,
    )
