"""What the pipeline and readers ask of any label store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from autointerp.core.ids import Side, UnitId
from autointerp.core.labels import Label
from autointerp.core.records import UnitSets

__all__ = ["Store"]


class Store(Protocol):
    """Labels and record sets of one subject model's units, by unit and side.

    A put is whole or not there, replaces what was there, and is kept when it returns.
    Any method may raise StorageError.
    """

    def put_label(self, label: Label) -> None:
        """Keeps a label."""
        ...

    def get_label(self, unit: UnitId, side: Side) -> Label | None:
        """The label, or None where there is none."""
        ...

    def labels(self) -> Iterator[Label]:
        """Every label, by layer, hook point, index and side (positive first), one at a time."""
        ...

    def count(self) -> int:
        """How many labels there are, of any status."""
        ...

    def put_sets(self, sets: UnitSets) -> None:
        """Keeps the records of a side's three sets."""
        ...

    def get_sets(self, unit: UnitId, side: Side) -> UnitSets | None:
        """The three sets, or None where there are none."""
        ...
