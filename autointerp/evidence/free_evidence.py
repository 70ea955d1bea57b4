"""Everything that is known of units beside their labels without running anything more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import NamedTuple, TypeVar

import numpy as np

from autointerp.core.ids import Side, UnitId
from autointerp.core.records import NeuronStats, TokenMeans, UnitSets
from autointerp.core.unit_evidence import Absent, Measure, Quantity, UnitEvidence
from autointerp.evidence.next_tokens import NextTokens
from autointerp.evidence.weight_evidence import WeightEvidence
from autointerp.evidence.window_evidence import TableRows, window_evidence
from autointerp.statistics.distribution_shape import BinnedNumbers
from autointerp.subjects import SubjectModel

K = TypeVar("K", bound=tuple[UnitId, Side])


class ReadUnit(NamedTuple):
    """What was read of one side of a unit."""

    sets: UnitSets
    token_means: TokenMeans
    stats: NeuronStats


class FreeEvidence:
    """Reads it for units of one subject model."""

    def __init__(self, subject: SubjectModel) -> None:
        self._weights, self._next = WeightEvidence(subject), NextTokens(subject)
        self._width = subject.width

    def of(self, units: Mapping[K, ReadUnit]) -> dict[K, UnitEvidence]:
        """The evidence of each side; of one without exemplars that of its weights and counts."""
        weights = self._weights.of(units)
        living = {key: one for key, one in units.items() if one.sets.explain.activating}
        following = self._next.of(
            {(k[0], k[1]): one.sets.explain.activating for k, one in living.items()}
        )
        result, rows = {}, TableRows()
        for key, one in units.items():
            found = list(distribution_measures(one.stats, key[1]))
            if key in living:
                found += [*window_evidence(one.sets, one.token_means, rows), following[key]]
                found += layer_measures(one.sets, self._width(key[0].hook))
            known = weights.get(key, UnitEvidence(()))
            result[key] = known.with_measures(found)
        return result


def layer_measures(sets: UnitSets, n_units: int) -> Iterator[Measure]:
    """Whether a unit is the strongest of its hook point where its exemplars peak."""
    ranks = sets.explain.ranks
    if not ranks or n_units < 2:
        absent = Absent.NOT_READ if n_units > 1 else Absent.ONLY_UNIT
        yield Measure(Quantity.STRONGEST, None, absent=absent)
        yield Measure(Quantity.LARGER_UNITS, None, absent=absent)
        return
    strongest = sum(rank == 0 for rank in ranks) / len(ranks)
    yield Measure.of(Quantity.STRONGEST, strongest, control=1 / n_units)
    yield Measure.of(Quantity.LARGER_UNITS, median(ranks) / (n_units - 1), control=0.5)


def distribution_measures(stats: NeuronStats, side: Side) -> Iterator[Measure]:
    """Kurtosis, tail and two modes of a unit's activation over all text that was read."""
    numbers = BinnedNumbers.of(
        np.array(stats.histogram, dtype=np.int64),
        np.array(stats.bin_edges or (0.0,)),
        stats.minimum,
        stats.maximum,
    )
    own = numbers if side is Side.POSITIVE else numbers.negated
    varies = stats.variance > 0 and stats.minimum < stats.maximum
    constant = Absent.CONSTANT
    kurtosis = numbers.excess_kurtosis if varies else None
    bimodality = numbers.bimodality if varies else None
    tail = own.tail_index() if varies else None
    yield _measure(Quantity.KURTOSIS, kurtosis, constant)
    if tail is None:
        yield Measure(Quantity.TAIL_INDEX, None, absent=Absent.FEW_ACTIVE if varies else constant)
    else:
        yield Measure.of(Quantity.TAIL_INDEX, tail.value, interval=tail.interval)
    yield _measure(Quantity.BIMODALITY, bimodality, constant)


def _measure(quantity: Quantity, value: float | None, absent: Absent) -> Measure:
    return Measure(quantity, None, absent=absent) if value is None else Measure.of(quantity, value)
