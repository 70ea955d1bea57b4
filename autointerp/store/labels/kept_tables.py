"""Labels that newer ones of another text or explainer took the place of, in a folder's databases.

They lie in tables of their own, which are made when the first is kept; a file without them is
what earlier versions wrote.
"""

from __future__ import annotations

from typing import Any

from autointerp.core.errors import AutointerpError
from autointerp.core.explanations import Label, LabelOrigin
from autointerp.core.ids import Side
from autointerp.store.labels.database import Connection, Database, has_table
from autointerp.store.labels.label_database import Change, Key, next_change
from autointerp.store.packed_labels import unpack_without_trials

_LABELS = """
CREATE TABLE IF NOT EXISTS kept (change INTEGER PRIMARY KEY, layer INTEGER NOT NULL,
  hook TEXT NOT NULL, unit INTEGER NOT NULL, side INTEGER NOT NULL, origin TEXT NOT NULL, row BLOB,
  label BLOB NOT NULL, UNIQUE (layer, hook, unit, side, origin))
"""
_SETS = (
    "CREATE TABLE IF NOT EXISTS origins (unit INTEGER NOT NULL, side INTEGER NOT NULL, "
    "origin TEXT NOT NULL, PRIMARY KEY (unit, side)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS kept_sets (unit INTEGER NOT NULL, side INTEGER NOT NULL, "
    "origin TEXT NOT NULL, windows BLOB NOT NULL, sets BLOB NOT NULL, "
    "PRIMARY KEY (unit, side, origin))",
)
_IS_KEY = "layer = ? AND hook = ? AND unit = ? AND side = ?"
_IS_SIDE = "unit = ? AND side = ?"
_SIDES = tuple(Side)


def replaced_label(connection: Connection, key: Key, label: Label) -> Label | None:
    """The label of another origin that this one takes the place of, where it is to be kept."""
    query = f"SELECT label FROM labels WHERE {_IS_KEY}"
    found = connection.execute(query, key).fetchone()
    if found is None:
        return None
    try:
        there = unpack_without_trials(found[0], where="it")
    except AutointerpError:
        return None  # Damaged, or of a newer version: whoever asked for it was told.
    return there if label.keeps(there) else None


def keep_label(connection: Connection, key: Key, origin: str, row: bytes | None) -> None:
    """Keeps the label that is there, which is about to be replaced, as the newest change."""
    connection.execute(_LABELS)
    copy = f"SELECT ?, layer, hook, unit, side, ?, ?, label FROM labels WHERE {_IS_KEY}"
    values = (next_change(connection), origin, row, *key)
    connection.execute(f"INSERT OR REPLACE INTO kept {copy}", values)


def is_newest(connection: Connection, key: Key, label: Label) -> bool:
    """Whether the label that is there has the origin of this one."""
    found = connection.execute(f"SELECT label FROM labels WHERE {_IS_KEY}", key).fetchone()
    try:
        there = found and unpack_without_trials(found[0], where="it")
    except AutointerpError:
        return False  # Damaged, or of a newer version: it stays as it is.
    return there is not None and there.origin == label.origin


def put_kept(
    connection: Connection, key: Key, origin: str, row: bytes | None, packed: bytes
) -> None:
    """Puts a label beside the one that is there, as the newest change."""
    connection.execute(_LABELS)
    values = (next_change(connection), *key, origin, row, packed)
    connection.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)


def drop_kept(connection: Connection, key: Key, origin: str) -> None:
    """Drops what was kept of the origin of the label that is put."""
    if has_table(connection, "kept"):
        connection.execute(f"DELETE FROM kept WHERE {_IS_KEY} AND origin = ?", (*key, origin))


def kept_labels(
    database: Database, key: Key | None = None
) -> list[tuple[tuple[int, str, int, int], bytes]]:
    """The key and the packed label of each that is kept, of one unit or of all."""
    where = "" if key is None else "WHERE layer = ? AND hook = ? AND unit = ?"
    query = (
        f"SELECT layer, hook, unit, side, label FROM kept {where} ORDER BY layer, hook, unit, side"
    )
    rows = _rows(database, query, () if key is None else key[:3])
    return [((layer, hook, unit, side), label) for layer, hook, unit, side, label in rows]


def kept_changes(database: Database, since: int, limit: int) -> list[Change]:
    """The kept labels that have a row after a change, oldest first."""
    query = (
        "SELECT change, layer, hook, unit, side, row FROM kept WHERE change > ? "
        "AND row IS NOT NULL ORDER BY change LIMIT ?"
    )
    rows = _rows(database, query, (since, limit))
    return [Change(number, (*key,), row, is_kept=True) for number, *key, row in rows]


def _rows(database: Database, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    with database.reading() as connection:
        if connection is None or not has_table(connection, "kept"):
            return []
        return connection.execute(query, values).fetchall()


def keep_sets(connection: Connection, index: int, side: Side, origin: str, was: str | None) -> None:
    """Keeps the sets that are there, if of another origin, and notes whose are put next.

    Args:
        connection: to the file of records, in a transaction.
        index: of the unit.
        side: of the unit.
        origin: of the sets that are put next; those that were kept of it are dropped.
        was: the origin of those that are there where nothing is noted; None where not known.
    """
    place = (index, _SIDES.index(side))
    for table in _SETS:
        connection.execute(table)
    before = origin_of_sets(connection, index, side) or was
    if before not in (None, origin):
        copy = f"SELECT unit, side, ?, windows, sets FROM sets WHERE {_IS_SIDE}"
        connection.execute(f"INSERT OR REPLACE INTO kept_sets {copy}", (before, *place))
    is_own = f"{_IS_SIDE} AND origin = ?"
    connection.execute(f"DELETE FROM kept_sets WHERE {is_own}", (*place, origin))
    connection.execute("INSERT OR REPLACE INTO origins VALUES (?, ?, ?)", (*place, origin))


def put_kept_sets(
    connection: Connection, place: tuple[int, Side], origin: str, refs: bytes, packed: bytes
) -> None:
    """Puts packed sets beside those that are there, which must be of another origin."""
    for table in _SETS:
        connection.execute(table)
    values = (place[0], _SIDES.index(place[1]), origin, refs, packed)
    connection.execute("INSERT OR REPLACE INTO kept_sets VALUES (?, ?, ?, ?, ?)", values)


def origin_of_sets(connection: Connection, index: int, side: Side) -> str | None:
    """The origin of the sets that are there; None where it is not noted."""
    if not has_table(connection, "origins"):
        return None
    query = f"SELECT origin FROM origins WHERE {_IS_SIDE}"
    noted = connection.execute(query, (index, _SIDES.index(side))).fetchone()
    return None if noted is None else str(noted[0])


def find_sets(
    connection: Connection, index: int, side: Side, origin: LabelOrigin | None
) -> tuple[bytes, bytes] | None:
    """The packed references and sets of a side, those of one origin where it is given."""
    place = (index, _SIDES.index(side))
    if origin is not None and has_table(connection, "origins"):
        query = f"SELECT windows, sets FROM kept_sets WHERE {_IS_SIDE} AND origin = ?"
        kept = connection.execute(query, (*place, origin.digest)).fetchone()
        if kept is not None:
            return kept[0], kept[1]
        if origin_of_sets(connection, index, side) not in (None, origin.digest):
            return None
    query = f"SELECT windows, sets FROM sets WHERE {_IS_SIDE}"
    found = connection.execute(query, place).fetchone()
    return None if found is None else (found[0], found[1])
