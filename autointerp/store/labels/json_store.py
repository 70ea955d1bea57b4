"""A store of JSON files, one a label: readable, diffable, safe to kill at any moment."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Set
from functools import partial
from itertools import islice
from pathlib import Path
from urllib.parse import unquote

from typing_extensions import override

from autointerp.core.asynchrony import prefetch
from autointerp.core.errors import AutointerpError, StorageError
from autointerp.core.explanations import Label, LabelStatus, LabelSummary
from autointerp.core.files import (
    REMAKE,
    gzip_bytes,
    read_file,
    storage_errors,
    write_atomic,
)
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import UnitSets
from autointerp.store.codec import LABELS, SETS, decode_label_summary
from autointerp.store.labels.journal import Journal
from autointerp.store.labels.label_store import NO_ROWS, LabelStore, LabelStores, RowOf
from autointerp.store.labels.layout import SideKey, folder_name, unit_path, unit_paths, unit_sides

_EVERY = 1 << 60
_BATCH, _N_THREADS = 64, 2


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
        self._checking = threading.Lock()
        self._labels = self.folder / "labels"
        self._sets = self.folder / "sets"

    @override
    def put_label(self, label: Label) -> None:
        path = self._labels / unit_path(label.unit, label.side, ".json")
        if label.status is LabelStatus.FAILED and not label.replaces(LABELS.read(path)):
            return
        write_atomic(path, LABELS.encode(label))
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
    def labels(self) -> Iterator[Label]:
        for path in _paths(self._labels, ".json"):
            label = LABELS.read(path)
            if label is not None:
                yield label

    @override
    def summaries(self) -> Iterator[LabelSummary]:
        paths = _paths(self._labels, ".json")
        batches = iter(lambda: tuple(islice(paths, _BATCH)), ())
        reads = (partial(_read_all, batch) for batch in batches)
        for files in prefetch(reads, n_threads=_N_THREADS):
            for path, data in files:
                if data is not None:
                    yield decode_label_summary(data, where=str(path))

    @override
    def count(self) -> int:
        return sum(1 for _ in _paths(self._labels, ".json"))

    @override
    def put_sets(self, sets: UnitSets) -> None:
        path = self._sets / unit_path(sets.explain.unit, sets.explain.side, ".json.gz")
        write_atomic(path, gzip_bytes(SETS.encode(sets)))

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

    def _rows(self) -> Iterator[bytes]:
        row_of = self._row_of
        return (row_of(label).encode() for label in self.labels()) if row_of else iter(())

    def _add_missing_rows(self) -> None:
        """Once a store: for labels of before there were rows, or whose writer was killed."""
        rows, _ = self._journal.since(0, _EVERY)
        result = (json.loads(row) for row in rows)
        sides = {(row.get("hook"), row.get("index"), row.get("polarity")) for row in result}
        if len(sides) != self.count():
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
            result = [path.name for path in self.folder.iterdir() if (path / "labels").is_dir()]
        return sorted(unquote(name) for name in result)


def _paths(folder: Path, suffix: str) -> Iterator[Path]:
    with storage_errors(folder, verb="list"):
        return unit_paths(folder, suffix)


def _read_all(paths: tuple[Path, ...]) -> list[tuple[Path, bytes | None]]:
    return [(path, read_file(path)) for path in paths]


def _misplaced(path: Path, names: UnitId, asked: UnitId) -> StorageError:
    return StorageError(f"{path} holds {names}, not {asked}: it was moved or renamed; {REMAKE}")
