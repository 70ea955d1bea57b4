"""Labels with what they predict, from what was kept with them, and their ranks as evidence."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial

from autointerp.core.causal_evidence import CausalEvidence, EvidenceKind
from autointerp.core.errors import AutointerpError, InputError
from autointerp.core.explanations import Label
from autointerp.core.ids import UnitId
from autointerp.core.progress import Progress
from autointerp.core.records import UnitSets
from autointerp.core.unreadable import if_readable
from autointerp.evidence.label_ranking import rank_labels
from autointerp.evidence.predicting_labels import (
    PredictedWindow,
    PredictingLabel,
    WindowText,
    n_tokens_read,
)
from autointerp.store.labels import LabelStore
from autointerp.subjects import SubjectModel

UNITS_AT_ONCE = 512
"""Whose labels are ranked between two times at which answers are stored: text is read for each."""
RankedLabels = Mapping[UnitId, Sequence[PredictingLabel]]
"""The labels of the sides of units."""


def predicting(label: Label, texts: Mapping[int, WindowText]) -> PredictingLabel:
    """The label with what its preferred score's trials predict, per token.

    It predicts nothing where a trial's window is not among the texts or has another length.

    Args:
        label: with its trials.
        texts: by the ids of windows.
    """
    result = None if label.preferred is None else label.result(label.preferred)
    found = []
    for trial in () if result is None else result.trials:
        if trial.predicted is None:
            continue
        text = texts.get(trial.window)
        if text is None or len(text.token_ids) != len(trial.predicted):
            return PredictingLabel(label, ())
        found.append(PredictedWindow(text, trial.weight, trial.predicted))
    return PredictingLabel(label, tuple(found))


def recorded(label: Label, sets: UnitSets | None) -> PredictingLabel:
    """The label with what it predicts on the held-out windows that were kept with it."""
    records = () if sets is None else sets.held_out.records
    texts = {r.window: WindowText(r.document, r.offset, r.token_ids) for r in records}
    return predicting(label, texts)


def labels_to_rank(
    store: LabelStore, served_as: str, units: Sequence[UnitId]
) -> tuple[RankedLabels, dict[UnitId, str]]:
    """The sides of each unit whose labels predict something, and why other units have none."""
    found: dict[UnitId, Sequence[PredictingLabel]] = {}
    without: dict[UnitId, str] = {}
    for unit in units:
        own = UnitId(served_as, unit.hook, unit.index)
        unreadable = list[AutointerpError]()
        labels = store.get_sides(own, unreadable.append)
        every = [
            recorded(
                label,
                if_readable(
                    partial(store.get_sets, own, label.side, label.origin), unreadable.append
                ),
            )
            for label in labels
        ]
        if able := [one for one in every if one.windows]:
            found[unit] = able
        else:
            problem = f"; {unreadable[0]}" if unreadable else ""
            without[unit] = f"{_why(unit, labels)}{problem}"
    return found, without


def _why(unit: UnitId, labels: Sequence[Label]) -> str:
    if not labels:
        return f"there is no label of {unit.short}"
    if all(label.preferred is None for label in labels):
        return f"the label of {unit.short} has no score: {labels[0].reason or labels[0].status}"
    return (
        f"the label of {unit.short} has no prediction of each token of held-out text that was kept "
        "with it, on which units could be compared; label it again"
    )


def by_hook_point(labels: RankedLabels) -> list[list[PredictingLabel]]:
    """The labels of each hook point, in the order in which they were named."""
    found: dict[str, list[PredictingLabel]] = {}
    for unit, own in labels.items():
        found.setdefault(unit.hook, []).extend(own)
    return list(found.values())


def rank_evidence(
    subject: SubjectModel, labels: RankedLabels, *, seed: int, progress: Progress
) -> CausalEvidence:
    """The ranks of all of these labels, by hook points in the order in which they were named.

    Raises:
        InputError: there is no label, or memory has no room for its hook point.
    """
    if not labels:
        raise InputError("there is no label whose unit could be ranked")
    began = time.perf_counter()
    by_hook = by_hook_point(labels)
    ranks = [
        rank
        for of_hook in by_hook
        for rank in rank_labels(subject, of_hook, seed=seed, progress=progress)
    ]
    return CausalEvidence(
        EvidenceKind.RANK,
        subject.name,
        subject.dtype_name,
        ranks=tuple(ranks),
        n_tokens_run=sum(n_tokens_read(subject, of_hook) for of_hook in by_hook),
        seconds=time.perf_counter() - began,
    )
