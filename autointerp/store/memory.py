"""A store that ends with the process."""

from __future__ import annotations

from collections.abc import Iterator

from autointerp.core.ids import Side, UnitId
from autointerp.core.labels import Label
from autointerp.core.records import UnitSets
from autointerp.store.codec import LABELS, SETS
from autointerp.store.layout import reading_order

__all__ = ["MemoryStore"]


class MemoryStore:
    """Keeps values as their stored bytes, so that it gives back what any other store would."""

    def __init__(self) -> None:
        self._labels: dict[tuple[UnitId, Side], bytes] = {}
        self._sets: dict[tuple[UnitId, Side], bytes] = {}

    def put_label(self, label: Label) -> None:
        """Keeps a label."""
        self._labels[label.unit, label.side] = LABELS.encode(label)

    def get_label(self, unit: UnitId, side: Side) -> Label | None:
        """The label, or None where there is none."""
        data = self._labels.get((unit, side))
        return None if data is None else LABELS.decode(data, where=f"the label of {unit}")

    def labels(self) -> Iterator[Label]:
        """Every label in reading order."""
        for unit, side in sorted(self._labels, key=lambda key: reading_order(*key)):
            label = self.get_label(unit, side)
            if label is not None:
                yield label

    def count(self) -> int:
        """How many labels there are."""
        return len(self._labels)

    def put_sets(self, sets: UnitSets) -> None:
        """Keeps the records of a side's three sets."""
        self._sets[sets.explain.unit, sets.explain.side] = SETS.encode(sets)

    def get_sets(self, unit: UnitId, side: Side) -> UnitSets | None:
        """The three sets, or None where there are none."""
        data = self._sets.get((unit, side))
        return None if data is None else SETS.decode(data, where=f"the sets of {unit}")
