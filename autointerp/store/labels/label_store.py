"""What the pipeline and readers need of any label store."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from autointerp.core.explanations import Label, LabelOrigin, LabelSummary
from autointerp.core.ids import Side, UnitId
from autointerp.core.kept_evidence import KeptEvidence
from autointerp.core.overriding import override
from autointerp.core.records import UnitSets
from autointerp.core.unreadable import OnUnreadable, if_readable, refuse_unreadable
from autointerp.store.label_outlines import LabelOutline
from autointerp.store.labels.layout import SideKey
from autointerp.store.packed_labels import as_stored

if TYPE_CHECKING:
    from autointerp.store.labels.label_rows import ListedRow

RowOf = Callable[[Label], str]
"""Makes the row by which a label is listed: a JSON object on one line, with the names of the
feature dictionary's columns."""
RowsOf = Callable[[Path], Iterator[bytes] | None]
"""The rows that a folder's own table has, as a `RowOf` would make them, in reading order."""
NO_ROWS = "this store has no rows: it was opened without a function that makes them"


class LoadSides(Protocol):
    """Decodes the labels of a unit's sides, positive first; empty where there are none."""

    def __call__(
        self, on_unreadable: OnUnreadable = refuse_unreadable, *, with_trials: bool = True
    ) -> tuple[Label, ...]:
        """Those that can be read; without trials as of `get_without_trials`."""


class UnitStore(Protocol):
    """Labels and record sets by unit and side: what a run reads and writes.

    A put is whole or not there, replaces what was there, and is durable when it returns. Any
    method may raise StorageError, and UpstreamError where the store is not on this machine.
    """

    def put_label(self, label: Label) -> None:
        """Stores a label, unless it failed and the label of that side in the store did not."""

    def get_label(self, unit: UnitId, side: Side) -> Label | None:
        """The label, or None where there is none."""

    def get_without_trials(self, unit: UnitId, side: Side) -> Label | None:
        """The label, which may lack its trials where none failed; that takes less time."""
        return self.get_label(unit, side)

    def outlines(self) -> Mapping[SideKey, LabelOutline | None] | None:
        """What every label that is there came to; None of one that has to be decoded for that.

        None in place of all where that would take as long as decoding them.
        """
        return None

    def put_sets(self, sets: UnitSets, origin: LabelOrigin | None = None) -> None:
        """Stores the records of a side's three sets.

        Where the origin of their label is given those of labels of another origin stay.
        """

    def get_sets(
        self, unit: UnitId, side: Side, origin: LabelOrigin | None = None
    ) -> UnitSets | None:
        """The three sets, or None where there are none.

        Those behind the label of one origin, or without it behind the one that `get_label` gives.
        """

    @contextmanager
    def batch(self) -> Iterator[None]:
        """For many puts in a row: a store may make them durable only when the block ends."""
        yield


class LabelStore(UnitStore, Protocol):
    """All labels and record sets of one subject model.

    Of a side there is one label, the newest. One of another origin whose place it took is kept
    beside it, with its records, until a label of that origin is put again (`Label.keeps`).
    """

    @property
    def labels_are_local(self) -> bool:
        """Whether reading labels needs nothing but this machine."""

    @property
    def sets_are_local(self) -> bool:
        """Whether reading sets needs nothing but this machine."""

    def reading(self) -> AbstractContextManager[None]:
        """For some reads of this thread in a row, for which a store may open a file once."""
        return nullcontext()

    def get_sides(
        self,
        unit: UnitId,
        on_unreadable: OnUnreadable = refuse_unreadable,
        *,
        with_trials: bool = True,
    ) -> tuple[Label, ...]:
        """The labels of a unit's sides, positive first; empty where there are none."""
        get = self.get_label if with_trials else self.get_without_trials
        reads = (partial(get, unit, side) for side in Side)
        result = (if_readable(read, on_unreadable) for read in reads)
        return tuple(label for label in result if label is not None)

    def sides_of(self, units: Sequence[UnitId]) -> list[LoadSides]:
        """A function for each unit that gives its labels; a remote store reads all at once."""
        return [partial(self.get_sides, unit) for unit in units]

    def stamp(self, unit: UnitId) -> Hashable | None:  # noqa: ARG002 - it tells of no unit
        """Changes whenever a label or records of the unit do; None where that cannot be told."""
        return None

    def labels(self, on_unreadable: OnUnreadable = refuse_unreadable) -> Iterator[Label]:
        """Every label, by layer, hook point, index and side (positive first), one at a time."""

    def labels_without_trials(
        self, on_unreadable: OnUnreadable = refuse_unreadable
    ) -> Iterator[Label]:
        """Every label in the same order; as of `get_without_trials`."""
        return self.labels(on_unreadable)

    def summaries(self, on_unreadable: OnUnreadable = refuse_unreadable) -> Iterator[LabelSummary]:
        """The summary of every label in the same order, some hundreds in memory at a time."""

    def kept_of(
        self,
        unit: UnitId,  # noqa: ARG002 - this one keeps none
        on_unreadable: OnUnreadable = refuse_unreadable,  # noqa: ARG002
    ) -> tuple[Label, ...]:
        """The labels of a unit's sides that newer ones of another origin took the place of."""
        return ()

    def put_kept(self, label: Label, sets: UnitSets | None) -> None:
        """Stores a label beside the newest of its side, which stays that, after its records.

        Where the newest is of the same origin it is replaced.
        """

    def kept(self, on_unreadable: OnUnreadable = refuse_unreadable) -> Iterator[Label]:  # noqa: ARG002
        """Every such label, in reading order."""
        return iter(())

    def put_evidence(self, kept: KeptEvidence) -> None:
        """Stores causal evidence of a unit.

        It takes the place of the answer to the same request on the same text and in the same dtype.
        """

    def evidence_of(
        self, unit: UnitId, on_unreadable: OnUnreadable = refuse_unreadable
    ) -> tuple[KeptEvidence, ...]:
        """Causal evidence of a unit by kind, the oldest first; it needs no label."""

    def all_evidence(
        self, on_unreadable: OnUnreadable = refuse_unreadable
    ) -> Iterator[KeptEvidence]:
        """Causal evidence of every unit, by layer, hook point and index."""

    def count(self) -> int:
        """How many labels there are, of any status, without those that are kept beside them."""

    def sides_with_sets(self) -> Set[SideKey]:
        """The sides whose sets were there when this was called."""

    def rows_since(self, change: int, limit: int) -> tuple[list[ListedRow | None], int]:
        """Rows of labels that were put after a change, oldest first, and the last one's change.

        A row is the label's, as `RowOf` made it, and says of one that is kept that it is. Where a
        label was put again the newest row comes last, and older ones may be left out. A damaged row
        is None; it comes again, beyond the limit, once it was mended. A change that the store does
        not know, as one of another store, gives the rows from the beginning on.

        The first change is 0.

        Raises:
            AutointerpError: the store makes no rows.
        """

    def mark(self, change: int) -> str | None:  # noqa: ARG002 - this one has none
        """The same for the same changes up to one, for ever; None where that cannot be told.

        Another store, or one that was made anew or brought back from a copy and written on, has
        another mark at that change.
        """
        return None

    def left_out(self) -> tuple[str, ...]:
        """Why labels have no row now, a sentence each: it or they cannot be read."""
        return ()


class LabelStores(Protocol):
    """The label stores of every subject model."""

    def of(self, model: str) -> LabelStore:
        """The store of a model's labels; empty where none were made.

        Raises:
            InputError: the name is empty.
        """

    def models(self) -> list[str]:
        """Names of the models that have a label, sorted."""

    def ping(self) -> None:
        """Returns if labels can be read and written, and are kept."""
        self.models()


def copy_all(
    source: LabelStore,
    target: LabelStore,
    on_unreadable: OnUnreadable,
    sides: Set[SideKey] | None = None,
) -> None:
    """Puts labels with their records into another store: all, or those of some sides."""
    with target.batch():
        for label in source.labels(on_unreadable):
            unit, side = label.unit, label.side
            if sides is None or (unit.hook, unit.index, side) in sides:
                read = partial(source.get_sets, unit, side, label.origin)
                sets = if_readable(read, on_unreadable)
                if sets is not None:
                    target.put_sets(sets)
                target.put_label(label)


class MemoryUnitStore(UnitStore):
    """Labels and sets for as long as the process lives."""

    def __init__(self) -> None:
        self._labels: dict[tuple[UnitId, Side], Label] = {}
        self._sets: dict[tuple[UnitId, Side], UnitSets] = {}

    @override
    def put_label(self, label: Label) -> None:
        key = (label.unit, label.side)
        if label.replaces(self._labels.get(key)):
            self._labels[key] = as_stored(label)

    @override
    def get_label(self, unit: UnitId, side: Side) -> Label | None:
        return self._labels.get((unit, side))

    @override
    def put_sets(self, sets: UnitSets, origin: LabelOrigin | None = None) -> None:
        self._sets[sets.explain.unit, sets.explain.side] = sets

    @override
    def get_sets(
        self, unit: UnitId, side: Side, origin: LabelOrigin | None = None
    ) -> UnitSets | None:
        return self._sets.get((unit, side))
