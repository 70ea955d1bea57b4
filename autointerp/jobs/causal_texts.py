"""The text on which units are held: drawn from a corpus, and what labels were made from."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np

from autointerp.core.causal_evidence import TextKind
from autointerp.core.explanations import Explanation, Label
from autointerp.core.ids import UnitId
from autointerp.core.records import ActivationRecord, UnitSets
from autointerp.core.seeds import derive_seed
from autointerp.core.text import Split
from autointerp.corpora import TokenCorpus
from autointerp.evidence.causal_answers import CausalTexts
from autointerp.evidence.control_units import TextValues, UnitSet
from autointerp.evidence.document_intervals import Passage
from autointerp.programs.language import n_windows_in_time, parse_program
from autointerp.scorers.rule_scorers import apply_rules
from autointerp.subjects import SubjectModel, select_units

_MOST_REFERENCE = 64
"""Windows of which means are, and which are resampled."""
_CLEAR = 0.5
"""A label says that a unit is active where it predicts this share of the most that it predicts."""
_NO_LABEL = "it has no label here: name the folder of its dictionary with --dir"
LabelWithSets = tuple[Label, UnitSets | None]


class CorpusTexts(CausalTexts):
    """Windows of a corpus: exemplars are of its explain split, losses of the held-out one."""

    def __init__(  # noqa: PLR0913 - what text is drawn by
        self,
        subject: SubjectModel,
        corpus: TokenCorpus,
        labels: Mapping[UnitId, LabelWithSets],
        *,
        n_windows: int,
        n_texts: int,
        seed: int,
    ) -> None:
        """Takes the corpus, and the labels of units that have one."""
        self._subject, self._corpus, self._labels = subject, corpus, labels
        self._n_windows, self._n_texts, self._seed = n_windows, n_texts, seed

    @cached_property
    def reference(self) -> Sequence[Passage]:
        """Windows drawn from the explain split."""
        return self._drawn(Split.EXPLAIN, _MOST_REFERENCE, "reference")

    @cached_property
    def held_out(self) -> Sequence[Passage]:
        """Windows drawn from the held-out split."""
        return self._drawn(Split.HELD_OUT, self._n_windows, "held out")

    def of(
        self, units: UnitSet, kinds: Sequence[TextKind]
    ) -> Mapping[TextKind, Sequence[Passage] | str]:
        """Held-out text, exemplars, and where the label says that the unit is active."""
        found: dict[TextKind, Callable[[UnitSet], Sequence[Passage] | str]] = {
            TextKind.ALL: lambda _: self.held_out,
            TextKind.EXEMPLARS: self._exemplars,
            TextKind.PREDICTED: self._predicted,
        }
        return {kind: found[kind](units) for kind in kinds}

    def extremes(self, unit: UnitId) -> Sequence[Passage]:
        """The records of its label, strongest of the other side included; else explain text."""
        _, sets = self._labels.get(unit, (None, None))
        if sets is None:
            return self._explain
        return _distinct([*sets.explain.records, *sets.shown])

    @cached_property
    def _explain(self) -> Sequence[Passage]:
        return [self._passage(i) for i in self._corpus.window_ids(Split.EXPLAIN)]

    @cached_property
    def _values(self) -> TextValues:
        return TextValues(self._subject, [p.token_ids for p in self._explain])

    def read(self, units: Sequence[UnitId]) -> None:
        """Reads units without labels on the explain split, all in one pass."""
        unlabelled = [unit for unit in units if self._labels.get(unit, (None, None))[1] is None]
        if unlabelled:
            self._values.read(select_units(unlabelled))

    def _exemplars(self, units: UnitSet) -> Sequence[Passage] | str:
        of_units: list[Sequence[Passage]] = []
        for unit in units:
            _, sets = self._labels.get(unit, (None, None))
            if sets is not None:
                of_units.append(_spread(_distinct(sets.explain.activating), self._n_texts))
            else:
                of_units.append(self._strongest(unit))
        each = max(1, self._n_texts // len(units))
        every = dict.fromkeys(passage for found in of_units for passage in found[:each])
        return list(every) or "on no window that was read is it active"

    def _strongest(self, unit: UnitId) -> Sequence[Passage]:
        """Windows on which it is largest in size, one a document."""
        [group] = select_units([unit])
        peaks = [
            float(self._values.of(group, number).abs().max())
            for number in range(len(self._explain))
        ]
        order = sorted(range(len(peaks)), key=lambda number: -peaks[number])
        found: dict[str, Passage] = {}
        for number in order:
            if peaks[number] > 0:
                found.setdefault(self._explain[number].document, self._explain[number])
        return list(found.values())[: self._n_texts]

    def _predicted(self, units: UnitSet) -> Sequence[Passage] | str:
        found: dict[Passage, None] = {}
        reason = _NO_LABEL
        for unit in units:
            label, sets = self._labels.get(unit, (None, None))
            if label is None:
                continue
            said = self._said_active(label, sets)
            if isinstance(said, str):
                reason = said
            else:
                found |= dict.fromkeys(said)
        return list(found) or reason

    def _said_active(self, label: Label, sets: UnitSets | None) -> Sequence[Passage] | str:
        explanation = label.explanation
        if explanation is None:
            return f"it has no explanation: {label.reason or label.status}"
        ids = list(self._corpus.window_ids(Split.HELD_OUT))
        drawn = random.Random(derive_seed(self._seed, "predicted", str(label.unit), label.side))
        drawn.shuffle(ids)
        peaks = _predicted_peaks(explanation, self._corpus, ids, self._subject)
        if peaks is None:
            return self._judged(label, sets, drawn)
        found = _where_clear(ids, peaks)
        if not found:
            return "its label says of no held-out window that it is active there"
        return _spread([self._passage(i) for i in found], self._n_texts)

    def _judged(
        self, label: Label, sets: UnitSets | None, drawn: random.Random
    ) -> Sequence[Passage] | str:
        """Held-out windows on which a scorer predicted it, with their weights."""
        result = label.result(label.preferred or "")
        trials = [] if result is None else [t for t in result.trials if t.predicted]
        if not trials or sets is None:
            return "no scorer predicted activations from its label"
        records = {record.window: record for record in sets.held_out.records}
        known = [t for t in trials if t.window in records]
        drawn.shuffle(known)
        windows = [t.window for t in known]
        found = _where_clear(windows, [max(t.predicted or (0.0,)) for t in known])
        if not found:
            return "its label was read to say of no held-out window that it is active there"
        chosen = [records[window] for window in found]
        said = [Passage(r.token_ids, r.document, r.weight) for r in chosen]
        return _spread(said, self._n_texts)

    def _drawn(self, split: Split, n: int, name: str) -> Sequence[Passage]:
        ids = self._corpus.window_ids(split)
        drawn = random.Random(derive_seed(self._seed, "windows", name))
        return [self._passage(i) for i in sorted(drawn.sample(ids, min(n, len(ids))))]

    def _passage(self, window: int) -> Passage:
        found = self._corpus[window]
        return Passage(found.token_ids, found.document)


def _distinct(records: Sequence[ActivationRecord]) -> list[Passage]:
    return list(dict.fromkeys(Passage(r.token_ids, r.document) for r in records))


def _spread(passages: Sequence[Passage], n: int) -> list[Passage]:
    """The first of each document, then the others, as many as asked for."""
    first: dict[str, Passage] = {}
    for passage in passages:
        first.setdefault(passage.document, passage)
    ordered = dict.fromkeys([*first.values(), *passages])
    return list(ordered)[:n]


def _predicted_peaks(
    explanation: Explanation, corpus: TokenCorpus, ids: Sequence[int], subject: SubjectModel
) -> list[float] | None:
    """The most that it predicts on each window, in the order given.

    None where nobody could read it; of a program that takes long, of the first windows.
    """
    if explanation.program is not None:
        program = parse_program(explanation.program)
        lengths = [len(corpus[i].token_ids) for i in ids]
        some = ids[: max(1, n_windows_in_time(program.n_steps, lengths))]
        pieces = (subject.tokenizer.pieces(corpus[i].token_ids) for i in some)
        return [float(max(program.levels(tokens))) for tokens in pieces]
    if not explanation.rules:
        return None
    windows = [np.array(corpus[i].token_ids) for i in ids]
    lengths_of = np.array([len(window) for window in windows])
    values = apply_rules(explanation.rules, np.concatenate(windows), lengths_of)
    starts = np.concatenate(([0], np.cumsum(lengths_of)[:-1]))
    return [float(peak) for peak in np.maximum.reduceat(values, starts)]


def _where_clear(windows: Sequence[int], peaks: Sequence[float]) -> list[int]:
    """The windows on which as much is predicted as counts, in the order given."""
    most = max(peaks, default=0.0)
    if most <= 0:
        return []
    return [w for w, peak in zip(windows, peaks, strict=False) if peak >= _CLEAR * most]
