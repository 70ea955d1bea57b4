"""A store of JSON files, one a label: readable, diffable, safe to kill at any moment."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence, Set
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from autointerp.core.errors import AutointerpError, StorageError
from autointerp.core.ids import Side, UnitId
from autointerp.core.labels import Label, LabelHead, LabelStatus
from autointerp.core.records import UnitSets
from autointerp.store.ahead import read_ahead
from autointerp.store.codec import LABELS, SETS, Codec
from autointerp.store.files import (
    REMAKE,
    gunzip,
    gzip_bytes,
    read_file,
    remove_leftovers,
    storage_errors,
    write_atomic,
)
from autointerp.store.heads import label_head
from autointerp.store.journal import Journal
from autointerp.store.layout import SideKey, unit_path, unit_paths, unit_sides
from autointerp.store.protocol import NO_ROWS, RowOf, Sides

T = TypeVar("T")

_EVERY = 1 << 60
_AT_ONCE, _N_THREADS = 64, 2


class JsonStore:
    """``labels/HOOK/INDEX.SIDE.json`` and ``sets/HOOK/INDEX.SIDE.json.gz`` in a folder.

    The folder is made by the first put. Readers may look on while others write. A store that is
    given `row_of` also keeps ``rows.jsonl``.
    """

    sets_are_near = True

    def __init__(self, folder: Path | str, row_of: RowOf | None = None) -> None:
        self.folder = Path(folder)
        self._row_of = row_of
        self._journal = Journal(self.folder / "rows.jsonl", self._rows)
        self._looked = row_of is None
        self._looking = threading.Lock()
        self._labels = self.folder / "labels"
        self._sets = self.folder / "sets"

    def put_label(self, label: Label) -> None:
        """Keeps a label, unless it failed and there is one that did not.

        The disk has it when this returns.
        """
        path = self._labels / unit_path(label.unit, label.side, ".json")
        if label.status is LabelStatus.FAILED:
            there = _read(path, LABELS)
            if there is not None and there.status is not LabelStatus.FAILED:
                return
        write_atomic(path, LABELS.encode(label))
        if self._row_of is not None:
            self._journal.append(self._row_of(label).encode())

    def get_label(self, unit: UnitId, side: Side) -> Label | None:
        """The label, or None where there is none."""
        path = self._labels / unit_path(unit, side, ".json")
        label = _read(path, LABELS)
        if label is not None and (label.unit, label.side) != (unit, side):
            raise _misplaced(path, label.unit, unit)
        return label

    def get_sides(self, unit: UnitId) -> tuple[Label, ...]:
        """The labels of a unit's sides, positive first."""
        found = (self.get_label(unit, side) for side in Side)
        return tuple(label for label in found if label is not None)

    def sides_of(self, units: Sequence[UnitId]) -> list[Sides]:
        """What reads each unit's labels: for files there is nothing to be gained."""
        return [partial(self.get_sides, unit) for unit in units]

    def labels(self) -> Iterator[Label]:
        """Every label in reading order; the next file is read when the next is asked for."""
        for path in _paths(self._labels, ".json"):
            label = _read(path, LABELS)
            if label is not None:
                yield label

    def heads(self) -> Iterator[LabelHead]:
        """The head of every label in reading order; some files are read ahead."""
        paths = _paths(self._labels, ".json")
        some = iter(lambda: tuple(islice(paths, _AT_ONCE)), ())
        reads = (partial(_read_all, paths) for paths in some)
        for files in read_ahead(reads, n_threads=_N_THREADS):
            for path, data in files:
                if data is not None:
                    yield label_head(data, where=str(path))

    def count(self) -> int:
        """How many label files there are; none is read."""
        return sum(1 for _ in _paths(self._labels, ".json"))

    def put_sets(self, sets: UnitSets) -> None:
        """Keeps the records of a side's three sets."""
        path = self._sets / unit_path(sets.explain.unit, sets.explain.side, ".json.gz")
        write_atomic(path, gzip_bytes(SETS.encode(sets)))

    def get_sets(self, unit: UnitId, side: Side) -> UnitSets | None:
        """The three sets, or None where there are none."""
        path = self._sets / unit_path(unit, side, ".json.gz")
        sets = _read(path, SETS)
        if sets is not None and (sets.explain.unit, sets.explain.side) != (unit, side):
            raise _misplaced(path, sets.explain.unit, unit)
        return sets

    def sides_with_sets(self) -> Set[SideKey]:
        """The sides that have a file of sets; none is read."""
        with storage_errors(self._sets, verb="list"):
            return unit_sides(self._sets, ".json.gz")

    def rows_since(self, change: int, limit: int) -> tuple[list[bytes], int]:
        """Rows of labels that were put after a change, and the last change among them."""
        if self._row_of is None:
            raise AutointerpError(NO_ROWS)
        with self._looking:
            if not self._looked:
                self._look_for_labels_without_rows()
        return self._journal.since(change, limit)

    def remove_leftovers(self) -> int:
        """Deletes what killed writes left; only the one process that writes may call it."""
        return remove_leftovers(self._labels) + remove_leftovers(self._sets)

    def _rows(self) -> Iterator[bytes]:
        row_of = self._row_of
        return (row_of(label).encode() for label in self.labels()) if row_of else iter(())

    def _look_for_labels_without_rows(self) -> None:
        """Once a store: labels of before there were rows, or whose writer was killed."""
        rows, _ = self._journal.since(0, _EVERY)
        found = (json.loads(row) for row in rows)
        sides = {(row.get("hook"), row.get("index"), row.get("polarity")) for row in found}
        if len(sides) != self.count():
            self._journal.make_anew()
        self._looked = True


def _paths(folder: Path, suffix: str) -> Iterator[Path]:
    with storage_errors(folder, verb="list"):
        return unit_paths(folder, suffix)


def _read(path: Path, codec: Codec[T]) -> T | None:
    data = read_file(path)
    if data is None:
        return None
    if path.suffix == ".gz":
        data = gunzip(data, where=str(path))
    return codec.decode(data, where=str(path))


def _read_all(paths: tuple[Path, ...]) -> list[tuple[Path, bytes | None]]:
    return [(path, read_file(path)) for path in paths]


def _misplaced(path: Path, found: UnitId, asked: UnitId) -> StorageError:
    return StorageError(f"{path} holds {found}, not {asked}: it was moved or renamed; {REMAKE}")
