"""The rows of a folder's labels in the order in which they were put: an append-only file.

``rows.jsonl`` begins with a line about itself, then there is one row a line; a label that is put
again adds another. Any number of processes append in turn while others read. Its content follows
from the labels beside it, from which it is made anew where it is missing or damaged.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from autointerp.core.errors import StorageError, newer_version
from autointerp.core.files import open_file, set_aside, storage_errors, write_atomic
from autointerp.core.json_text import parse_json
from autointerp.store.labels.label_rows import is_row_text
from autointerp.store.lock import wait_for_lock

SCHEMA = 1
_KIND = "rows"
_MOST_LINE = 1 << 24
"""Bytes; far more than any row has."""


class _DamagedError(Exception):
    """The file is not what this module wrote."""


class Journal:
    """The file; the change number of a row is the offset of its line's end plus ``base``.

    A file that is made anew has a base above every change of the one before, so that readers of
    that one begin again.
    """

    def __init__(self, path: Path, remake: Callable[[], Iterable[bytes]]) -> None:
        self._path = path
        self._lock = path.with_name(f".{path.name}.lock")
        self._remake = remake

    def append(self, row: bytes) -> None:
        """Adds a row; where there is no file to add to, it is made from the labels."""
        with storage_errors(self._path), wait_for_lock(self._lock):
            if not self._path.is_file():
                self._make()
                return
            try:
                self._append(row)
            except PermissionError:
                self._make()

    def _append(self, row: bytes) -> None:
        with self._path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                # A killed writer left half a line: it ends here, and readers find it damaged.
                row = row if file.read(1) == b"\n" else b"\n" + row
            file.write(row + b"\n")

    def since(self, change: int, limit: int) -> tuple[list[bytes], int]:
        """Rows after a change and the last one's change; all rows where the change is unknown."""
        if self._path.exists():
            with suppress(_DamagedError, StorageError):
                return self._read(change, limit)
        self.make_anew()
        return self._read(0, limit)

    def make_anew(self) -> None:
        """Writes the file from all labels."""
        if not self._path.parent.exists():
            return
        with storage_errors(self._path), wait_for_lock(self._lock):
            self._make()

    def _make(self) -> None:
        base = time.time_ns() // 1000
        # Change numbers ascend whatever the clock says.
        with suppress(_DamagedError, StorageError, OSError):
            base = max(base, self._base()[0] + self._path.stat().st_size + 1)
        about = {"schema": SCHEMA, "kind": _KIND, "base": base}
        lines = [json.dumps(about).encode(), *self._remake()]
        set_aside(self._path)
        write_atomic(self._path, b"\n".join(lines) + b"\n", durable=False)

    def _read(self, change: int, limit: int) -> tuple[list[bytes], int]:
        with storage_errors(self._path, verb="read"):
            try:
                base, start = self._base()
                with os.fdopen(open_file(self._path), "rb") as file:
                    size = file.seek(0, os.SEEK_END)
                    place = change - base if start <= change - base <= size else start
                    file.seek(place)
                    return _rows(file, base, place, limit)
            except FileNotFoundError:
                return [], 0

    def _base(self) -> tuple[int, int]:
        """(base, length of the first line)."""
        with os.fdopen(open_file(self._path), "rb") as file:
            first = file.readline(_MOST_LINE)
        try:
            about = parse_json(first)
            schema, kind, base = about["schema"], about["kind"], int(about["base"])
        except (ValueError, KeyError, TypeError) as error:
            raise _DamagedError from error
        if isinstance(schema, int) and schema > SCHEMA:
            raise newer_version(str(self._path), schema, SCHEMA)
        if kind != _KIND or not first.endswith(b"\n"):
            raise _DamagedError
        return base, len(first)


def _rows(file: BinaryIO, base: int, place: int, limit: int) -> tuple[list[bytes], int]:
    rows: list[bytes] = []
    for line in iter(partial(file.readline, _MOST_LINE), b""):
        if len(line) == _MOST_LINE:
            raise _DamagedError
        # The last line may still be being written.
        if len(rows) >= limit or not line.endswith(b"\n"):
            break
        if not is_row_text(line):
            raise _DamagedError
        place += len(line)
        rows.append(line.rstrip(b"\n"))
    return rows, base + place
