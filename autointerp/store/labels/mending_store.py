"""A store of labels as work goes on with it: what is damaged there is made anew, newer is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from typing_extensions import override

from autointerp.core.errors import DamagedError, InputError, StorageError
from autointerp.core.explanations import Label, LabelOrigin
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import UnitSets
from autointerp.store.label_outlines import LabelOutline
from autointerp.store.labels.label_store import UnitStore
from autointerp.store.labels.layout import SideKey


class MendingStore(UnitStore):
    """Another store, in which damaged labels and records count as missing.

    What a newer version wrote counts as missing too, and stays as it is.
    """

    def __init__(self, store: UnitStore, note: Callable[[str], None]) -> None:
        """`note` is called with a sentence for each that is damaged or newer, once.

        What could not be read just now stays an error: it may be whole, and was paid for.
        """
        self._store, self._note = store, note
        self._noted: set[str] = set()
        self.newer: dict[tuple[UnitId, Side], str] = {}
        """Why labels cannot be read that are there, but of a newer version."""
        self.newer_sets: dict[tuple[UnitId, Side], str] = {}
        """The same of records."""
        self._known_sets: set[tuple[UnitId, Side]] = set()

    @override
    def put_label(self, label: Label) -> None:
        if (label.unit, label.side) not in self.newer:
            self._store.put_label(label)

    @override
    def get_label(self, unit: UnitId, side: Side) -> Label | None:
        return self._read(self._store.get_label, unit, side)

    @override
    def get_without_trials(self, unit: UnitId, side: Side) -> Label | None:
        return self._read(self._store.get_without_trials, unit, side)

    @override
    def outlines(self) -> Mapping[SideKey, LabelOutline | None] | None:
        return self._store.outlines()

    def _read(
        self, get: Callable[[UnitId, Side], Label | None], unit: UnitId, side: Side
    ) -> Label | None:
        try:
            return get(unit, side)
        except DamagedError as error:
            self._say(f"a label is made anew: {error}")
        except InputError as error:
            self.newer[unit, side] = str(error)
            self._say(f"a label is left as it is: {error}")
        return None

    @override
    def put_sets(self, sets: UnitSets, origin: LabelOrigin | None = None) -> None:
        key = (sets.explain.unit, sets.explain.side)
        if key not in self._known_sets:
            with suppress(StorageError):  # It is replaced.
                self.get_sets(*key, origin)
        if key not in self.newer_sets:
            self._store.put_sets(sets, origin)

    @override
    def get_sets(
        self, unit: UnitId, side: Side, origin: LabelOrigin | None = None
    ) -> UnitSets | None:
        self._known_sets.add((unit, side))
        try:
            return self._store.get_sets(unit, side, origin)
        except DamagedError as error:
            self._say(f"records are read anew: {error}")
        except InputError as error:
            self.newer_sets[unit, side] = str(error)
            self._say(f"records are read anew, and those in the store are left: {error}")
        return None

    @override
    @contextmanager
    def batch(self) -> Iterator[None]:
        with self._store.batch():
            yield

    def _say(self, sentence: str) -> None:
        if sentence not in self._noted:
            self._noted.add(sentence)
            self._note(sentence)
