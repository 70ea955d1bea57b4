"""A store that ends with the process."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence, Set
from functools import partial

from autointerp.core.errors import AutointerpError
from autointerp.core.ids import Side, UnitId
from autointerp.core.labels import Label, LabelHead, LabelStatus
from autointerp.core.records import UnitSets
from autointerp.store.codec import LABELS, SETS
from autointerp.store.heads import label_head
from autointerp.store.layout import SideKey, reading_order
from autointerp.store.protocol import NO_ROWS, RowOf, Sides


class MemoryStore:
    """Keeps values as their stored bytes, so that it gives back what any other store would."""

    sets_are_near = True

    def __init__(self, row_of: RowOf | None = None) -> None:
        self._row_of = row_of
        self._lock = threading.Lock()
        self._change = 0
        self._rows: dict[tuple[UnitId, Side], tuple[int, bytes]] = {}
        self._labels: dict[tuple[UnitId, Side], bytes] = {}
        self._sets: dict[tuple[UnitId, Side], bytes] = {}

    def put_label(self, label: Label) -> None:
        """Keeps a label, unless it failed and there is one that did not."""
        key, data = (label.unit, label.side), LABELS.encode(label)
        row = self._row_of(label).encode() if self._row_of else None
        with self._lock:
            if label.status is LabelStatus.FAILED:
                there = self.get_label(*key)
                if there is not None and there.status is not LabelStatus.FAILED:
                    return
            self._labels[key] = data
            if row is not None:
                self._change += 1
                self._rows.pop(key, None)
                self._rows[key] = (self._change, row)

    def get_label(self, unit: UnitId, side: Side) -> Label | None:
        """The label, or None where there is none."""
        data = self._labels.get((unit, side))
        return None if data is None else LABELS.decode(data, where=f"the label of {unit}")

    def get_sides(self, unit: UnitId) -> tuple[Label, ...]:
        """The labels of a unit's sides, positive first."""
        found = (self.get_label(unit, side) for side in Side)
        return tuple(label for label in found if label is not None)

    def sides_of(self, units: Sequence[UnitId]) -> list[Sides]:
        """What gives each unit's labels."""
        return [partial(self.get_sides, unit) for unit in units]

    def labels(self) -> Iterator[Label]:
        """Every label in reading order."""
        for where, data in self._in_order():
            yield LABELS.decode(data, where=where)

    def heads(self) -> Iterator[LabelHead]:
        """The head of every label in reading order."""
        for where, data in self._in_order():
            yield label_head(data, where=where)

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

    def sides_with_sets(self) -> Set[SideKey]:
        """The sides whose sets are there."""
        return {(unit.hook, unit.index, side) for unit, side in tuple(self._sets)}

    def rows_since(self, change: int, limit: int) -> tuple[list[bytes], int]:
        """Rows of labels that were put after a change, and the last change among them."""
        if self._row_of is None:
            raise AutointerpError(NO_ROWS)
        with self._lock:
            since = change if change <= self._change else 0
            newer = (kept for kept in self._rows.values() if kept[0] > since)
            found = list(itertools.islice(newer, limit))
        return [row for _, row in found], found[-1][0] if found else since

    def _in_order(self) -> Iterator[tuple[str, bytes]]:
        for unit, side in sorted(self._labels, key=lambda key: reading_order(*key)):
            yield f"the label of {unit}", self._labels[unit, side]
