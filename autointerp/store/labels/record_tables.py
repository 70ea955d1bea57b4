"""``records/HOOK.sqlite``: the record sets of one hook point, and the text that they are of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from autointerp.core.errors import DamagedError, InputError
from autointerp.core.explanations import LabelOrigin
from autointerp.core.files import REMAKE, replacing
from autointerp.core.ids import Side
from autointerp.core.records import UnitSets
from autointerp.core.unreadable import OnUnreadable
from autointerp.store.codec import plain_json
from autointerp.store.labels.database import Connection, Database
from autointerp.store.labels.kept_tables import find_sets
from autointerp.store.packed_arrays import Packer, Unpacker
from autointerp.store.packed_sets import StoredWindow, unpack_sets
from autointerp.store.packing import damages, frame, unframe

_TABLES = """
PRAGMA page_size = 4096;
CREATE TABLE sets (unit INTEGER NOT NULL, side INTEGER NOT NULL, windows BLOB NOT NULL,
  sets BLOB NOT NULL, UNIQUE (unit, side));
CREATE TABLE windows (window INTEGER NOT NULL, variant INTEGER NOT NULL, digest BLOB NOT NULL,
  document TEXT NOT NULL, start INTEGER NOT NULL, token_ids BLOB NOT NULL, tokens TEXT,
  PRIMARY KEY (window, variant)) WITHOUT ROWID;
CREATE TABLE tokens (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE compact (n_sets INTEGER NOT NULL)
"""
_PUT = "INSERT OR REPLACE INTO sets VALUES (?, ?, ?, ?)"
_SIDES = tuple(Side)

# In the column of a window's document, between its id and where it came from.
_BETWEEN = "\x1f"

Ref = tuple[int, int]
"""A window's number and its variant: windows of several corpora may have one number."""


class RecordTables:
    """The file of one hook point's records."""

    def __init__(self, path: Path) -> None:
        self.database = Database(path, _TABLES)

    def get(
        self,
        index: int,
        side: Side,
        *,
        where: str,
        advice: str = REMAKE,
        origin: LabelOrigin | None = None,
    ) -> UnitSets | None:
        """The sets of a side of a unit, of one origin where it is given; None where there are none.

        Raises:
            DamagedError: they, or the text that they are of, are damaged.
        """
        with self.database.reading() as connection:
            if connection is None:
                return None
            found = find_sets(connection, index, side, origin)
            if found is None:
                return None
            refs = _refs(found[0], where, advice)
            with damages(where, advice):
                windows = _windows(connection, refs)
        return unpack_sets(windows, found[1], where=where, advice=advice)

    def sides(self) -> list[tuple[int, Side]]:
        """The indices and sides of units that have sets."""
        with self.database.reading() as connection:
            if connection is None:
                return []
            found = connection.execute("SELECT unit, side FROM sets ORDER BY unit, side").fetchall()
        return [(index, _SIDES[side]) for index, side in found]

    def compact(self, on_unreadable: OnUnreadable) -> None:
        """Writes the file as it would be had sets been put once, in the order of the units.

        Text that no sets are of is left out, and so are damaged sets, which are told. Where a newer
        version wrote some, which is told too, the file stays as it is.
        """
        try:
            self._compact(on_unreadable)
        except InputError as error:
            on_unreadable(error)

    def _compact(self, on_unreadable: OnUnreadable) -> None:
        with self.database.reading() as old:
            if old is None or old.execute("SELECT n_sets FROM compact").fetchone():
                return
            with (
                replacing(self.database.path) as path,
                Database(path, _TABLES, scratch=True).writing() as new,
            ):
                _copy(old, new, str(self.database.path), on_unreadable)
                new.execute("INSERT INTO compact SELECT count(*) FROM sets")


def put(
    connection: Connection, index: int, side: Side, windows: Iterable[StoredWindow], packed: bytes
) -> None:
    """Puts packed sets, and their windows where they are not there yet."""
    refs = put_windows(connection, windows)
    connection.execute(_PUT, (index, _SIDES.index(side), refs, packed))


def put_windows(connection: Connection, windows: Iterable[StoredWindow]) -> bytes:
    """Puts windows where they are not there yet; the packed references to all of them."""
    known, refs = connection.refs, []
    for window in windows:
        # Units of a chunk share the objects of their windows; to hash one takes longer.
        there = known.get(id(window))
        if there is None:
            there = known[id(window)] = window, _ref(connection, window)
        refs.append(there[1])
    connection.execute("DELETE FROM compact")
    return _packed_refs(refs)


def _copy(old: Connection, new: Connection, path: str, on_unreadable: OnUnreadable) -> None:
    renamed: dict[Ref, Ref] = {}
    query = "SELECT unit, side, windows, sets FROM sets ORDER BY unit, side"
    # An error keeps what it left half read, and that would keep the file locked.
    with closing(old.execute(query)) as rows:
        for index, side, packed_refs, packed in rows:
            where = f"the records of unit {index} ({_SIDES[side]}) in {path}"
            try:
                unframe(packed, 2, where=where)
                refs = _refs(packed_refs, where, REMAKE)
                with damages(where, REMAKE):
                    missing = [ref for ref in refs if ref not in renamed]
                    windows = zip(missing, _windows(old, missing), strict=True)
                    renamed |= {ref: _ref(new, window) for ref, window in windows}
            except DamagedError as error:
                on_unreadable(error)
                continue
            same = all(renamed[ref] == ref for ref in refs)
            again = packed_refs if same else _packed_refs([renamed[ref] for ref in refs])
            new.execute(_PUT, (index, side, again, packed))


def _packed_refs(refs: Sequence[Ref]) -> bytes:
    numbers = Packer()
    numbers.ints([window for window, _ in refs])
    numbers.ints([variant for _, variant in refs])
    return frame([numbers.data])


def _refs(packed: bytes, where: str, advice: str) -> list[Ref]:
    (data,) = unframe(packed, 1, where=where, advice=advice)
    with damages(where, advice):
        numbers = Unpacker(data)
        return list(zip(numbers.ints(), numbers.ints(), strict=True))


def _ref(connection: Connection, window: StoredWindow) -> Ref:
    """Where the window is in the table, to which it is added where it is not."""
    content = _BETWEEN.join((window.document, *map(str, window[2:4]), *window.tokens))
    import hashlib  # noqa: PLC0415 - reading needs none

    digest = hashlib.blake2b(content.encode(), digest_size=8).digest()
    query = "SELECT variant, digest FROM windows WHERE window = ? ORDER BY variant"
    known = connection.execute(query, (window.number,)).fetchall()
    for variant, stored in known:
        if stored == digest:
            return window.number, variant
    ids = Packer()
    ids.ints(window.token_ids)
    tokens = None if _are_known(connection, window) else plain_json(window.tokens).decode()
    document = _BETWEEN.join(
        [window.document, window.source] if window.source else [window.document]
    )
    row = (window.number, len(known), digest, document, window.offset, ids.data, tokens)
    connection.execute("INSERT INTO windows VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    return window.number, len(known)


def _are_known(connection: Connection, window: StoredWindow) -> bool:
    """Whether the table of tokens, to which new ones are added, says what the window does."""
    # In one order, on which the bytes of the file depend.
    pairs = dict.fromkeys(zip(window.token_ids, window.tokens, strict=True))
    connection.executemany("INSERT OR IGNORE INTO tokens VALUES (?, ?)", pairs)
    return pairs.keys() == _texts(connection, [token for token, _ in pairs]).items()


def _windows(connection: Connection, refs: Sequence[Ref]) -> list[StoredWindow]:
    """The windows of the table, in the order of the references."""
    numbers = json.dumps(list({window for window, _ in refs}))
    query = (
        "SELECT window, variant, document, start, token_ids, tokens FROM windows "
        "WHERE window IN (SELECT value FROM json_each(?))"
    )
    rows: list[tuple[Any, ...]] = connection.execute(query, (numbers,)).fetchall()
    ids = [tuple(Unpacker(row[4]).ints()) for row in rows]
    texts = _texts(connection, set[int]().union(*ids))
    known = {
        (window, variant): StoredWindow(
            *(window, document.partition(_BETWEEN)[0], start, its_ids),
            tuple(json.loads(own) if own else [texts[token] for token in its_ids]),
            document.partition(_BETWEEN)[2],
        )
        for (window, variant, document, start, _, own), its_ids in zip(rows, ids, strict=True)
    }
    missing = [window for window, variant in refs if (window, variant) not in known]
    if missing:
        raise ValueError(f"the text of window {missing[0]} is missing")
    return [known[ref] for ref in refs]


def _texts(connection: Connection, ids: Iterable[int]) -> dict[int, str]:
    query = "SELECT id, text FROM tokens WHERE id IN (SELECT value FROM json_each(?))"
    return dict(connection.execute(query, (json.dumps(list(ids)),)).fetchall())
