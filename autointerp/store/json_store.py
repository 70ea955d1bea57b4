"""A store of JSON files, one a label: readable, diffable, safe to kill at any moment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from autointerp.core.errors import StorageError
from autointerp.core.ids import Side, UnitId
from autointerp.core.labels import Label
from autointerp.core.records import UnitSets
from autointerp.store.codec import LABELS, SETS, Codec
from autointerp.store.files import (
    REMAKE,
    gunzip,
    gzip_bytes,
    remove_leftovers,
    storage_errors,
    write_atomic,
)
from autointerp.store.layout import unit_path, unit_paths

__all__ = ["JsonStore"]

T = TypeVar("T")


class JsonStore:
    """``labels/HOOK/INDEX.SIDE.json`` and ``sets/HOOK/INDEX.SIDE.json.gz`` in a folder.

    The folder is made by the first put. Readers may look on while one process writes.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._labels = self.folder / "labels"
        self._sets = self.folder / "sets"

    def put_label(self, label: Label) -> None:
        """Keeps a label; the disk has it when this returns."""
        path = self._labels / unit_path(label.unit, label.side, ".json")
        write_atomic(path, LABELS.encode(label))

    def get_label(self, unit: UnitId, side: Side) -> Label | None:
        """The label, or None where there is none."""
        path = self._labels / unit_path(unit, side, ".json")
        label = _read(path, LABELS)
        if label is not None and (label.unit, label.side) != (unit, side):
            raise _misplaced(path, label.unit, unit)
        return label

    def labels(self) -> Iterator[Label]:
        """Every label in reading order; the next file is read when the next is asked for."""
        for path in _paths(self._labels, ".json"):
            label = _read(path, LABELS)
            if label is not None:
                yield label

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

    def remove_leftovers(self) -> int:
        """Deletes what killed writes left; only the one process that writes may call it."""
        return remove_leftovers(self._labels) + remove_leftovers(self._sets)


def _paths(folder: Path, suffix: str) -> Iterator[Path]:
    with storage_errors(folder, verb="list"):
        return unit_paths(folder, suffix)


def _read(path: Path, codec: Codec[T]) -> T | None:
    with storage_errors(path, verb="read"):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
    if path.suffix == ".gz":
        data = gunzip(data, where=str(path))
    return codec.decode(data, where=str(path))


def _misplaced(path: Path, found: UnitId, asked: UnitId) -> StorageError:
    return StorageError(f"{path} holds {found}, not {asked}: it was moved or renamed; {REMAKE}")
