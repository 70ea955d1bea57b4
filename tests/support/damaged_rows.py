"""What becomes of one row of a folder's databases: a label, or the records of a unit."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autointerp.store.packing import frame

HOOK = "blocks.5.mlp.hook_post"
LABELS_FILE = "scores/labels.sqlite"
RECORDS_FILE = f"records/{HOOK}.sqlite"

SIDES = ("positive", "negative")

Damage = Callable[[bytes], bytes]

ROW_DAMAGES: dict[str, Damage] = {
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda _: b"",
    "not packed": lambda _: b"\xe9\xff",
    "another": lambda _: frame([b'{"a":[1,null,"x"]}', b""]),
    "newer": lambda data: data[:2] + b"\x09" + data[3:],
    "zeros": lambda data: b"\0" * len(data),
}

_KILLED = """
import os, sqlite3, sys
for path in sys.argv[1:]:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("CREATE TABLE half AS SELECT zeroblob(500000)")
os._exit(9)
"""


def leave_half_done(*paths: Path) -> None:
    """Leaves the files and their journals as a writer does that is killed in a transaction."""
    command = [sys.executable, "-c", _KILLED, *map(str, paths)]
    subprocess.run(command, timeout=60, check=False)


@dataclass(frozen=True)
class StoredRow:
    """One row, as whatever is at the file from outside finds it."""

    path: Path
    table: str
    hook: str
    index: int
    side: str

    @property
    def name(self) -> str:
        """How messages name it."""
        return f"{self.index} ({self.side})"

    @property
    def content(self) -> bytes | None:
        """What is stored, None where there is no row."""
        where, values = self._where
        with closing(sqlite3.connect(self.path)) as connection:
            query = f"SELECT {self._column} FROM {self.table} WHERE {where}"
            found = connection.execute(query, values).fetchone()
        return found and found[0]

    def put(self, data: bytes | None) -> None:
        """Stores something else, or takes the row away."""
        where, values = self._where
        with closing(sqlite3.connect(self.path)) as connection, connection:
            if data is None:
                connection.execute(f"DELETE FROM {self.table} WHERE {where}", values)
                return
            query = f"UPDATE {self.table} SET {self._column} = ? WHERE {where}"
            assert connection.execute(query, (data, *values)).rowcount == 1

    def damage(self, damage: Damage) -> None:
        """Changes what is stored."""
        content = self.content
        assert content is not None
        self.put(damage(content))

    @property
    def _column(self) -> str:
        return "label" if self.table == "labels" else "sets"

    @property
    def _where(self) -> tuple[str, tuple[object, ...]]:
        key = (self.index, SIDES.index(self.side))
        if self.table == "labels":
            return "unit = ? AND side = ? AND hook = ?", (*key, self.hook)
        return "unit = ? AND side = ?", key


def stored_label(folder: Path, index: int = 131, hook: str = HOOK) -> StoredRow:
    """The row of the label of a unit's positive side."""
    return StoredRow(folder / LABELS_FILE, "labels", hook, index, "positive")


def stored_sets(folder: Path, index: int = 131) -> StoredRow:
    """The row of the records of a positive side of `HOOK`."""
    return StoredRow(folder / RECORDS_FILE, "sets", HOOK, index, "positive")


def stored_labels(folder: Path) -> list[StoredRow]:
    """The rows of all labels, in reading order."""
    path = folder / LABELS_FILE
    query = "SELECT hook, unit, side FROM labels ORDER BY layer, hook, unit, side"
    found = _select(path, query)
    return [StoredRow(path, "labels", hook, unit, SIDES[side]) for hook, unit, side in found]


def all_stored_sets(folder: Path) -> list[StoredRow]:
    """The rows of all records."""
    return [
        StoredRow(path, "sets", path.stem, unit, SIDES[side])
        for path in sorted(folder.glob("records/*.sqlite"))
        for unit, side in _select(path, "SELECT unit, side FROM sets ORDER BY unit, side")
    ]


def _select(path: Path, query: str) -> list[tuple[Any, ...]]:
    if not path.exists() or not path.stat().st_size:
        return []
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()
