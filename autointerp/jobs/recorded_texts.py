"""The text on which units are held, from what was kept with their labels: no corpus is read."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from typing_extensions import override

from autointerp.core.causal_evidence import TextKind
from autointerp.core.explanations import Label
from autointerp.core.ids import UnitId
from autointerp.core.records import UnitSets
from autointerp.core.seeds import derive_seed
from autointerp.evidence.causal_answers import CausalTexts
from autointerp.evidence.control_units import UnitSet
from autointerp.evidence.document_intervals import Passage
from autointerp.jobs.said_active import (
    distinct,
    judged_active,
    predicted_peaks,
    spread,
    weighted,
    where_clear,
)
from autointerp.scorers.scorer_inputs import ScoringSet

_MOST_REFERENCE = 32
"""Windows of which means are, and which are resampled."""
LabelledSets = tuple[Label, UnitSets]
Peaks = dict[UnitId, list[float] | None]
"""What labels predict on their held-out windows, as `predicted_peaks` has it."""


class RecordedTexts(CausalTexts):
    """Windows of labels' records: held-out ones carry their weights, so that they stand for all."""

    def __init__(
        self,
        labels: Mapping[UnitId, LabelledSets],
        *,
        n_windows: int,
        n_texts: int,
        seed: int,
        peaks: Peaks | None = None,
    ) -> None:
        """Takes each unit's label with its records; texts of one seed may share `peaks`."""
        self._labels, self._seed = labels, seed
        self._peaks = {} if peaks is None else peaks
        self._n_windows, self._n_texts = n_windows, n_texts

    @cached_property
    def reference(self) -> Sequence[Passage]:
        """Held-out windows of all labels, drawn by their weights: as a window of the text is."""
        every = [sets for _, sets in self._labels.values()]
        records = [r for sets in every for r in sets.held_out.records]
        if not records:
            return [weighted(r) for sets in every for r in sets.explain.records][:_MOST_REFERENCE]
        drawn = random.Random(derive_seed(self._seed, "windows", "reference"))
        weights = [record.weight for record in records]
        return [weighted(r) for r in drawn.choices(records, weights, k=_MOST_REFERENCE)]

    @override
    def of(
        self, units: UnitSet, kinds: Sequence[TextKind]
    ) -> Mapping[TextKind, Sequence[Passage] | str]:
        found: dict[TextKind, Callable[[UnitSet], Sequence[Passage] | str]] = {
            TextKind.ALL: self._held_out,
            TextKind.EXEMPLARS: self._exemplars,
            TextKind.PREDICTED: self._predicted,
        }
        return {kind: found[kind](units) for kind in kinds}

    @override
    def extremes(self, unit: UnitId) -> Sequence[Passage]:
        _, sets = self._labels[unit]
        return distinct([*sets.explain.records, *sets.shown])

    def _held_out(self, units: UnitSet) -> Sequence[Passage] | str:
        """Of units that are held together those of the first: each set stands for all text."""
        label, sets = self._labels[units[0]]
        if not sets.held_out.records:
            return "no held-out windows were kept with its label"
        seed = derive_seed(self._seed, "windows", "held out", str(units[0]), label.side)
        windows = ScoringSet.of(sets.held_out, seed=seed, n_bootstrap=1, confidence=0.95)
        return [weighted(r) for r in windows.first(self._n_windows).records]

    def _exemplars(self, units: UnitSet) -> Sequence[Passage] | str:
        each = max(1, self._n_texts // len(units))
        found: dict[Passage, None] = {}
        for unit in units:
            _, sets = self._labels[unit]
            found |= dict.fromkeys(spread(distinct(sets.explain.activating), each))
        return list(found) or "on no window that was kept is it active"

    def _predicted(self, units: UnitSet) -> Sequence[Passage] | str:
        found: dict[Passage, None] = {}
        reason = ""
        for unit in units:
            said = self._said_active(*self._labels[unit])
            if isinstance(said, str):
                reason = said
            else:
                found |= dict.fromkeys(said)
        return list(found) or reason

    def _said_active(self, label: Label, sets: UnitSets) -> Sequence[Passage] | str:
        explanation = label.explanation
        if explanation is None:
            return f"it has no explanation: {label.reason or label.status}"
        records = list(sets.held_out.records)
        drawn = random.Random(derive_seed(self._seed, "predicted", str(label.unit), label.side))
        drawn.shuffle(records)
        if label.unit not in self._peaks:
            windows = [record.token_ids for record in records]
            pieces = (record.tokens for record in records)
            self._peaks[label.unit] = predicted_peaks(explanation, windows, pieces)
        peaks = self._peaks[label.unit]
        if peaks is None:
            return judged_active(label, records, self._n_texts, drawn)
        found = where_clear(records, peaks)
        if not found:
            return "its label says of no held-out window that it is active there"
        return spread([weighted(record) for record in found], self._n_texts)
