"""Folders that autointerp wrote before labels lay in databases: a JSON file a label, for reading.

A run has ``labels/HOOK/INDEX.SIDE.json`` and ``sets/HOOK/INDEX.SIDE.json.gz``, a dictionary
``scores/`` and ``records/`` with the same names.
"""

from __future__ import annotations

import logging
import shutil
import zlib
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from autointerp.core.errors import AutointerpError, DamagedError, StorageError
from autointerp.core.explanations import Label
from autointerp.core.files import REMAKE, read_file, storage_errors
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import ExplainSet, HeldOutSet, UnitSets, ValidationSet
from autointerp.core.unreadable import if_readable
from autointerp.store.codec import SETS
from autointerp.store.label_records import RECORDS
from autointerp.store.labels.label_database import Change, Key, key_of
from autointerp.store.labels.layout import SideKey, unit_path, unit_sides
from autointerp.store.lock import wait_for_lock
from autointerp.store.packed_labels import unpack_label

if TYPE_CHECKING:
    from autointerp.store.labels.folder_store import FolderLabelStore

_LOGGER = logging.getLogger("autointerp.store")
_LABELS, _SETS = ".json", ".json.gz"
_NOW_IN = "scores/labels.sqlite and records/; the JSON files are not used any more"


class OldFolder:
    """The labels and records of such a folder."""

    def __init__(self, folder: Path, *, advice: str = REMAKE) -> None:
        self._advice = advice
        self._is_run = (folder / "labels").is_dir()
        self._labels = folder / ("labels" if self._is_run else "scores")
        self._sets, self._records = folder / "sets", folder / "records"

    @classmethod
    def of(cls, folder: Path, *, advice: str = REMAKE) -> OldFolder | None:
        """The folder, or None where it is none of these."""
        found = cls(folder, advice=advice)
        with storage_errors(found._labels, verb="list"):
            is_one = found._is_run or bool(unit_sides(found._labels, _LABELS))
        return found if is_one else None

    def all_keys(self) -> list[Key]:
        """The keys of all labels, in reading order."""
        return self._keys

    @cached_property
    def _keys(self) -> list[Key]:
        with storage_errors(self._labels, verb="list"):
            sides = unit_sides(self._labels, _LABELS)
        return sorted(key_of(UnitId("", hook, index), side) for hook, index, side in sides)

    def is_empty(self) -> bool:
        """Whether there is none."""
        return not self.count()

    def count(self) -> int:
        """How many labels there are."""
        return len(self.all_keys())

    def newest(self) -> int:
        """The number of the last change: labels are numbered in reading order."""
        return self.count()

    def numbering(self) -> int:
        """Changes with that order; no database has such a number."""
        return -1 - self.count()

    def changes(self, since: int, limit: int) -> list[Change]:
        """The labels after a number, without rows."""
        numbered = [Change(n, key, None) for n, key in enumerate(self.all_keys(), 1)]
        return numbered[since : since + limit]

    def hooks(self, layer: int | None) -> list[str]:
        """The hook points of a layer, or of all, that have a label, sorted."""
        return sorted({hook for of, hook, _, _ in self.all_keys() if layer in (None, of)})

    def where(self, key: Key) -> str:
        """The path of a label."""
        _, hook, index, side = key
        return str(self._labels / unit_path(UnitId("", hook, index), tuple(Side)[side], _LABELS))

    def get(self, key: Key) -> bytes | None:
        """The label as compressed JSON; None where there is none."""
        data = read_file(Path(self.where(key)))
        return None if data is None else zlib.compress(data, 0)

    def sides_with_sets(self) -> set[SideKey]:
        """The sides that have sets."""
        folder = self._sets if self._is_run else self._records
        with storage_errors(folder, verb="list"):
            return unit_sides(folder, _SETS)

    def sets(self, unit: UnitId, side: Side) -> UnitSets | None:
        """The sets; of a dictionary without the validation set, which its records lack."""
        name = unit_path(unit, side, _SETS)
        sets = SETS.read(self._sets / name, advice=self._advice)
        if sets is not None or self._is_run:
            return sets
        stored = RECORDS.read(self._records / name, advice=self._advice)
        if stored is None:
            return None
        return UnitSets(
            ExplainSet(stored.unit, side, stored.explain, stored.peak),
            ValidationSet(stored.unit, side, (), (), stored.peak),
            HeldOutSet(stored.unit, side, stored.held_out, stored.strata, stored.peak),
            stored.shown,
        )

    def copy(
        self,
        put_sets: Callable[[UnitSets], None],
        put_label: Callable[[Key, bytes, Label | None], None],
    ) -> None:
        """Puts everything; a label that is damaged or of a newer version as the bytes it is.

        Raises:
            StorageError: something cannot be read just now, and may be whole.
        """
        for key in self.all_keys():
            data = if_readable(partial(self.get, key), _tell_lasting)
            if data is None:
                continue
            unpack = partial(unpack_label, data, where=self.where(key), advice=self._advice)
            unit, side = UnitId("", *key[1:3]), tuple(Side)[key[3]]
            sets = if_readable(partial(self.sets, unit, side), _tell_lasting)
            if sets is not None:
                put_sets(sets)
            put_label(key, data, if_readable(unpack, _tell_lasting))


def _tell_lasting(error: AutointerpError) -> None:
    """Logs that something is damaged or of a newer version; raises what may pass."""
    if isinstance(error, StorageError) and not isinstance(error, DamagedError):
        raise error
    _LOGGER.warning("copied as it is, or left behind: %s", error)


def bring_old(folder: Path, find: Callable[[], OldFolder | None], copy: FolderLabelStore) -> None:
    """Copies what an earlier version wrote in a folder, by way of a store in it that is empty.

    Of several processes that want to write there one copies; `find` tells whether one did.
    """
    with storage_errors(folder), wait_for_lock(folder / ".copying.lock"):
        old = find()
        if old is None:
            return
        shutil.rmtree(copy.folder, ignore_errors=True)
        _LOGGER.warning("%s: copying %d labels of an earlier version", folder, old.count())
        copy.take_old(old)
        copy.move_into(folder)
        shutil.rmtree(copy.folder)
    _LOGGER.warning("%s: labels of an earlier version are now in %s", folder, _NOW_IN)
