"""The text on which units are held: drawn from a corpus, and what labels were made from."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property

from autointerp.core.causal_evidence import TextKind
from autointerp.core.errors import InputError
from autointerp.core.explanations import Label
from autointerp.core.ids import UnitId
from autointerp.core.records import UnitSets
from autointerp.core.seeds import derive_seed
from autointerp.core.text import Split
from autointerp.corpora import TokenCorpus
from autointerp.evidence.causal_answers import CausalTexts
from autointerp.evidence.control_units import TextValues, UnitSet
from autointerp.evidence.document_intervals import Passage
from autointerp.jobs.said_active import (
    distinct,
    judged_active,
    predicted_peaks,
    spread,
    where_clear,
)
from autointerp.subjects import SubjectModel, select_units

_MOST_REFERENCE = 64
"""Windows of which means are, and which are resampled."""
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
        return distinct([*sets.explain.records, *sets.shown])

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
            # Of a unit that cannot be read that is told when it is answered; others are read then.
            with suppress(InputError):
                self._values.read(select_units(unlabelled))

    def _exemplars(self, units: UnitSet) -> Sequence[Passage] | str:
        of_units: list[Sequence[Passage]] = []
        for unit in units:
            _, sets = self._labels.get(unit, (None, None))
            if sets is not None:
                of_units.append(spread(distinct(sets.explain.activating), self._n_texts))
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
        windows = [self._corpus[i].token_ids for i in ids]
        peaks = predicted_peaks(explanation, windows, map(self._subject.tokenizer.pieces, windows))
        if peaks is None:
            records = () if sets is None else sets.held_out.records
            return judged_active(label, records, self._n_texts, drawn)
        found = where_clear(ids, peaks)
        if not found:
            return "its label says of no held-out window that it is active there"
        return spread([self._passage(i) for i in found], self._n_texts)

    def _drawn(self, split: Split, n: int, name: str) -> Sequence[Passage]:
        ids = self._corpus.window_ids(split)
        drawn = random.Random(derive_seed(self._seed, "windows", name))
        return [self._passage(i) for i in sorted(drawn.sample(ids, min(n, len(ids))))]

    def _passage(self, window: int) -> Passage:
        found = self._corpus[window]
        return Passage(found.token_ids, found.document)
