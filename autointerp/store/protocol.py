"""What the pipeline and readers ask of any label store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from typing import Protocol

from autointerp.core.ids import Side, UnitId
from autointerp.core.labels import Label, LabelHead
from autointerp.core.records import UnitSets
from autointerp.store.layout import SideKey

Sides = Callable[[], tuple[Label, ...]]
"""Gives the labels of a unit's sides, positive first; none where there are none.

Raises:
    StorageError: one of them is damaged.
"""
RowOf = Callable[[Label], str]
"""Makes the row by which a label is listed: a JSON object on one line, with the names of the
feature dictionary's columns."""
NO_ROWS = "this store keeps no rows: it was opened without a function that makes them"


class Store(Protocol):
    """Labels and record sets of one subject model's units, by unit and side.

    A put is whole or not there, replaces what was there, and is kept when it returns. Any method
    may raise StorageError, and UpstreamError where the store is not on this machine.
    """

    @property
    def sets_are_near(self) -> bool:
        """Whether reading sets asks nothing but this machine."""
        ...

    def put_label(self, label: Label) -> None:
        """Keeps a label, unless it failed and there is one of that side that did not."""
        ...

    def get_label(self, unit: UnitId, side: Side) -> Label | None:
        """The label, or None where there is none."""
        ...

    def get_sides(self, unit: UnitId) -> tuple[Label, ...]:
        """The labels of a unit's sides, positive first; none where there are none."""
        ...

    def sides_of(self, units: Sequence[UnitId]) -> list[Sides]:
        """What gives each unit's labels: all were read at once, and none was looked at yet."""
        ...

    def labels(self) -> Iterator[Label]:
        """Every label, by layer, hook point, index and side (positive first), one at a time."""
        ...

    def heads(self) -> Iterator[LabelHead]:
        """The head of every label in the same order, some hundreds in memory at a time."""
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

    def sides_with_sets(self) -> Set[SideKey]:
        """The sides whose sets were there when this was called."""
        ...

    def rows_since(self, change: int, limit: int) -> tuple[list[bytes], int]:
        """Rows of labels that were put after a change, oldest first, and the last one's change.

        A row is the label's, as `RowOf` made it; where a label was put again the newest row comes
        last, and older ones may be left out. A change that the store does not know, as one of
        another store, gives the rows from the beginning on.

        Args:
            change: 0, or what an earlier call gave.
            limit: most rows.

        Raises:
            AutointerpError: the store makes no rows.
        """
        ...
