"""The units of a model ranked by how well each tells a feature, tested on other documents."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.activations.class_sums import sums_of_features
from autointerp.activations.token_examples import TokenSample
from autointerp.core.feature_search import FeatureUnit, FoundLayer
from autointerp.core.ids import Side, UnitId
from autointerp.core.progress import Progress
from autointerp.corpora.features import LabelledCorpus
from autointerp.statistics.confusion import average_precision
from autointerp.statistics.probing.examples import LabelledExamples
from autointerp.statistics.probing.probe_scores import score_ranking
from autointerp.statistics.probing.ranking import Measure, UnitMeasures, measure_units
from autointerp.subjects import HookUnits, SubjectModel

N_INTERVALS = 20
"""Of so many of the best units the interval on held-out documents is computed: each takes half a
second."""


@dataclass(frozen=True, slots=True, eq=False)
class FeatureRanking:
    """Measures of all units, by hook point."""

    subject: str
    measure: Measure
    units: tuple[HookUnits, ...]
    measures: Mapping[str, UnitMeasures]

    def layers(self) -> tuple[FoundLayer, ...]:
        """All hook points, that of the best unit first."""
        found = []
        for group in self.units:
            place = int(self.measures[group.hook].best(self.measure, 1)[0])
            best = UnitId(self.subject, group.hook, group.indices[place])
            value = float(self._values(group.hook)[place])
            layer = FoundLayer(group.hook, len(group.indices), best, _known(value))
            found.append((-_order(value), layer))
        return tuple(layer for _, layer in sorted(found, key=lambda one: one[0]))

    def best(self, n: int) -> tuple[tuple[str, int], ...]:
        """Hook point and index of the best of all, best first."""
        return self._best([group.hook for group in self.units], n)

    def candidates(self, n_layers: int, n: int) -> tuple[tuple[str, int], ...]:
        """The best of those hook points whose best unit is best."""
        return self._best([layer.hook for layer in self.layers()[:n_layers]], n)

    def _best(self, hooks: Sequence[str], n: int) -> tuple[tuple[str, int], ...]:
        every = [
            (-_order(float(self._values(group.hook)[place])), number, place)
            for number, group in enumerate(self.units)
            if group.hook in hooks
            for place in self.measures[group.hook].best(self.measure, n).tolist()
        ]
        chosen = sorted(every)[:n]
        return tuple((self.units[i].hook, self.units[i].indices[place]) for _, i, place in chosen)

    def found(
        self,
        best: Sequence[tuple[str, int]],
        activations: Mapping[tuple[str, int], NDArray[np.float32]],
        sample: TokenSample,
        *,
        seed: int = 0,
    ) -> tuple[FeatureUnit, ...]:
        """These units, tested by their activations on a sample of other documents.

        Activations are by hook point and index, shape (n_examples,). The seed is that of the
        intervals, which the first `N_INTERVALS` have.
        """
        places = {
            group.hook: {index: place for place, index in enumerate(group.indices)}
            for group in self.units
        }
        result: list[FeatureUnit] = []
        for hook, index in best:
            own, place = self.measures[hook], places[hook][index]
            of_high, of_low = own.average_precision[place], own.average_precision_of_low[place]
            side = Side.NEGATIVE if _order(of_low) > _order(of_high) else Side.POSITIVE
            values = side.sign * activations[hook, index]
            has_interval = len(result) < N_INTERVALS
            low, high = interval_of(values, sample, seed=seed) if has_interval else (None, None)
            result.append(
                FeatureUnit(
                    UnitId(self.subject, hook, index),
                    side,
                    mean_difference=float(own.mean_difference[place]),
                    f_statistic=_known(own.f_statistic[place]),
                    average_precision=_known(max(of_high, of_low)) or 0.0,
                    mutual_information=_known(own.mutual_information[place]) or 0.0,
                    tested=precision_of(values, sample),
                    tested_low=low,
                    tested_high=high,
                )
            )
        return tuple(result)

    def _values(self, hook: str) -> NDArray[np.float64]:
        own = self.measures[hook]
        if self.measure == "average_precision":
            return np.fmax(own.average_precision, own.average_precision_of_low)
        values: NDArray[np.float64] = getattr(own, self.measure)
        return np.abs(values)


def rank_units(
    subject: SubjectModel,
    features: Sequence[LabelledCorpus],
    units: Sequence[HookUnits],
    *,
    measure: Measure,
    progress: Progress | None = None,
) -> list[FeatureRanking]:
    """All units measured for each feature, in one pass over the documents not held out.

    Features are of one text.

    Raises:
        InputError: units that do not exist, or an activation that is no finite number.
    """
    windows = features[0].train
    every = sums_of_features(subject, features, units, windows, progress=progress)
    rankings = []
    for sums in every:
        # The histograms of a hook point are let go of when they are measured.
        measures = {hook: measure_units(sums.pop(hook)) for hook in list(sums)}
        rankings.append(FeatureRanking(subject.name, measure, tuple(units), measures))
    return rankings


def precision_of(values: NDArray[np.floating], sample: TokenSample) -> float | None:
    """Average precision of high values among all tokens that the sample stands for.

    None where a class is missing.
    """
    if sample.has.all() or not sample.has.any():
        return None
    order = np.argsort(-values, kind="stable")
    weights = sample.weights[order]
    positive, every = np.cumsum(weights * sample.has[order]), np.cumsum(weights)
    # Equal values are one threshold: the last of them holds all.
    ends = np.flatnonzero(np.diff(values[order], append=np.nan) != 0)
    return float(average_precision(positive[ends], every[ends]))


def interval_of(
    values: NDArray[np.floating], sample: TokenSample, *, seed: int
) -> tuple[float | None, float | None]:
    """The 95 % interval of `precision_of` over documents; none where a class is missing."""
    if sample.has.all() or not sample.has.any():
        return None, None
    examples = LabelledExamples(
        values[:, None], sample.has, sample.documents.astype(np.intp), sample.weights
    )
    score = score_ranking(values.astype(np.float64), examples, seed=seed)
    return score.low, score.high


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _order(value: float) -> float:
    # An infinite F is a perfect unit's; no number is a unit's that never varies.
    return -math.inf if math.isnan(value) else value
