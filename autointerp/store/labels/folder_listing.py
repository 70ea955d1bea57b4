"""Rows of the labels of a folder: those that were put with them, or made of labels."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from autointerp.core.errors import AutointerpError
from autointerp.core.explanations import Label
from autointerp.core.unreadable import if_readable
from autointerp.store.labels import kept_tables
from autointerp.store.labels.database import Connection, Database
from autointerp.store.labels.label_database import Change, Key, LabelDatabase, change_of
from autointerp.store.labels.label_store import NO_ROWS, RowOf, RowsOf
from autointerp.store.packed_labels import unpack_label, unpack_without_trials

if TYPE_CHECKING:
    from autointerp.store.labels.label_rows import ListedRow
    from autointerp.store.labels.old_layout import OldFolder

_MOST_AGAIN = 100
"""Labels that could not be read, and are looked at again at a time."""

T = TypeVar("T")


def loaded(
    labels: LabelDatabase | OldFolder, key: Key, unpack: Callable[..., T], advice: str
) -> T | None:
    """What `unpack` makes of a packed label; None where there is none."""
    data = labels.get(key)
    return None if data is None else unpack(data, where=labels.where(key), advice=advice)


class FinishedRows:
    """Rows from the table beside the labels of a finished dictionary, in the order of changes."""

    def __init__(self, folder: Path, rows_of: RowsOf | None) -> None:
        self._folder, self._rows_of = folder, rows_of
        self._lines: Iterator[bytes] | None = None
        self._lock = threading.Lock()

    def row(self, change: Change) -> ListedRow | None:
        """The row of a change; None where it is not the table's next, nor are those after it."""
        from autointerp.store.labels.label_rows import listed_row  # noqa: PLC0415

        with self._lock:
            if change.number == 1 and self._rows_of is not None:
                self._lines = self._rows_of(self._folder)
            line = next(self._lines, None) if self._lines is not None else None
            row = None if line is None else listed_row(line)
            if row is None or (row.layer, row.hook, row.unit, row.side) != change.key:
                row = self._lines = None
            return row


class FolderListing:
    """Rows by the numbers of changes, in the file of labels."""

    def __init__(
        self, table: LabelDatabase, row_of: RowOf | None, finished: FinishedRows, advice: str
    ) -> None:
        self._table, self._row_of, self._advice = table, row_of, advice
        self._finished = finished
        self._unlisted: dict[Key, None] = {}
        self._file: int | None = None
        self._has_bad_block = False

    def packed_row(self, label: Label | None) -> bytes | None:
        """The row that is put with a label; None where the store keeps none."""
        if label is None or self._row_of is None:
            return None
        return zlib.compress(self._row_of(label).encode())

    def wrote(self, database: Database, connection: Connection) -> None:
        """Puts rows together that were written one by one, as of `listed_blocks`."""
        if self._row_of is not None and database is self._table.database:
            # Brings pydantic_core, without which labels are read.
            from autointerp.store.labels.listed_blocks import add_blocks  # noqa: PLC0415

            add_blocks(connection, change_of(connection) - 1)

    def rows_since(
        self, labels: LabelDatabase | OldFolder, change: int, limit: int
    ) -> tuple[list[ListedRow | None], int]:
        """As of the store."""
        if self._row_of is None:
            raise AutointerpError(NO_ROWS)
        mended = [self._readable(labels, key) for key in tuple(self._unlisted)[:_MOST_AGAIN]]
        again = [self._made(label) for label in mended if label is not None]
        # Another file numbers changes in another order.
        file = labels.numbering()
        newest = labels.newest()
        is_known = change <= newest and self._file in {None, file}
        self._file, last = file, change if is_known else 0
        rows, last = self._rows(labels, last, newest, limit)
        return [*again, *rows], last

    def _rows(
        self, labels: LabelDatabase | OldFolder, last: int, newest: int, limit: int
    ) -> tuple[list[ListedRow | None], int]:
        """Rows of changes up to the newest, of a whole block where one comes next."""
        from autointerp.store.labels.listed_blocks import N_ROWS, next_block  # noqa: PLC0415

        block, end = next_block(self._table.database, last), None
        if block is not None and block.last <= newest:
            is_next = block.first == last + 1
            rows = self._of_block(block.data) if is_next and limit >= N_ROWS else None
            if rows is not None:
                return [*rows], block.last
            # So that the next block can be read whole.
            end = block.last if block.first <= last + 1 else block.first - 1
        found = labels.changes(last, limit)
        found += kept_tables.kept_changes(self._table.database, last, limit)
        # What is put between these reads is left to the next call, or one of them would miss it.
        until = newest if end is None else end
        changes = sorted(one for one in found if one.number <= until)[:limit]
        rows_ = [self._row(labels, one) for one in changes]
        if end is not None and len(changes) < limit:
            return rows_, end
        return rows_, changes[-1].number if changes else last

    def _of_block(self, data: bytes) -> list[ListedRow] | None:
        """The rows of a block; None where it has none that can be read, told once."""
        from autointerp.store.labels.listed_blocks import unpack_rows  # noqa: PLC0415

        if not data:
            return None
        try:
            return unpack_rows(data)
        except ValueError as error:
            if not self._has_bad_block:
                self._has_bad_block = True
                where = self._table.database.path
                _warn("rows in %s are read one by one: a block is damaged: %s", where, error)
            return None

    def _row(self, labels: LabelDatabase | OldFolder, change: Change) -> ListedRow | None:
        from autointerp.store.labels.label_rows import listed_row  # noqa: PLC0415

        row = listed_row(_unpacked_row(change))
        if change.is_kept:
            return row and row._replace(is_kept=True)
        row = row or self._finished.row(change)
        return row or self._made(self._readable(labels, change.key))

    def _made(self, label: Label | None) -> ListedRow | None:
        from autointerp.store.labels.label_rows import listed_row  # noqa: PLC0415

        if label is None or self._row_of is None:
            return None
        return listed_row(self._row_of(label).encode())

    def left_out(self, labels: LabelDatabase | OldFolder) -> tuple[str, ...]:
        """As of the store."""
        sentences = list[AutointerpError]()
        for key in tuple(self._unlisted)[:_MOST_AGAIN]:
            read = partial(loaded, labels, key, unpack_label, self._advice)
            if_readable(read, sentences.append)
        return tuple(map(str, sentences))

    def _readable(self, labels: LabelDatabase | OldFolder, key: Key) -> Label | None:
        """The label without trials; None where it is not there or not readable, told once."""
        errors: list[AutointerpError] = []
        read = partial(loaded, labels, key, unpack_without_trials, self._advice)
        label = if_readable(read, errors.append)
        if errors and key not in self._unlisted:
            _warn("a label is left out: %s", errors[0])
            self._unlisted[key] = None
        elif not errors:
            self._unlisted.pop(key, None)
        return label


def _warn(message: str, *values: object) -> None:
    import logging  # noqa: PLC0415 - reading labels needs none

    logging.getLogger("autointerp.store").warning(message, *values)


def _unpacked_row(change: Change) -> bytes:
    """The row that was put; empty where none was, or it is damaged."""
    try:
        return zlib.decompress(change.row or b"")
    except zlib.error:
        return b""
