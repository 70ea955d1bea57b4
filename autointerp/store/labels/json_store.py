"""A store of JSON files, one a label: readable, diffable, safe to kill at any moment."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Set
from functools import partial
from itertools import islice
from pathlib import Path
from urllib.parse import unquote

from typing_extensions import override

from autointerp.core.asynchrony import prefetch
from autointerp.core.errors import AutointerpError, DamagedError, InputError, StorageError
from autointerp.core.explanations import Label, LabelStatus, LabelSummary
from autointerp.core.files import (
    REMAKE,
    gzip_bytes,
    read_file,
    set_aside,
    storage_errors,
    write_atomic,
)
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import UnitSets
from autointerp.core.unreadable import OnUnreadable, if_readable, refuse_unreadable
from autointerp.store.codec import LABELS, SETS, decode_label_summary
from autointerp.store.labels.journal import Journal
from autointerp.store.labels.label_store import NO_ROWS, LabelStore, LabelStores, RowOf
from autointerp.store.labels.layout import (
    SideKey,
    folder_name,
    unit_name,
    unit_path,
    unit_paths,
    unit_sides,
)

_LOGGER = logging.getLogger("autointerp.store")
_EVERY = 1 << 60
_BATCH, _N_THREADS = 64, 2
_TICK_NS = 100_000_000
"""More than a tick of any file system's clock but those of FAT, which has two seconds."""
_MOST_LEFT_OUT = 100
"""Labels that are looked at again when it is asked what is left out."""

_Load = Callable[[], bytes | None]


class JsonLabelStore(LabelStore):
    """``labels/HOOK/INDEX.SIDE.json`` and ``sets/HOOK/INDEX.SIDE.json.gz`` in a folder.

    The folder is made by the first put. Others may read while one writes. A store that is given
    `row_of` also writes ``rows.jsonl``.
    """

    labels_are_local = True
    sets_are_local = True

    def __init__(self, folder: Path | str, row_of: RowOf | None = None) -> None:
        self.folder = Path(folder)
        self._row_of = row_of
        self._journal = Journal(self.folder / "rows.jsonl", self._rows)
        self._rows_checked = row_of is None
        self._left_out: dict[Path, str] = {}
        self._checking = threading.Lock()
        self._labels = self.folder / "labels"
        self._sets = self.folder / "sets"

    @override
    def put_label(self, label: Label) -> None:
        path = self._labels / unit_path(label.unit, label.side, ".json")
        if label.status is LabelStatus.FAILED and not self._is_replaced(path, label):
            return
        _write(path, LABELS.encode(label))
        if self._row_of is not None:
            self._journal.append(self._row_of(label).encode())

    @override
    def get_label(self, unit: UnitId, side: Side) -> Label | None:
        path = self._labels / unit_path(unit, side, ".json")
        label = LABELS.read(path)
        if label is not None and (label.unit, label.side) != (unit, side):
            raise _misplaced(path, label.unit, unit)
        return label

    @override
    def stamp(self, unit: UnitId) -> Hashable | None:
        names = [unit_name(unit, side) for side in Side]
        files = [*(f"{self._labels}/{name}.json" for name in names)]
        files += [f"{self._sets}/{name}.json.gz" for name in names]
        stamps = [_file_stamp(path) for path in files]
        # Written twice in one tick of the file system's clock, a file may look the same.
        settled_ns = time.time_ns() - _TICK_NS
        is_settled = all(one is None or max(one[2:]) < settled_ns for one in stamps)
        return tuple(stamps) if is_settled else None

    @override
    def labels(self, on_unreadable: OnUnreadable = refuse_unreadable) -> Iterator[Label]:
        for path in _paths(self._labels, ".json"):
            label = if_readable(partial(LABELS.read, path), on_unreadable)
            if label is not None:
                yield label

    @override
    def summaries(self, on_unreadable: OnUnreadable = refuse_unreadable) -> Iterator[LabelSummary]:
        paths = _paths(self._labels, ".json")
        batches = iter(lambda: tuple(islice(paths, _BATCH)), ())
        reads = (partial(_read_all, batch) for batch in batches)
        for files in prefetch(reads, n_threads=_N_THREADS):
            for path, load in files:
                summary = if_readable(partial(_summary, path, load), on_unreadable)
                if summary is not None:
                    yield summary

    @override
    def count(self) -> int:
        return sum(1 for _ in _paths(self._labels, ".json"))

    @override
    def put_sets(self, sets: UnitSets) -> None:
        path = self._sets / unit_path(sets.explain.unit, sets.explain.side, ".json.gz")
        _write(path, gzip_bytes(SETS.encode(sets)))

    @override
    def get_sets(self, unit: UnitId, side: Side) -> UnitSets | None:
        path = self._sets / unit_path(unit, side, ".json.gz")
        sets = SETS.read(path)
        if sets is not None and (sets.explain.unit, sets.explain.side) != (unit, side):
            raise _misplaced(path, sets.explain.unit, unit)
        return sets

    @override
    def sides_with_sets(self) -> Set[SideKey]:
        with storage_errors(self._sets, verb="list"):
            return unit_sides(self._sets, ".json.gz")

    @override
    def rows_since(self, change: int, limit: int) -> tuple[list[bytes], int]:
        if self._row_of is None:
            raise AutointerpError(NO_ROWS)
        with self._checking:
            if not self._rows_checked:
                self._add_missing_rows()
        return self._journal.since(change, limit)

    @override
    def left_out(self) -> tuple[str, ...]:
        for path in tuple(self._left_out)[:_MOST_LEFT_OUT]:
            if self._readable(path):
                self._rows_checked = False  # It was mended, and may have no row.
        return tuple(self._left_out.values())

    def _is_replaced(self, path: Path, failed: Label) -> bool:
        try:
            return failed.replaces(LABELS.read(path))
        except DamagedError:
            return True
        except InputError:
            return False  # Of a newer version, which can read it.

    def _readable(self, path: Path) -> Label | None:
        """The label, or None where there is none or it is left out."""
        before = self._left_out.pop(path, None)

        def leave_out(error: AutointerpError) -> None:
            self._left_out[path] = str(error)
            if before is None:
                _LOGGER.warning("a label is left out: %s", error)

        return if_readable(partial(LABELS.read, path), leave_out)

    def _rows(self) -> Iterator[bytes]:
        row_of = self._row_of
        labels = map(self._readable, _paths(self._labels, ".json"))
        return (row_of(label).encode() for label in labels if label and row_of)

    def _add_missing_rows(self) -> None:
        """For labels of before there were rows, whose writer was killed, or that were mended."""
        rows, _ = self._journal.since(0, _EVERY)
        result = (json.loads(row) for row in rows)
        listed = {(row["hook"], int(row["index"]), Side(row["polarity"])) for row in result}
        with storage_errors(self._labels, verb="list"):
            there = unit_sides(self._labels, ".json")
        missing = (
            self._labels / unit_path(UnitId("", hook, index), side, ".json")
            for hook, index, side in there - listed
        )
        # A label that cannot be read is not missed: its row cannot be made.
        if listed - there or any(self._readable(path) for path in missing):
            self._journal.make_anew()
        self._rows_checked = True


class JsonLabelStores(LabelStores):
    """A folder a model, named after it."""

    def __init__(self, folder: Path | str, row_of: RowOf | None = None) -> None:
        self.folder = Path(folder)
        self._row_of = row_of
        self._lock = threading.Lock()
        self._stores: dict[str, JsonLabelStore] = {}

    @override
    def of(self, model: str) -> JsonLabelStore:
        with self._lock:
            if model not in self._stores:
                folder = self.folder / folder_name(model)
                self._stores[model] = JsonLabelStore(folder, self._row_of)
            return self._stores[model]

    @override
    def models(self) -> list[str]:
        with storage_errors(self.folder, verb="list"):
            if not self.folder.exists():
                return []
            result = [path.name for path in self.folder.iterdir() if _has_labels(path)]
        return sorted(unquote(name) for name in result)


def _has_labels(folder: Path) -> bool:
    try:
        return (folder / "labels").is_dir()
    except OSError:
        return True  # Whoever asks for its labels is told why they cannot be read.


def _paths(folder: Path, suffix: str) -> Iterator[Path]:
    with storage_errors(folder, verb="list"):
        return unit_paths(folder, suffix)


def _file_stamp(path: str) -> tuple[int, ...] | None:
    """Inode, size, and when content and inode changed; None where there is nothing to read."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _write(path: Path, data: bytes) -> None:
    with storage_errors(path):
        set_aside(path)
    write_atomic(path, data)


def _read_all(paths: tuple[Path, ...]) -> list[tuple[Path, _Load]]:
    return [(path, _loaded(path)) for path in paths]


def _loaded(path: Path) -> _Load:
    """What gives the file's bytes, or raises why they could not be read."""
    try:
        data = read_file(path)
    except StorageError as error:
        return partial(refuse_unreadable, error)
    return lambda: data


def _summary(path: Path, load: _Load) -> LabelSummary | None:
    data = load()
    return None if data is None else decode_label_summary(data, where=str(path))


def _misplaced(path: Path, names: UnitId, asked: UnitId) -> DamagedError:
    return DamagedError(f"{path} holds {names}, not {asked}: it was moved or renamed; {REMAKE}")
