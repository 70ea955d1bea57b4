"""The text on which units are held, from what was kept with their labels: no corpus is read."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np
from typing_extensions import override

from autointerp.core.causal_evidence import TextKind
from autointerp.core.explanations import Explanation, Label
from autointerp.core.ids import UnitId
from autointerp.core.records import ActivationRecord, UnitSets
from autointerp.core.seeds import derive_seed
from autointerp.evidence.causal_answers import CausalTexts
from autointerp.evidence.control_units import UnitSet
from autointerp.evidence.document_intervals import Passage
from autointerp.programs.language import n_windows_in_time, parse_program
from autointerp.scorers.rule_scorers import apply_rules
from autointerp.scorers.scorer_inputs import ScoringSet

_MOST_REFERENCE = 32
"""Windows of which means are, and which are resampled."""
_CLEAR = 0.5
"""A label says that a unit is active where it predicts this share of the most that it predicts."""
LabelledSets = tuple[Label, UnitSets]


class RecordedTexts(CausalTexts):
    """Windows of labels' records: held-out ones carry their weights, so that they stand for all."""

    def __init__(
        self, labels: Mapping[UnitId, LabelledSets], *, n_windows: int, n_texts: int, seed: int
    ) -> None:
        """Takes the label of each unit, with its records."""
        self._labels, self._seed = labels, seed
        self._n_windows, self._n_texts = n_windows, n_texts

    @cached_property
    def reference(self) -> Sequence[Passage]:
        """Held-out windows of all labels, drawn by their weights: as a window of the text is."""
        every = [sets for _, sets in self._labels.values()]
        records = [r for sets in every for r in sets.held_out.records]
        if not records:
            return [_passage(r) for sets in every for r in sets.explain.records][:_MOST_REFERENCE]
        drawn = random.Random(derive_seed(self._seed, "windows", "reference"))
        weights = [record.weight for record in records]
        return [_passage(r) for r in drawn.choices(records, weights, k=_MOST_REFERENCE)]

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
        return _distinct([*sets.explain.records, *sets.shown])

    def _held_out(self, units: UnitSet) -> Sequence[Passage] | str:
        """Of units that are held together those of the first: each set stands for all text."""
        label, sets = self._labels[units[0]]
        if not sets.held_out.records:
            return "no held-out windows were kept with its label"
        seed = derive_seed(self._seed, "windows", "held out", str(units[0]), label.side)
        windows = ScoringSet.of(sets.held_out, seed=seed, n_bootstrap=1, confidence=0.95)
        return [_passage(r) for r in windows.first(self._n_windows).records]

    def _exemplars(self, units: UnitSet) -> Sequence[Passage] | str:
        each = max(1, self._n_texts // len(units))
        found: dict[Passage, None] = {}
        for unit in units:
            _, sets = self._labels[unit]
            found |= dict.fromkeys(_distinct(sets.explain.activating)[:each])
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
        peaks = _computed(explanation, records) or _judged(label, records)
        if not peaks:
            return "no scorer predicted activations from its label"
        most = max(peaks.values())
        clear = [r for r in records if peaks.get(r.window, 0.0) >= _CLEAR * most > 0]
        if not clear:
            return "its label says of no held-out window that it is active there"
        return [_passage(r) for r in clear[: self._n_texts]]


def _computed(explanation: Explanation, records: Sequence[ActivationRecord]) -> dict[int, float]:
    """The most that it predicts on each window, by what a program or a table says of it.

    Of a program that takes long, on the first windows; none of words.
    """
    if not records:
        return {}
    if explanation.program is not None:
        program = parse_program(explanation.program)
        some = n_windows_in_time(program.n_steps, [len(r.tokens) for r in records])
        return {r.window: float(max(program.levels(r.tokens))) for r in records[: max(1, some)]}
    if not explanation.rules:
        return {}
    lengths = np.array([len(r.token_ids) for r in records])
    values = apply_rules(
        explanation.rules, np.concatenate([np.array(r.token_ids) for r in records]), lengths
    )
    peaks = np.maximum.reduceat(values, np.cumsum(lengths) - lengths)
    return dict(zip((r.window for r in records), peaks.tolist(), strict=True))


def _judged(label: Label, records: Sequence[ActivationRecord]) -> dict[int, float]:
    """The same by what its preferred scorer predicted."""
    result = label.result(label.preferred or "")
    windows = {record.window for record in records}
    trials = () if result is None else result.trials
    return {t.window: max(t.predicted) for t in trials if t.predicted and t.window in windows}


def _passage(record: ActivationRecord) -> Passage:
    return Passage(record.token_ids, record.document, record.weight)


def _distinct(records: Sequence[ActivationRecord]) -> list[Passage]:
    return list(dict.fromkeys(Passage(r.token_ids, r.document) for r in records))
