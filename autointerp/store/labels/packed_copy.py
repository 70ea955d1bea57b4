"""Copies the databases of a folder of labels as they are: nothing is decoded to be packed again."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Set
from contextlib import closing
from functools import partial
from pathlib import Path

from autointerp.core.explanations import Label
from autointerp.core.files import storage_errors
from autointerp.core.ids import Side
from autointerp.core.unreadable import OnUnreadable, if_readable
from autointerp.store.labels.database import Database
from autointerp.store.labels.label_database import LabelDatabase
from autointerp.store.labels.layout import SideKey
from autointerp.store.labels.record_tables import RecordTables
from autointerp.store.packed_labels import unpack_label
from autointerp.store.packing import unframe

_LABELS = "scores/labels.sqlite"
_SIDES = tuple(Side)


def is_packed(folder: Path) -> bool:
    """Whether the labels lie in a database, and not in an earlier version's files."""
    return (folder / _LABELS).exists()


def copy_packed(
    source: Path,
    target: Path,
    sides: Set[SideKey],
    on_unreadable: OnUnreadable,
    each: Callable[[Label], None],
) -> None:
    """Copies labels of some sides with their records into an empty folder, still to be compacted.

    Args:
        source: the folder of a store, which others may write meanwhile.
        target: the folder of another store, which nobody else uses.
        sides: the others are left out.
        on_unreadable: is told of what cannot be read, which is left out.
        each: is called with every label that was copied, without its trials, in reading order.
    """
    labels = LabelDatabase(target / _LABELS)
    # Before records: whatever label is there has its own.
    _back_up(LabelDatabase(source / _LABELS).database, labels.database.path)
    kept = _keep_labels(labels, sides, on_unreadable, each)
    for hook in sorted({hook for hook, _, _ in kept}):
        name = f"records/{hook}.sqlite"
        of_hook = {(index, side) for other, index, side in kept if other == hook}
        copy = partial(_copy_records, source / name, target / name, of_hook, on_unreadable)
        if_readable(copy, on_unreadable)


def _keep_labels(
    table: LabelDatabase,
    sides: Set[SideKey],
    on_unreadable: OnUnreadable,
    each: Callable[[Label], None],
) -> set[SideKey]:
    kept: set[SideKey] = set()
    others: list[tuple[int, str, int, int]] = []
    for key in table.all_keys():
        _, hook, index, side = key
        label = None
        if (hook, index, _SIDES[side]) in sides:
            read = partial(unpack_label, table.get(key) or b"", where=table.where(key))
            label = if_readable(partial(read, with_trials=False), on_unreadable)
        if label is None:
            others.append(key)
        else:
            kept.add((hook, index, _SIDES[side]))
            each(label)
    if not kept:
        table.database.path.unlink(missing_ok=True)
        return kept
    with table.database.writing() as connection:
        connection.execute("DELETE FROM compact")
        is_key = "layer = ? AND hook = ? AND unit = ? AND side = ?"
        connection.executemany(f"DELETE FROM labels WHERE {is_key}", others)
    return kept


def _copy_records(
    source: Path, target: Path, kept: Set[tuple[int, Side]], on_unreadable: OnUnreadable
) -> None:
    _back_up(RecordTables(source).database, target)
    if not target.exists():
        return
    with RecordTables(target).database.writing() as connection:
        others: list[tuple[int, int]] = []
        n_sets = 0
        for index, side, sets in connection.execute("SELECT unit, side, sets FROM sets"):
            n_sets += 1
            where = f"the records of unit {index} ({_SIDES[side]}) in {source}"
            read = partial(unframe, sets, 2, where=where)
            is_kept = (index, _SIDES[side]) in kept
            if not is_kept or if_readable(read, on_unreadable) is None:
                others.append((index, side))
        connection.execute("DELETE FROM compact")
        connection.executemany("DELETE FROM sets WHERE unit = ? AND side = ?", others)
    if len(others) == n_sets:
        target.unlink()


def _back_up(source: Database, target: Path) -> None:
    """The file as it is between two transactions; writers wait no longer than a copy takes."""
    with source.reading() as connection:
        if connection is not None:
            with storage_errors(target):
                target.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(target)) as copy:
                connection.backup(copy)
