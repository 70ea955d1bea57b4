"""Puts into the files of a folder, each written at once or some hundreds together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby

from autointerp.store.labels.database import Connection, Database
from autointerp.store.labels.label_database import Key

_AT_ONCE = 256

Put = Callable[[Connection], None]
_Waiting = list[tuple[Database, Key, Put]]


class WaitingPuts:
    """What each thread puts, and what of it is not written yet; `wrote` ends each transaction."""

    def __init__(self, wrote: Callable[[Database, Connection], None]) -> None:
        self._wrote = wrote
        self._thread = threading.local()

    @contextmanager
    def batch(self) -> Iterator[None]:
        """What this thread puts is written some hundreds at a time, and when the block ends."""
        if self._waiting is not None:
            yield
            return
        self._thread.waiting = []
        try:
            yield
        finally:
            try:
                self.flush()
            finally:
                self._thread.waiting = None

    def put(self, database: Database, key: Key, put: Put) -> None:
        """Writes it now, or with others where this thread is in a batch."""
        waiting = self._waiting
        if waiting is None:
            self._write(database, [put])
            return
        waiting.append((database, key, put))
        if len(waiting) >= _AT_ONCE:
            self.flush()

    def flush(self, key: Key | None = None) -> None:
        """Writes what waits; with a key, only where some of it is of that label."""
        waiting = self._waiting
        if not waiting or (key is not None and all(key != of for _, of, _ in waiting)):
            return
        self._thread.waiting = []
        # Records come before labels, which say that a unit is done.
        by_file = sorted(waiting, key=lambda each: (each[0].path.parent.name, str(each[0].path)))
        for _, group in groupby(by_file, key=lambda each: each[0].path):
            puts = list(group)
            self._write(puts[0][0], [put for _, _, put in puts])

    def _write(self, database: Database, puts: list[Put]) -> None:
        with database.writing() as connection:
            for put in puts:
                put(connection)
            self._wrote(database, connection)

    @property
    def _waiting(self) -> _Waiting | None:
        waiting: _Waiting | None = getattr(self._thread, "waiting", None)
        return waiting
