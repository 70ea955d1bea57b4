"""One SQLite file: opened for each use, so that nothing is held over forks, threads or renames."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from autointerp.core.errors import StorageError, newer_version
from autointerp.core.files import AGAIN, ELSEWHERE, FULL, storage_errors

SCHEMA = 1
_APPLICATION = 0x41495350
_PATIENCE_S = 120.0
_TICK_NS = 100_000_000
"""More than a tick of any file system's clock but those of FAT, which has two seconds."""
_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_COPY = "what can still be read is brought to another folder by `autointerp store copy`"
_ADVICE = {
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_READONLY: ELSEWHERE,
    sqlite3.SQLITE_BUSY: "another process has been writing it for minutes; try again",
    **dict.fromkeys(_CORRUPT, f"move it away and {AGAIN}; {_COPY}"),
}


class Connection(sqlite3.Connection):
    """To one file, for a while; what it has written or found there nobody else changes."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.refs: dict[int, tuple[object, tuple[int, int]]] = {}
        """By the id of an object, which is kept: where its row is, as far as that was asked in its
        transaction."""
        self.is_marked = False
        """Whether its transaction has a mark, see `label_database`."""


def has_table(connection: Connection, name: str) -> bool:
    """Whether the file has such a table."""
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    return connection.execute(query, (name,)).fetchone() is not None


def is_settled(stamp: tuple[int, ...]) -> bool:
    """Whether a file is so old that whoever writes it changes its stamp."""
    # Written twice in one tick of the file system's clock, a file may look the same.
    return max(stamp[2:]) < time.time_ns() - _TICK_NS


class Database:
    """A file of tables; several processes may write it in turn while others read."""

    def __init__(self, path: Path, tables: str, *, scratch: bool = False) -> None:
        """`tables` make what a new file holds; a scratch file is synced by whoever renames it."""
        self.path, self._scratch = path, scratch
        self._thread = threading.local()
        self._page, self._tables = tables.strip().split(";", 1)

    @contextmanager
    def reading(self) -> Iterator[Connection | None]:
        """A connection for some queries; None where there is no file or nothing in it.

        Whoever reads holds writers up, so rows are fetched before the block ends.

        Raises:
            InputError: a newer autointerp wrote it.
            StorageError: it cannot be read.
        """
        held = getattr(self._thread, "held", None)
        if held is not None:
            with self._errors("read"):
                yield held
            return
        if not self.is_there():
            yield None
            return
        with self._errors("read"), closing(self._reader()) as connection:
            yield connection if self._version(connection) else None

    @contextmanager
    def held(self) -> Iterator[None]:
        """What this thread reads in the block goes through one connection, which has no lock.

        Raises:
            InputError: a newer autointerp wrote it.
            StorageError: it cannot be read.
        """
        with self.reading() as connection:
            before = getattr(self._thread, "held", None)
            self._thread.held = connection
            try:
                yield
            finally:
                self._thread.held = before

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection in a transaction, which is durable when the block ends well.

        Raises:
            InputError: a newer autointerp wrote it.
            StorageError: it cannot be written; it is then what it was before.
        """
        self.is_there()
        with storage_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._errors("write"), closing(self._connect("rwc")) as connection:
            connection.execute(self._page)
            connection.execute("PRAGMA synchronous = FULL")
            if self._scratch:
                connection.execute("PRAGMA journal_mode = MEMORY")
                connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN IMMEDIATE")
            try:
                if not self._version(connection):
                    self._make(connection)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def make(self) -> None:
        """Makes the file where there is none."""
        with self.writing():
            pass

    def stamp(self) -> tuple[int, ...] | None:
        """Inode, size, and when content and inode changed; None where there is nothing to read."""
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns

    def is_taken(self) -> bool:
        """Whether anything has its path, be it one that cannot be opened."""
        with (
            storage_errors(self.path, verb="read"),
            suppress(FileNotFoundError, NotADirectoryError),
        ):
            os.lstat(self.path)
            return True
        return False

    def is_there(self) -> bool:
        """Whether there is a file; opening a pipe would wait for somebody who writes."""
        with storage_errors(self.path, verb="read"):
            try:
                mode = os.stat(self.path).st_mode
            except FileNotFoundError:
                return False
        if not stat.S_ISREG(mode):
            raise StorageError(f"{self.path} is not a file; move it away and run again")
        return True

    def _reader(self) -> Connection:
        connection = self._connect("ro")
        try:
            connection.execute("PRAGMA schema_version").fetchone()
        except sqlite3.OperationalError:
            # A killed writer left a journal, which only somebody who may write can roll back.
            connection.close()
            connection = self._connect("rw")
        return connection

    def _connect(self, mode: str) -> Connection:
        address = f"{self.path.absolute().as_uri()}?mode={mode}"
        return sqlite3.connect(
            address, _PATIENCE_S, isolation_level=None, factory=Connection, uri=True
        )

    def _version(self, connection: Connection) -> int:
        """The version of what is there, 0 where nothing is."""
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if application == _APPLICATION and version > SCHEMA:
            raise newer_version(str(self.path), version, SCHEMA)
        if not application and not connection.execute("PRAGMA schema_version").fetchone()[0]:
            return 0
        if application != _APPLICATION or version != SCHEMA:
            raise StorageError(f"{self.path} is a database of another program; move it away")
        return SCHEMA

    def _make(self, connection: Connection) -> None:
        for statement in self._tables.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute(f"PRAGMA user_version = {SCHEMA}")

    @contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            advice = _ADVICE.get(code, f"check the disk and {AGAIN}")
            message = f"could not {verb} {self.path}: {error}; {advice}"
            raise StorageError(message) from error
