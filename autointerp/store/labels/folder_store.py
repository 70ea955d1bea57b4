"""A store of labels in a folder: a run's, a feature dictionary, or one model's of a service."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Set
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from autointerp.core.explanations import Label, LabelOrigin, LabelSummary
from autointerp.core.files import AGAIN, TEMP_SUFFIX
from autointerp.core.ids import Side, UnitId
from autointerp.core.kept_evidence import KeptEvidence
from autointerp.core.overriding import override
from autointerp.core.records import UnitSets
from autointerp.core.unreadable import OnUnreadable, if_readable, pass_over, refuse_unreadable
from autointerp.store.label_outlines import LabelOutline
from autointerp.store.labels import kept_tables, label_database, label_puts
from autointerp.store.labels.database import Database, is_settled
from autointerp.store.labels.folder_evidence import FolderEvidence
from autointerp.store.labels.folder_files import FolderFiles
from autointerp.store.labels.folder_listing import FinishedRows, FolderListing, loaded
from autointerp.store.labels.folder_records import SUFFIX, FolderRecords
from autointerp.store.labels.label_database import Key, LabelDatabase, key_of
from autointerp.store.labels.label_store import LabelStore, RowOf, RowsOf
from autointerp.store.labels.layout import SideKey
from autointerp.store.labels.waiting_puts import Put, WaitingPuts
from autointerp.store.packed_labels import (
    pack_label,
    unpack_label,
    unpack_summary,
    unpack_without_trials,
)

if TYPE_CHECKING:
    from autointerp.store.labels.label_rows import ListedRow
    from autointerp.store.labels.old_layout import OldFolder

_MEND = f"{AGAIN}, to make it anew"
T = TypeVar("T")


class FolderLabelStore(LabelStore):
    """``scores/labels.sqlite`` and ``records/HOOK.sqlite`` in a folder.

    The folder is made by the first put. Several processes may write while others read. What an
    earlier version wrote as JSON files is read from them until the first put, which copies it.
    """

    labels_are_local = True
    sets_are_local = True

    def __init__(
        self,
        folder: Path | str,
        row_of: RowOf | None = None,
        *,
        rows_of: RowsOf | None = None,
        advice: str = _MEND,
    ) -> None:
        """A store with `row_of` keeps rows; `advice` is what to do about damage."""
        self.folder = Path(folder)
        self._row_of, self._advice = row_of, advice
        self._table = LabelDatabase(self.folder / "scores" / f"labels{SUFFIX}")
        self._listing = FolderListing(
            self._table, row_of, FinishedRows(self.folder, rows_of), advice
        )
        self._puts = WaitingPuts(self._listing.wrote)
        self._records = FolderRecords(self.folder, self._put, self._origin_of)
        self._evidence = FolderEvidence(self.folder)
        self._files = FolderFiles(self.folder, self._table, self._records, self._evidence.database)

    @override
    def put_label(self, label: Label) -> None:
        self._put(self._table.database, *label_puts.newest(label, self._listing.packed_row))

    @override
    def put_kept(self, label: Label, sets: UnitSets | None) -> None:
        key, put = label_puts.kept(label, self._listing.packed_row)
        if sets is not None:
            self._records.put_kept(sets, label.origin)
        self._put(self._table.database, key, put)

    @override
    def get_label(self, unit: UnitId, side: Side) -> Label | None:
        return self._of(unit, side, unpack_label)

    @override
    def reading(self) -> AbstractContextManager[None]:
        return self._table.database.held()

    @override
    def get_sides(
        self,
        unit: UnitId,
        on_unreadable: OnUnreadable = refuse_unreadable,
        *,
        with_trials: bool = True,
    ) -> tuple[Label, ...]:
        labels = self._labels()
        if not isinstance(labels, LabelDatabase):
            return super().get_sides(unit, on_unreadable, with_trials=with_trials)
        found = if_readable(partial(labels.sides, key_of(unit, Side.POSITIVE)), on_unreadable)
        unpack = partial(unpack_label, advice=self._advice, with_trials=with_trials)
        reads = (partial(unpack, data, where=labels.where(key)) for key, data in found or ())
        read = (if_readable(read, on_unreadable) for read in reads)
        return tuple(label for label in read if label is not None and label.unit == unit)

    @override
    def get_without_trials(self, unit: UnitId, side: Side) -> Label | None:
        return self._of(unit, side, unpack_without_trials)

    @override
    def outlines(self) -> Mapping[SideKey, LabelOutline | None] | None:
        labels = self._labels()
        return labels.outlines() if isinstance(labels, LabelDatabase) else None

    @override
    def labels(self, on_unreadable: OnUnreadable = refuse_unreadable) -> Iterator[Label]:
        return self._each(unpack_label, on_unreadable)

    @override
    def labels_without_trials(
        self, on_unreadable: OnUnreadable = refuse_unreadable
    ) -> Iterator[Label]:
        return self._each(unpack_without_trials, on_unreadable)

    @override
    def summaries(self, on_unreadable: OnUnreadable = refuse_unreadable) -> Iterator[LabelSummary]:
        return self._each(unpack_summary, on_unreadable)

    @override
    def kept_of(
        self, unit: UnitId, on_unreadable: OnUnreadable = refuse_unreadable
    ) -> tuple[Label, ...]:
        found = self._kept(key_of(unit, Side.POSITIVE), on_unreadable)
        return tuple(label for label in found if label.unit == unit)

    @override
    def kept(self, on_unreadable: OnUnreadable = refuse_unreadable) -> Iterator[Label]:
        return self._kept(None, on_unreadable)

    def _kept(self, key: Key | None, on_unreadable: OnUnreadable) -> Iterator[Label]:
        self._puts.flush()
        for of, data in kept_tables.kept_labels(self._table.database, key):
            where = f"what is kept beside {self._table.where(of)}"
            read = partial(unpack_label, data, where=where, advice=self._advice)
            label = if_readable(read, on_unreadable)
            if label is not None:
                yield label

    @override
    def put_evidence(self, kept: KeptEvidence) -> None:
        self._bring_old()
        self._evidence.put([kept])

    def put_all_evidence(self, answers: Iterable[KeptEvidence]) -> None:
        """Stores many answers in one transaction, as `put_evidence` stores one."""
        self._bring_old()
        self._evidence.put(answers)

    @override
    def evidence_of(
        self, unit: UnitId, on_unreadable: OnUnreadable = refuse_unreadable
    ) -> tuple[KeptEvidence, ...]:
        return self._evidence.of(unit, on_unreadable)

    @override
    def all_evidence(
        self, on_unreadable: OnUnreadable = refuse_unreadable
    ) -> Iterator[KeptEvidence]:
        return self._evidence.all(on_unreadable)

    @override
    def count(self) -> int:
        return self._labels().count()

    def is_empty(self) -> bool:
        """Whether there is no label."""
        return self._labels().is_empty()

    @override
    def stamp(self, unit: UnitId) -> Hashable | None:
        """Changes with any label or evidence of the model, or records of the hook point."""
        if self._old() is not None:
            return None
        records = self._records.tables(unit.hook).database
        databases = (self._table.database, records, self._evidence.database)
        stamps = [database.stamp() for database in databases]
        return tuple(stamps) if all(map(is_settled, filter(None, stamps))) else None

    def subject(self) -> str | None:
        """The subject model, by the first label that can be read; None where there is none."""
        first = next(self.labels(pass_over), None)
        return None if first is None else first.unit.subject

    def hooks(self, layer: int | None) -> list[str]:
        """The hook points of a layer, or of all, that have a label, sorted."""
        return self._labels().hooks(layer)

    @override
    def put_sets(self, sets: UnitSets, origin: LabelOrigin | None = None) -> None:
        self._records.put(sets, origin)

    @override
    def get_sets(
        self, unit: UnitId, side: Side, origin: LabelOrigin | None = None
    ) -> UnitSets | None:
        self._puts.flush(key_of(unit, side))
        old = self._old()
        if old is not None:
            return old.sets(unit, side)
        return self._records.get(unit, side, origin=origin, advice=self._advice)

    @override
    def sides_with_sets(self) -> Set[SideKey]:
        self._puts.flush()
        old = self._old()
        if old is not None:
            return old.sides_with_sets()
        return self._records.sides(self._table.all_keys)

    @override
    @contextmanager
    def batch(self) -> Iterator[None]:
        """What this thread puts is written some hundreds at a time, and when the block ends."""
        with self._puts.batch():
            yield

    @override
    def rows_since(self, change: int, limit: int) -> tuple[list[ListedRow | None], int]:
        return self._listing.rows_since(self._labels(), change, limit)

    @override
    def mark(self, change: int) -> str | None:
        self._puts.flush()
        return None if self._old() is not None else self._table.mark(change)

    @override
    def left_out(self) -> tuple[str, ...]:
        return self._listing.left_out(self._labels())

    def compact(self, on_unreadable: OnUnreadable = refuse_unreadable) -> list[str]:
        """Makes the bytes of the files follow from the labels alone; their paths in the folder.

        Only for the one process that writes there. Damaged records are told and dropped; labels
        that are kept beside newer ones are dropped.
        """
        self._puts.flush()
        self._bring_old()
        return self._files.compact(on_unreadable)

    def clear(self) -> None:
        """Deletes the files of labels and records.

        Raises:
            InputError: a newer autointerp wrote one; then none is deleted.
        """
        self._files.clear()

    def move_into(self, folder: Path) -> None:
        """Moves the files to another folder; the labels come last, so that all is there."""
        self._files.move_into(folder)

    def _labels(self, key: Key | None = None) -> LabelDatabase | OldFolder:
        self._puts.flush(key)
        return self._old() or self._table

    def _old(self) -> OldFolder | None:
        """What an earlier version wrote, as long as there is nothing else."""
        if self._table.database.is_taken():
            return None
        from autointerp.store.labels.old_layout import OldFolder  # noqa: PLC0415 - few have one

        return OldFolder.of(self.folder, advice=self._advice)

    def _bring_old(self) -> None:
        """Copies what an earlier version wrote."""
        if self._old() is None:
            return
        from autointerp.store.labels.old_layout import bring_old  # noqa: PLC0415 - few have one

        bring_old(
            self.folder,
            self._old,
            FolderLabelStore(self.folder / f".copying{TEMP_SUFFIX}", self._row_of),
        )

    def take_old(self, old: OldFolder) -> None:
        """Puts everything that an earlier version wrote, as it was."""
        with self.batch():
            old.copy(self.put_sets, self._put_old)
        self._table.database.make()

    def _each(self, unpack: Callable[..., T], on_unreadable: OnUnreadable) -> Iterator[T]:
        labels = self._labels()
        for key in labels.all_keys():
            read = partial(loaded, labels, key, unpack, self._advice)
            found = if_readable(read, on_unreadable)
            if found is not None:
                yield found

    def _of(self, unit: UnitId, side: Side, unpack: Callable[..., Label]) -> Label | None:
        key = key_of(unit, side)
        label = loaded(self._labels(key), key, unpack, self._advice)
        return label if label is not None and label.unit == unit else None

    def _put_old(self, key: Key, data: bytes, label: Label | None) -> None:
        packed = zlib.compress(zlib.decompress(data)) if label is None else pack_label(label)
        row = self._listing.packed_row(label)
        put = partial(label_database.put, key=key, row=row, packed=packed)
        self._put(self._table.database, key, put)

    def _origin_of(self, unit: UnitId, side: Side) -> LabelOrigin | None:
        there = if_readable(partial(self.get_without_trials, unit, side), lambda _: None)
        return None if there is None else there.origin

    def _put(self, database: Database, key: Key, put: Put) -> None:
        self._bring_old()
        self._puts.put(database, key, put)
