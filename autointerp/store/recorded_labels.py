"""Labels with a way to their records, which are read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from autointerp.core.explanations import Label
from autointerp.core.overriding import override
from autointerp.core.records import ActivationRecord
from autointerp.store.label_records import LabelRecords, ScoredRecord


def _no_records() -> LabelRecords | None:
    return None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RecordedLabel(Label):
    """A label that knows where its records are; it is equal to the same label without them."""

    read_records: Callable[[], LabelRecords | None] = _no_records

    @override
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Label):
            return NotImplemented
        return all(getattr(self, f.name) == getattr(other, f.name) for f in fields(Label))

    __hash__ = Label.__hash__

    @property
    def exemplars(self) -> tuple[ActivationRecord, ...]:
        """What the explainer could read of where the side is active, strongest first."""
        records = self.read_records()
        active = [] if records is None else [r for r in records.explain if r.peak(self.side) > 0]
        return tuple(sorted(active, key=lambda record: -record.peak(self.side)))

    @property
    def held_out(self) -> tuple[ScoredRecord, ...]:
        """What it was scored on, strongest first, with what was predicted."""
        records = self.read_records()
        held_out = () if records is None else records.held_out
        return tuple(sorted(held_out, key=lambda record: -record.peak(self.side)))

    @override
    def _repr_html_(self) -> str:
        from autointerp.core.notebook_html import label_html  # noqa: PLC0415 - few need it

        return label_html(self, self.exemplars, self.held_out)


def with_records(label: Label, read: Callable[[], LabelRecords | None]) -> RecordedLabel:
    """The label with what reads its records."""
    named = {field.name: getattr(label, field.name) for field in fields(Label)}
    return RecordedLabel(**named, read_records=read)
