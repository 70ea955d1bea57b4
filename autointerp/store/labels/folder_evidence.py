"""``scores/evidence.sqlite``: causal evidence that was kept of units, a row an answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from autointerp.core.ids import Side, UnitId
from autointerp.core.kept_evidence import KeptEvidence
from autointerp.core.unreadable import OnUnreadable, if_readable
from autointerp.store.labels.database import Database
from autointerp.store.labels.layout import reading_order
from autointerp.store.packed_causal import pack_causal, unpack_causal

_TABLES = """
PRAGMA page_size = 1024;
CREATE TABLE evidence (layer INTEGER NOT NULL, hook TEXT NOT NULL, unit INTEGER NOT NULL,
  name TEXT NOT NULL, answer BLOB NOT NULL, PRIMARY KEY (layer, hook, unit, name))
"""
_UNIT = "layer, hook, unit"


class FolderEvidence:
    """The file of a folder; it is made by the first put."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(folder / "scores" / "evidence.sqlite", _TABLES)

    def put(self, answers: Iterable[KeptEvidence]) -> None:
        """Stores answers, each in place of that to the same request on the same text and dtype.

        They are durable together, once the last is stored.
        """
        rows = [
            (*reading_order(kept.unit, Side.POSITIVE)[:3], kept.key, pack_causal(kept))
            for kept in answers
        ]
        with self.database.writing() as connection:
            query = "INSERT OR REPLACE INTO evidence VALUES (?, ?, ?, ?, ?)"
            connection.executemany(query, rows)

    def of(self, unit: UnitId, on_unreadable: OnUnreadable) -> tuple[KeptEvidence, ...]:
        """What is kept of a unit."""
        return tuple(self._answers(reading_order(unit, Side.POSITIVE)[:3], on_unreadable))

    def all(self, on_unreadable: OnUnreadable) -> Iterator[KeptEvidence]:
        """What is kept of every unit, by layer, hook point and index."""
        with self.database.reading() as connection:
            query = f"SELECT DISTINCT {_UNIT} FROM evidence ORDER BY {_UNIT}"
            units = [] if connection is None else connection.execute(query).fetchall()
        for unit in units:
            yield from self._answers(unit, on_unreadable)

    def _answers(
        self, key: tuple[int, str, int], on_unreadable: OnUnreadable
    ) -> Iterator[KeptEvidence]:
        with self.database.reading() as connection:
            query = "SELECT answer FROM evidence WHERE layer = ? AND hook = ? AND unit = ?"
            found = [] if connection is None else connection.execute(query, key).fetchall()
        where = f"evidence of {key[1]}/{key[2]} in {self.database.path}"
        reads = (partial(unpack_causal, data, where=where) for (data,) in found)
        answers = (if_readable(read, on_unreadable) for read in reads)
        yield from sorted(filter(None, answers), key=lambda one: one.order)
