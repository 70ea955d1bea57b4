"""``scores/labels.sqlite``: the labels of one subject model, packed, a row each."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from autointerp.core.errors import DamagedError, InputError
from autointerp.core.explanations import Label
from autointerp.core.files import replacing
from autointerp.core.ids import Side, UnitId
from autointerp.store.label_outlines import LabelOutline, packed_outline
from autointerp.store.labels.database import Connection, Database, has_table, is_settled
from autointerp.store.labels.layout import SideKey, reading_order
from autointerp.store.packed_labels import unpack_label

Key = tuple[int, str, int, int]
"""Layer, hook point, index and place of the side: what labels are read in the order of."""

_PAGE, _LARGE_PAGE = 1024, 65536
"""Bytes of a page: large where so many labels are written once that hardly any room is left."""
_MANY = 1000
_AT_ONCE = 2000
"""Labels that are read in one go."""
_TABLES = f"""
PRAGMA page_size = {_PAGE};
CREATE TABLE labels (change INTEGER PRIMARY KEY, layer INTEGER NOT NULL, hook TEXT NOT NULL,
  unit INTEGER NOT NULL, side INTEGER NOT NULL, row BLOB, label BLOB NOT NULL,
  UNIQUE (layer, hook, unit, side));
CREATE TABLE compact (n_labels INTEGER NOT NULL)
"""
_MARKS = "CREATE TABLE IF NOT EXISTS marks (change INTEGER PRIMARY KEY, mark BLOB NOT NULL)"
"""Of transactions: their first changes and random bytes, by which copies are told apart."""
_KEY = "layer, hook, unit, side"
_IS_KEY = "layer = ? AND hook = ? AND unit = ? AND side = ?"


class Change(NamedTuple):
    """A label that was put, by the number of the change."""

    number: int
    key: Key
    row: bytes | None
    """By which it is listed, compressed; None where whoever put it made none."""
    is_kept: bool = False
    """Whether a newer label of another origin took its place."""


class LabelDatabase:
    """The file of labels; changes are numbered in the order in which labels were put."""

    def __init__(self, path: Path) -> None:
        self.database = Database(path, _TABLES)

    def get(self, key: Key) -> bytes | None:
        """The packed label; None where there is none."""
        found = self._all(f"SELECT label FROM labels WHERE {_IS_KEY}", *key)
        return found[0][0] if found else None

    def sides(self, key: Key) -> list[tuple[Key, bytes]]:
        """The packed labels of all sides of the key's unit, in reading order."""
        query = "layer = ? AND hook = ? AND unit = ? ORDER BY side"
        found = self._all(f"SELECT side, label FROM labels WHERE {query}", *key[:3])
        return [((*key[:3], side), label) for side, label in found]

    def where(self, key: Key) -> str:
        """Names a label in messages."""
        _, hook, index, side = key
        return f"the label of {hook}/{index} ({tuple(Side)[side]}) in {self.database.path}"

    def all_keys(self) -> list[Key]:
        """The keys of all labels, in reading order."""
        return self._all(f"SELECT {_KEY} FROM labels ORDER BY {_KEY}")

    def outlines(self) -> dict[SideKey, LabelOutline | None]:
        """What each label came to, as `packed_outline` tells it; some thousands in memory."""
        found: dict[SideKey, LabelOutline | None] = {}
        query = (
            "SELECT change, hook, unit, side, label FROM labels WHERE change > ? "
            "ORDER BY change LIMIT ?"
        )
        last = -1
        while rows := self._all(query, last, _AT_ONCE):
            last = rows[-1][0]
            for _, hook, index, side, data in rows:
                found[hook, index, tuple(Side)[side]] = packed_outline(data)
        return found

    def hooks(self, layer: int | None) -> list[str]:
        """The hook points of a layer, or of all, that have a label."""
        where = "" if layer is None else "WHERE layer = ?"
        query = f"SELECT DISTINCT hook FROM labels {where} ORDER BY hook"  # noqa: S608 - of ours
        return [hook for (hook,) in self._all(query, *([] if layer is None else [layer]))]

    def count(self) -> int:
        """How many labels there are."""
        found = self._all("SELECT count(*) FROM labels")
        return int(found[0][0]) if found else 0

    def is_empty(self) -> bool:
        """Whether there is none, which takes no longer where there are many."""
        return not self._all("SELECT 1 FROM labels LIMIT 1")

    def newest(self) -> int:
        """The number of the last change, 0 where there is none."""
        with self.database.reading() as connection:
            return 0 if connection is None else change_of(connection) - 1

    def numbering(self) -> int | None:
        """Another file, which numbers changes otherwise, has another; None where there is none."""
        stamp = self.database.stamp()
        return None if stamp is None else stamp[0]

    def mark(self, change: int) -> str | None:
        """As of the store.

        Each transaction has marked its first change; a file without marks, which was compacted or
        is an earlier version's, is the same while nobody writes it.
        """
        stamp = self.database.stamp()
        with self.database.reading() as connection:
            if connection is None or change >= change_of(connection):
                return None
            query = "SELECT change, hex(mark) FROM marks WHERE change <= ? ORDER BY change DESC"
            found = None
            if has_table(connection, "marks"):
                found = connection.execute(f"{query} LIMIT 1", (change,)).fetchone()
        if found is not None:
            return f"{found[0]}:{found[1]}"
        return f"file:{stamp}" if stamp is not None and is_settled(stamp) else None

    def changes(self, since: int, limit: int) -> list[Change]:
        """The changes after one, oldest first."""
        query = f"SELECT change, {_KEY}, row FROM labels WHERE change > ? ORDER BY change LIMIT ?"
        return [Change(n, (*key,), row) for n, *key, row in self._all(query, since, limit)]

    def compact(self) -> None:
        """Writes the file as it would be had labels been put once, in reading order, without rows.

        Changes are numbered anew, so only for a folder that nobody else writes.
        """
        n = self.count()
        if not n or self._all("SELECT n_labels FROM compact"):
            return
        columns = f"{_KEY}, label"
        with replacing(self.database.path) as path:
            tables = _TABLES.replace(str(_PAGE), str(_LARGE_PAGE), 1) if n >= _MANY else _TABLES
            target = Database(path, tables, scratch=True)
            with self.database.reading() as old, target.writing() as new:
                if old is not None:
                    there = old.execute(f"SELECT {columns} FROM labels ORDER BY {_KEY}")
                    new.executemany(f"INSERT INTO labels ({columns}) VALUES (?, ?, ?, ?, ?)", there)
                new.execute("INSERT INTO compact SELECT count(*) FROM labels")

    def _all(self, query: str, *values: int | str) -> list[tuple[Any, ...]]:
        with self.database.reading() as connection:
            return [] if connection is None else connection.execute(query, values).fetchall()


def key_of(unit: UnitId, side: Side) -> Key:
    """The key of a side's label.

    Raises:
        InputError: the unit's hook point is invalid.
    """
    return reading_order(unit, side)


def put(connection: Connection, key: Key, row: bytes | None, packed: bytes) -> None:
    """Puts a packed label as the newest change."""
    columns = f"change, {_KEY}, row, label"
    insert = f"INSERT OR REPLACE INTO labels ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)"
    connection.execute(insert, (next_change(connection), *key, row, packed))


def next_change(connection: Connection) -> int:
    """The number of a change that is about to be made; the first of a transaction is marked."""
    connection.execute("DELETE FROM compact")
    change = change_of(connection)
    if not connection.is_marked:
        connection.execute(_MARKS)
        connection.execute("INSERT OR REPLACE INTO marks VALUES (?, randomblob(8))", (change,))
        connection.is_marked = True
    return change


def change_of(connection: Connection) -> int:
    """The number of the next change."""
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
    numbers = [
        connection.execute(f"SELECT coalesce(max(change), 0) FROM {name}").fetchone()[0]
        for name in ("labels", "kept")
        if name in tables
    ]
    return int(max(numbers)) + 1


def is_replaced(connection: Connection, key: Key, failed: Label) -> bool:
    """Whether a failed label takes the place of what is there."""
    found = connection.execute(f"SELECT label FROM labels WHERE {_IS_KEY}", key).fetchone()
    try:
        return found is None or failed.replaces(unpack_label(found[0], where="it"))
    except DamagedError:
        return True
    except InputError:
        return False  # Of a newer version, which can read it.
