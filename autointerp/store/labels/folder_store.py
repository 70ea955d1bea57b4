"""A store of labels in a folder: a run's, a feature dictionary, or one model's of a service."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Hashable, Iterator, Mapping, Set
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from autointerp.core.errors import AutointerpError, InputError, StorageError
from autointerp.core.explanations import Label, LabelOrigin, LabelStatus, LabelSummary
from autointerp.core.files import TEMP_SUFFIX, replacing, storage_errors, sync_folder
from autointerp.core.ids import HookPoint, Side, UnitId
from autointerp.core.overriding import override
from autointerp.core.records import UnitSets
from autointerp.core.unreadable import OnUnreadable, if_readable, pass_over, refuse_unreadable
from autointerp.store.label_outlines import LabelOutline
from autointerp.store.labels import kept_tables, label_database, record_tables
from autointerp.store.labels.database import Connection, Database, is_settled
from autointerp.store.labels.label_database import Change, Key, LabelDatabase, key_of
from autointerp.store.labels.label_store import NO_ROWS, LabelStore, RowOf
from autointerp.store.labels.layout import SideKey, is_hook, names_in
from autointerp.store.labels.record_tables import RecordTables
from autointerp.store.lock import wait_for_lock
from autointerp.store.packed_labels import (
    pack_label,
    unpack_label,
    unpack_summary,
    unpack_without_trials,
)
from autointerp.store.packed_sets import pack_sets

if TYPE_CHECKING:
    from autointerp.store.labels.label_rows import ListedRow
    from autointerp.store.labels.old_layout import OldFolder

_MEND = "run again with --resume to make it anew"
_PUT_AT_ONCE = 256
_MOST_AGAIN = 100
"""Labels that could not be read, and are looked at again at a time."""
_SUFFIX = ".sqlite"
_NOW_IN = "scores/labels.sqlite and records/; the JSON files are not used any more"

T = TypeVar("T")
_Put = Callable[[Connection], None]
_Waiting = list[tuple[Database, Key, _Put]]


class FolderLabelStore(LabelStore):
    """``scores/labels.sqlite`` and ``records/HOOK.sqlite`` in a folder.

    The folder is made by the first put. Several processes may write while others read. What an
    earlier version wrote as JSON files is read from them until the first put, which copies it.
    """

    labels_are_local = True
    sets_are_local = True

    def __init__(
        self, folder: Path | str, row_of: RowOf | None = None, *, advice: str = _MEND
    ) -> None:
        """A store with `row_of` keeps rows; `advice` is what to do about damage."""
        self.folder = Path(folder)
        self._row_of, self._advice = row_of, advice
        self._table = LabelDatabase(self.folder / "scores" / f"labels{_SUFFIX}")
        self._records = self.folder / "records"
        self._thread = threading.local()
        self._unlisted: dict[Key, None] = {}
        self._file: int | None = None

    @override
    def put_label(self, label: Label) -> None:
        key, packed, row = (
            key_of(label.unit, label.side),
            pack_label(label),
            self._packed_row(label),
        )

        def put(connection: Connection) -> None:
            failed = label.status is LabelStatus.FAILED
            if failed and not label_database.is_replaced(connection, key, label):
                return
            there = kept_tables.replaced_label(connection, key, label)
            if there is not None:
                kept_row = self._packed_row(there)
                kept_tables.keep_label(connection, key, there.origin.digest, kept_row)
            label_database.put(connection, key, row, packed)
            # Last: it may be the newest change, whose number must not be given again.
            kept_tables.drop_kept(connection, key, label.origin.digest)

        self._put(self._table.database, key, put)

    @override
    def put_kept(self, label: Label, sets: UnitSets | None) -> None:
        key, packed, row = (
            key_of(label.unit, label.side),
            pack_label(label),
            self._packed_row(label),
        )
        if sets is not None:
            self._put_kept_sets(sets, label.origin)

        def put(connection: Connection) -> None:
            if kept_tables.is_newest(connection, key, label):
                label_database.put(connection, key, row, packed)
            else:
                kept_tables.put_kept(connection, key, label.origin.digest, row, packed)

        self._put(self._table.database, key, put)

    def _put_kept_sets(self, sets: UnitSets, origin: LabelOrigin) -> None:
        unit, side = sets.explain.unit, sets.explain.side
        windows, packed = pack_sets(sets)
        there = if_readable(partial(self.get_without_trials, unit, side), lambda _: None)
        was = None if there is None else there.origin.digest

        def put(connection: Connection) -> None:
            noted = kept_tables.origin_of_sets(connection, unit.index, side) or was
            if noted == origin.digest:
                record_tables.put(connection, unit.index, side, windows, packed)
                return
            refs = record_tables.put_windows(connection, windows)
            place = unit.index, side
            kept_tables.put_kept_sets(connection, place, origin.digest, refs, packed)

        self._put(self._tables(unit.hook).database, key_of(unit, side), put)

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
        self._flush()
        for of, data in kept_tables.kept_labels(self._table.database, key):
            where = f"what is kept beside {self._table.where(of)}"
            read = partial(unpack_label, data, where=where, advice=self._advice)
            label = if_readable(read, on_unreadable)
            if label is not None:
                yield label

    @override
    def count(self) -> int:
        return self._labels().count()

    def is_empty(self) -> bool:
        """Whether there is no label."""
        return self._labels().is_empty()

    @override
    def stamp(self, unit: UnitId) -> Hashable | None:
        """Changes with any label of the model or records of the hook point."""
        if self._old() is not None:
            return None
        databases = (self._table.database, self._tables(unit.hook).database)
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
        unit, side = sets.explain.unit, sets.explain.side
        windows, packed = pack_sets(sets)
        there = None
        if origin is not None:
            there = if_readable(partial(self.get_without_trials, unit, side), lambda _: None)

        def put(connection: Connection) -> None:
            if origin is not None:
                was = there.origin.digest if there is not None else None
                kept_tables.keep_sets(connection, unit.index, side, origin.digest, was)
            record_tables.put(connection, unit.index, side, windows, packed)

        self._put(self._tables(unit.hook).database, key_of(unit, side), put)

    @override
    def get_sets(
        self, unit: UnitId, side: Side, origin: LabelOrigin | None = None
    ) -> UnitSets | None:
        self._flush(key_of(unit, side))
        old = self._old()
        if old is not None:
            return old.sets(unit, side)
        tables = self._tables(unit.hook)
        where = f"the records of {unit.index} ({side}) in {tables.database.path}"
        if origin is None:
            label = if_readable(partial(self.get_without_trials, unit, side), lambda _: None)
            origin = None if label is None else label.origin
        sets = tables.get(unit.index, side, where=where, advice=self._advice, origin=origin)
        return sets if sets is not None and sets.explain.unit == unit else None

    @override
    def sides_with_sets(self) -> Set[SideKey]:
        self._flush()
        old = self._old()
        if old is not None:
            return old.sides_with_sets()
        known: set[SideKey] = set()
        for hook, tables in self._all_tables():
            try:
                sides = tables.sides()
            except (InputError, StorageError):
                # Whoever asks for the records of its labels is told why they cannot be read.
                keys = (key for key in self._table.all_keys() if key[1] == hook)
                sides = [(index, tuple(Side)[side]) for _, _, index, side in keys]
            known |= {(hook, index, side) for index, side in sides}
        return known

    @override
    @contextmanager
    def batch(self) -> Iterator[None]:
        """What this thread puts is written some hundreds at a time, and when the block ends."""
        if self._waiting is not None:
            yield
            return
        self._thread.waiting = []
        try:
            yield
        finally:
            try:
                self._flush()
            finally:
                self._thread.waiting = None

    @override
    def rows_since(self, change: int, limit: int) -> tuple[list[ListedRow | None], int]:
        row_of = self._row_of
        if row_of is None:
            raise AutointerpError(NO_ROWS)
        # Brings pydantic_core, without which labels are read.
        from autointerp.store.labels.label_rows import listed_row  # noqa: PLC0415

        def made(label: Label | None) -> ListedRow | None:
            return None if label is None else listed_row(row_of(label).encode())

        labels = self._labels()
        mended = [self._readable(labels, key) for key in tuple(self._unlisted)[:_MOST_AGAIN]]
        again = [made(label) for label in mended if label is not None]
        # Another file numbers changes in another order.
        file = labels.numbering()
        newest = labels.newest()
        is_known = change <= newest and self._file in {None, file}
        self._file, last = file, change if is_known else 0
        found = labels.changes(last, limit)
        found += kept_tables.kept_changes(self._table.database, last, limit)
        # What is put between these reads is left to the next call, or one of them would miss it.
        changes = sorted(one for one in found if one.number <= newest)[:limit]
        rows = [
            _kept_row(listed_row(_unpacked_row(one)))
            if one.is_kept
            else listed_row(_unpacked_row(one)) or made(self._readable(labels, one.key))
            for one in changes
        ]
        return [*again, *rows], changes[-1].number if changes else last

    @override
    def mark(self, change: int) -> str | None:
        self._flush()
        return None if self._old() is not None else self._table.mark(change)

    @override
    def left_out(self) -> tuple[str, ...]:
        labels, sentences = self._labels(), list[AutointerpError]()
        for key in tuple(self._unlisted)[:_MOST_AGAIN]:
            if_readable(partial(self._load, unpack_label, labels, key), sentences.append)
        return tuple(map(str, sentences))

    def compact(self, on_unreadable: OnUnreadable = refuse_unreadable) -> list[str]:
        """Makes the bytes of the files follow from the labels alone; their paths in the folder.

        Only for the one process that writes there. Damaged records are told and dropped; labels
        that are kept beside newer ones are dropped.
        """
        self._flush()
        self._bring_old()
        for _, tables in self._all_tables():
            tables.compact(on_unreadable)
        self._table.compact()
        return [path.relative_to(self.folder).as_posix() for path in self._paths()]

    def clear(self) -> None:
        """Deletes the files of labels and records.

        Raises:
            InputError: a newer autointerp wrote one; then none is deleted.
        """
        for database in self._databases():
            # What a killed writer left beside it is undone, and not done to the next file.
            with database.reading():
                pass
        with storage_errors(self.folder):
            for path in self._paths():
                path.unlink()

    def move_into(self, folder: Path) -> None:
        """Moves the files to another folder; the labels come last, so that all is there."""
        moves = [(path, folder / path.relative_to(self.folder)) for path in self._paths()]
        for _, target in moves:
            with storage_errors(target):
                target.parent.mkdir(exist_ok=True)
                sync_folder(folder)
        for path, target in moves:
            with replacing(target) as temporary:
                path.replace(temporary)

    def _labels(self, key: Key | None = None) -> LabelDatabase | OldFolder:
        self._flush(key)
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
        import shutil  # noqa: PLC0415 - brings every kind of archive

        with storage_errors(self.folder), wait_for_lock(self.folder / ".copying.lock"):
            old = self._old()
            if old is None:
                return
            began = self.folder / f".copying{TEMP_SUFFIX}"
            shutil.rmtree(began, ignore_errors=True)
            copy = FolderLabelStore(began, self._row_of)
            _warn("%s: copying %d labels of an earlier version", self.folder, old.count())
            with copy.batch():
                old.copy(copy.put_sets, copy._put_old)
            copy._table.database.make()
            copy.move_into(self.folder)
            shutil.rmtree(began)
        _warn("%s: labels of an earlier version are now in %s", self.folder, _NOW_IN)

    def _each(self, unpack: Callable[..., T], on_unreadable: OnUnreadable) -> Iterator[T]:
        labels = self._labels()
        for key in labels.all_keys():
            read = partial(self._load, unpack, labels, key)
            found = if_readable(read, on_unreadable)
            if found is not None:
                yield found

    def _of(self, unit: UnitId, side: Side, unpack: Callable[..., Label]) -> Label | None:
        key = key_of(unit, side)
        label = self._load(unpack, self._labels(key), key)
        return label if label is not None and label.unit == unit else None

    def _load(
        self, unpack: Callable[..., T], labels: LabelDatabase | OldFolder, key: Key
    ) -> T | None:
        data = labels.get(key)
        if data is None:
            return None
        return unpack(data, where=labels.where(key), advice=self._advice)

    def _readable(self, labels: LabelDatabase | OldFolder, key: Key) -> Label | None:
        """The label without trials; None where it is not there or not readable, told once."""
        errors: list[AutointerpError] = []
        read = partial(self._load, unpack_without_trials, labels, key)
        label = if_readable(read, errors.append)
        if errors and key not in self._unlisted:
            _warn("a label is left out: %s", errors[0])
            self._unlisted[key] = None
        elif not errors:
            self._unlisted.pop(key, None)
        return label

    def _packed_row(self, label: Label | None) -> bytes | None:
        if label is None or self._row_of is None:
            return None
        return zlib.compress(self._row_of(label).encode())

    def _put_old(self, key: Key, data: bytes, label: Label | None) -> None:
        packed = zlib.compress(zlib.decompress(data)) if label is None else pack_label(label)
        row = self._packed_row(label)
        put = partial(label_database.put, key=key, row=row, packed=packed)
        self._put(self._table.database, key, put)

    def _tables(self, hook: str) -> RecordTables:
        return RecordTables(self._records / f"{HookPoint(hook).name}{_SUFFIX}")

    def _all_tables(self) -> list[tuple[str, RecordTables]]:
        with storage_errors(self._records, verb="list"):
            names = names_in(self._records)
        # Others are no files of the store, as "blocks.5.mlp.hook_post (1).sqlite".
        hooks = (n.removesuffix(_SUFFIX) for n in names if n.endswith(_SUFFIX))
        return [(hook, self._tables(hook)) for hook in sorted(filter(is_hook, hooks))]

    def _databases(self) -> list[Database]:
        """Those that there are, records first."""
        tables = [tables.database for _, tables in self._all_tables()]
        return [one for one in (*tables, self._table.database) if one.is_there()]

    def _paths(self) -> list[Path]:
        return [database.path for database in self._databases()]

    @property
    def _waiting(self) -> _Waiting | None:
        waiting: _Waiting | None = getattr(self._thread, "waiting", None)
        return waiting

    def _put(self, database: Database, key: Key, put: _Put) -> None:
        self._bring_old()
        waiting = self._waiting
        if waiting is None:
            with database.writing() as connection:
                put(connection)
            return
        waiting.append((database, key, put))
        if len(waiting) >= _PUT_AT_ONCE:
            self._flush()

    def _flush(self, key: Key | None = None) -> None:
        """Writes what waits; with a key, only where some of it is of that label."""
        waiting = self._waiting
        if not waiting or (key is not None and all(key != of for _, of, _ in waiting)):
            return
        self._thread.waiting = []
        # Records come before labels, which say that a unit is done.
        by_file = sorted(waiting, key=lambda each: (each[0].path.parent.name, str(each[0].path)))
        for _, puts in groupby(by_file, key=lambda each: each[0].path):
            first, *others = puts
            with first[0].writing() as connection:
                for _, _, put in (first, *others):
                    put(connection)


def _warn(message: str, *values: object) -> None:
    import logging  # noqa: PLC0415 - reading labels needs none

    logging.getLogger("autointerp.store").warning(message, *values)


def _kept_row(row: ListedRow | None) -> ListedRow | None:
    return row and row._replace(is_kept=True)


def _unpacked_row(change: Change) -> bytes:
    """The row that was put; empty where none was, or it is damaged."""
    try:
        return zlib.decompress(change.row or b"")
    except zlib.error:
        return b""
