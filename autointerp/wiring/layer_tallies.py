"""Rows of labels, counted layer by layer."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autointerp.core.study_report import StudyValue
from autointerp.core.unit_evidence import Quantity
from autointerp.core.unit_kinds import UnitKind
from autointerp.statistics.closed_form_intervals import wilson_interval
from autointerp.statistics.studies.rank_trends import median_interval

MEASURED: tuple[Quantity, ...] = (
    Quantity.GATE_OUTPUT_COSINE,
    Quantity.TOKEN_SHARE,
    Quantity.WINDOW_SHARE,
    Quantity.POSITION_SHARE,
    Quantity.PAIR_SHARE,
    Quantity.REPETITION,
    Quantity.NEXT_TOKEN,
    Quantity.KURTOSIS,
    Quantity.STRONGEST,
    Quantity.LARGER_UNITS,
)
"""Evidence of which layers are told by their median."""
_SORTED_BY = {
    UnitKind.CURRENT_TOKEN: Quantity.TOKEN_SHARE,
    UnitKind.TOKEN_PAIR: Quantity.PAIR_SHARE,
    UnitKind.DETOKENIZATION: Quantity.PAIR_SHARE,
    UnitKind.NEXT_TOKEN: Quantity.NEXT_TOKEN,
    UnitKind.CONTEXT: Quantity.WINDOW_SHARE,
    UnitKind.POSITION: Quantity.POSITION_SHARE,
    UnitKind.REPEATED_TOKEN: Quantity.REPETITION,
    UnitKind.MEMORY_MANAGEMENT: Quantity.GATE_OUTPUT_COSINE,
}
_EXAMPLES, _LONG = 2, 80

LabelRow = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class KindExample:
    """One of the labels whose evidence for a kind is the strongest."""

    kind: UnitKind
    strength: float
    unit: str
    text: str


@dataclass(slots=True)
class LayerCounts:
    """What was counted of one layer, or of all."""

    statuses: Counter[str] = field(default_factory=Counter)
    scores: list[float] = field(default_factory=list)
    lookup: list[float] = field(default_factory=list)
    densities: list[float] = field(default_factory=list)
    n_with_evidence: int = 0
    n_unknown: int = 0
    """Labels with evidence that tells no kind."""
    kinds: Counter[UnitKind] = field(default_factory=Counter)
    values: defaultdict[Quantity, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, row: LabelRow) -> None:
        """Counts a label."""
        self.statuses[row["status"]] += 1
        for name, known in (
            ("score", self.scores),
            ("score_lookup", self.lookup),
            ("density", self.densities),
        ):
            if row[name] is not None:
                known.append(row[name])
        if not has_evidence(row):
            return
        kinds = kinds_in(row)
        self.n_with_evidence += 1
        self.n_unknown += not kinds
        self.kinds.update(kinds)
        for quantity in MEASURED:
            if row[quantity.value] is not None:
                self.values[quantity].append(row[quantity.value])

    @property
    def n(self) -> int:
        """Labels."""
        return self.statuses.total()

    def share(self, n: int) -> StudyValue | None:
        """So many of the labels with evidence, with Wilson's interval; None of no labels."""
        of = self.n_with_evidence
        return StudyValue(n / of, *wilson_interval(n, of, confidence=0.95)) if of else None


def counted_layers(rows: Iterable[LabelRow]) -> dict[int, LayerCounts]:
    """Counts by layer, ascending."""
    layers: defaultdict[int, LayerCounts] = defaultdict(LayerCounts)
    for row in rows:
        layers[int(row["layer"])].add(row)
    return dict(sorted(layers.items()))


def has_evidence(row: LabelRow) -> bool:
    """Whether anything was measured by which kinds are told."""
    return any(row[quantity.value] is not None for quantity in MEASURED)


def kinds_in(row: LabelRow) -> tuple[UnitKind, ...]:
    """The kinds that a row names."""
    return tuple(UnitKind(name) for name in row["kinds"] or ())


def median_of(values: Sequence[float]) -> StudyValue | None:
    """With its interval; None of nothing."""
    return StudyValue(float(np.median(values)), *median_interval(values)) if values else None


def strongest_of_kinds(rows: Iterable[LabelRow]) -> tuple[KindExample, ...]:
    """Few labels of each kind, the most pronounced first."""
    best: dict[UnitKind, list[tuple[float, str, str]]] = {}
    for row in rows:
        for kind in kinds_in(row):
            known = best.setdefault(kind, [])
            text = _cut(row["description"] or "no explanation")
            known.append((_strength(row, kind), f"{row['layer']}:{row['index']}", text))
            known.sort(reverse=True)
            del known[_EXAMPLES:]
    return tuple(KindExample(kind, *one) for kind in UnitKind for one in best.get(kind, ()))


def _cut(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[:_LONG]}..."


def _strength(row: LabelRow, kind: UnitKind) -> float:
    if kind is UnitKind.SUPPRESSOR:
        up, down = row["promoted_values"] or [0.0], row["suppressed_values"] or [0.0]
        return float(-down[0] - max(up[0], 0.0))
    value = row[_SORTED_BY[kind].value]
    return abs(float(value or 0.0))
