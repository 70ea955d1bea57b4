"""The exemplars of one label, real beside predicted: what ``records/`` holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated

from autointerp.core import later_fields
from autointerp.core.explanations import Label
from autointerp.core.ids import Side, UnitId
from autointerp.core.one_line import brief_repr
from autointerp.core.records import ActivationRecord, HeldOutSet, Stratum, UnitSets
from autointerp.core.scores import Trial
from autointerp.store.codec import Codec


@dataclass(frozen=True, slots=True)
class ScoredRecord(ActivationRecord):
    """A held-out record with what the preferred scorer predicted for it."""

    predicted: tuple[float, ...] | None = None
    """Per token, in the scorer's units; None where the trial failed or asked for a verdict."""

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class LabelRecords:
    """What the explainer read and what the scorer judged, for one side of one unit."""

    unit: UnitId
    side: Side
    peak: float
    """Largest activation of the side over all explain windows."""
    scorer: str | None
    """Whose predictions these are."""
    explain: tuple[ActivationRecord, ...]
    held_out: tuple[ScoredRecord, ...]
    strata: tuple[Stratum, ...]
    """Of the held-out split."""
    shown: Annotated[tuple[ActivationRecord, ...], later_fields.LATER] = ()
    """As of the sets: what only people see."""

    __repr__ = brief_repr


RECORDS = Codec("records", LabelRecords)


def label_records(label: Label, sets: UnitSets) -> LabelRecords:
    """The label's explain and held-out records; predictions are found by window."""
    result = label.result(label.preferred) if label.preferred else None
    return LabelRecords(
        unit=label.unit,
        side=label.side,
        peak=sets.explain.peak,
        scorer=label.preferred,
        explain=sets.explain.records,
        held_out=scored_records(sets.held_out, result.trials if result else ()),
        strata=sets.held_out.strata,
        shown=sets.shown,
    )


def scored_records(held_out: HeldOutSet, trials: Sequence[Trial]) -> tuple[ScoredRecord, ...]:
    """The records of a held-out set with what was predicted, found by window."""
    predicted = {trial.window: trial.predicted for trial in trials}
    return tuple(
        ScoredRecord(
            **{field.name: getattr(record, field.name) for field in fields(ActivationRecord)},
            predicted=predicted.get(record.window),
        )
        for record in held_out.records
    )
