"""Rows of thousands of labels in one value, beside the labels: what a server that starts reads.

A block holds what rows say of a range of changes. A label that is put again later has a newer row
behind it, so that blocks are never changed. Where there is none, or it cannot be read, rows are
read one by one, which takes ten times as long.
"""

from __future__ import annotations

import itertools
import json
import math
import struct
import zlib
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from autointerp.store.labels.database import Connection, Database, has_table
from autointerp.store.labels.label_rows import SCORES, ListedRow, listed_row

N_ROWS = 2000
"""Changes of a block at least, and rows at most: labels that were put again have a newer row."""
_FORMAT = b"AIB\x01"
"""Another one for every change of what is kept of a row, or of how rows are read."""
_CODEC = "zstd"
_HEAD = struct.Struct("<II")
_MOST_BYTES = 1 << 30
# Blocks that a transaction adds at most, where a store has rows from before there were any.
_AT_ONCE = 4
MOST_OLD = 3
"""So many times as many changes in blocks as there are rows: most labels were put again."""
_TABLE = (
    "CREATE TABLE IF NOT EXISTS blocks "
    "(first INTEGER PRIMARY KEY, last INTEGER NOT NULL, rows BLOB NOT NULL)"
)
_NUMBERS = ("n_columns", "layer", "unit", "side", "status", "n_senses", "is_kept")


class RowBlock(NamedTuple):
    """The rows of some changes that follow each other."""

    first: int
    """Number of the first change."""
    last: int
    data: bytes
    """What `pack_rows` made; empty where a row has to be made from its label."""


def next_block(database: Database, change: int) -> RowBlock | None:
    """The first block that ends after a change."""
    query = "SELECT first, last, rows FROM blocks WHERE last > ? ORDER BY first LIMIT 1"
    with database.reading() as connection:
        if connection is None or not has_table(connection, "blocks"):
            return None
        found = connection.execute(query, (change,)).fetchone()
    return None if found is None else RowBlock(*found)


def add_blocks(connection: Connection, newest: int) -> None:
    """Adds those that the changes up to the newest fill, some at a time, in a transaction."""
    for _ in range(_AT_ONCE):
        done = _last_of_blocks(connection)
        # Most puts end here, and take no longer where there are many labels.
        if newest - done < N_ROWS:
            return
        _add_block(connection, done, newest)
        if _have_piled_up(connection):
            connection.execute("DELETE FROM blocks")


def _last_of_blocks(connection: Connection) -> int:
    if not has_table(connection, "blocks"):
        return 0
    query = "SELECT last FROM blocks ORDER BY first DESC LIMIT 1"
    found = connection.execute(query).fetchone()
    return 0 if found is None else int(found[0])


def _have_piled_up(connection: Connection) -> bool:
    (n,) = connection.execute("SELECT count(*) FROM blocks").fetchone()
    # Labels that are kept have rows of their own.
    counts = (f"SELECT count(*) FROM {name}" for name in _tables_of(connection))  # noqa: S608
    n_labels = sum(connection.execute(query).fetchone()[0] for query in counts)
    return bool(n > MOST_OLD and n * N_ROWS > MOST_OLD * n_labels)


def _tables_of(connection: Connection) -> list[str]:
    return ["labels", *(["kept"] if has_table(connection, "kept") else [])]


def _add_block(connection: Connection, done: int, newest: int) -> None:
    """Adds what there is of the changes after the one up to which there are blocks."""
    tables = _tables_of(connection)
    parts = [
        f"SELECT change, row, {int(name == 'kept')} FROM {name} WHERE change > ?"  # noqa: S608
        for name in tables
    ]
    query = f"{' UNION ALL '.join(parts)} ORDER BY change LIMIT {N_ROWS}"
    found = connection.execute(query, [done] * len(tables)).fetchall()
    last = found[-1][0] if len(found) == N_ROWS else newest
    rows = [_listed(row, bool(is_kept)) for _, row, is_kept in found]
    whole = [row for row in rows if row is not None]
    data = pack_rows(whole) if len(whole) == len(rows) else b""
    connection.execute(_TABLE)
    values = (done + 1, last, data)
    connection.execute("INSERT OR REPLACE INTO blocks VALUES (?, ?, ?)", values)


def _listed(packed: bytes | None, is_kept: bool) -> ListedRow | None:
    try:
        row = listed_row(zlib.decompress(packed or b""))
    except zlib.error:
        return None
    return row and row._replace(is_kept=is_kept)


def pack_rows(rows: Sequence[ListedRow]) -> bytes:
    """The rows as one compressed value; equal rows are equal bytes."""
    hooks = {hook: place for place, hook in enumerate(dict.fromkeys(row.hook for row in rows))}
    origins = {own: place for place, own in enumerate(dict.fromkeys(row.origin for row in rows))}
    words = [row.words.encode() for row in rows]
    texts = [row.text for row in rows]
    names = json.dumps([list(hooks), list(origins)]).encode()
    columns: list[array[Any]] = [
        *(array("q", [int(getattr(row, name)) for row in rows]) for name in _NUMBERS),
        array("q", [hooks[row.hook] for row in rows]),
        array("q", [origins[row.origin] for row in rows]),
        array("q", list(map(len, words))),
        array("q", list(map(len, texts))),
    ]
    scores = zip(*(row.scores for row in rows), strict=True)
    missing = float("nan")
    numbers: list[array[Any]] = [
        array("d", [missing if s is None else s for s in own]) for own in scores
    ]
    sizes = struct.pack("<II", len(rows), len(names))
    packed = (own.tobytes() for own in (*columns, *numbers))
    whole = b"".join((sizes, names, *packed, *words, *texts))
    head = _HEAD.pack(len(whole), zlib.crc32(whole))
    body: bytes = pa.compress(whole, _CODEC, asbytes=True)
    return _FORMAT + head + body


def unpack_rows(data: bytes) -> list[ListedRow] | None:
    """The rows that `pack_rows` packed; None where another version did.

    Raises:
        ValueError: it is damaged.
    """
    if data[: len(_FORMAT)] != _FORMAT:
        return None
    try:
        n_bytes, check = _HEAD.unpack_from(data, len(_FORMAT))
        if n_bytes > _MOST_BYTES:
            raise ValueError(f"it would have {n_bytes:,} bytes")
        packed = data[len(_FORMAT) + _HEAD.size :]
        whole = pa.decompress(packed, n_bytes, _CODEC, asbytes=True)
        if zlib.crc32(whole) != check:
            raise ValueError("its checksum is another")
        return list(_unpacked(whole))
    except (OSError, struct.error, LookupError, TypeError) as error:
        raise ValueError(str(error)) from error


def _unpacked(whole: bytes) -> Iterator[ListedRow]:
    n, n_names = struct.unpack_from("<II", whole)
    place = struct.calcsize("<II") + n_names
    hooks, origins = json.loads(whole[place - n_names : place])

    def column(kind: str) -> list[Any]:
        nonlocal place
        values = array(kind, whole[place : place + 8 * n])
        place += 8 * n
        return values.tolist()

    def parts(lengths: Sequence[int]) -> list[bytes]:
        nonlocal place
        ends = list(itertools.accumulate(lengths, initial=place))
        place = ends[-1]
        return [whole[a:b] for a, b in itertools.pairwise(ends)]

    n_columns, layers, units, sides, statuses, senses, kept = (column("q") for _ in _NUMBERS)
    of_hooks, of_origins, n_words, n_texts = (column("q") for _ in range(4))
    scores = [[None if math.isnan(s) else s for s in column("d")] for _ in SCORES]
    words = map(str, parts(n_words), itertools.repeat("utf-8"))
    texts = parts(n_texts)
    if place != len(whole):
        raise ValueError("it is not as long as it should be")
    known = [(corpus, explainer) for corpus, explainer in origins]
    columns = (
        *(texts, n_columns, layers, map(hooks.__getitem__, of_hooks), units, sides, statuses),
        *(zip(*scores, strict=True), words, map(known.__getitem__, of_origins), senses),
        map(bool, kept),
    )
    return map(ListedRow._make, zip(*columns, strict=True))
