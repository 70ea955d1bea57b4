"""``records/HOOK.sqlite``: the records behind the labels of a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from autointerp.core.errors import InputError, StorageError
from autointerp.core.explanations import LabelOrigin
from autointerp.core.files import storage_errors
from autointerp.core.ids import HookPoint, Side, UnitId
from autointerp.core.records import UnitSets
from autointerp.store.labels import kept_tables, record_tables
from autointerp.store.labels.database import Connection, Database
from autointerp.store.labels.label_database import Key, key_of
from autointerp.store.labels.layout import SideKey, is_hook, names_in
from autointerp.store.labels.record_tables import RecordTables
from autointerp.store.labels.waiting_puts import Put
from autointerp.store.packed_sets import pack_sets

SUFFIX = ".sqlite"


class FolderRecords:
    """The files of records of a folder, one a hook point."""

    def __init__(
        self,
        folder: Path,
        put: Callable[[Database, Key, Put], None],
        origin_of: Callable[[UnitId, Side], LabelOrigin | None],
    ) -> None:
        """`origin_of` tells the origin of the label that is there, as far as it can be read."""
        self._folder, self._put, self._origin_of = folder / "records", put, origin_of

    def put(self, sets: UnitSets, origin: LabelOrigin | None) -> None:
        """Stores sets in place of others, which are kept where an origin says that they differ."""
        unit, side = sets.explain.unit, sets.explain.side
        windows, packed = pack_sets(sets)
        was = None if origin is None else self._digest(unit, side)

        def put(connection: Connection) -> None:
            if origin is not None:
                kept_tables.keep_sets(connection, unit.index, side, origin.digest, was)
            record_tables.put(connection, unit.index, side, windows, packed)

        self._put(self.tables(unit.hook).database, key_of(unit, side), put)

    def put_kept(self, sets: UnitSets, origin: LabelOrigin) -> None:
        """Stores sets beside those of the newest label, or in their place if of its origin."""
        unit, side = sets.explain.unit, sets.explain.side
        windows, packed = pack_sets(sets)
        was = self._digest(unit, side)

        def put(connection: Connection) -> None:
            noted = kept_tables.origin_of_sets(connection, unit.index, side) or was
            if noted == origin.digest:
                record_tables.put(connection, unit.index, side, windows, packed)
                return
            refs = record_tables.put_windows(connection, windows)
            place = unit.index, side
            kept_tables.put_kept_sets(connection, place, origin.digest, refs, packed)

        self._put(self.tables(unit.hook).database, key_of(unit, side), put)

    def get(
        self, unit: UnitId, side: Side, *, origin: LabelOrigin | None, advice: str
    ) -> UnitSets | None:
        """Those of an origin, where None of the newest label's; None where there are none."""
        tables = self.tables(unit.hook)
        where = f"the records of {unit.index} ({side}) in {tables.database.path}"
        origin = origin or self._origin_of(unit, side)
        sets = tables.get(unit.index, side, where=where, advice=advice, origin=origin)
        return sets if sets is not None and sets.explain.unit == unit else None

    def sides(self, labels: Callable[[], Iterable[Key]]) -> set[SideKey]:
        """Whose records there are; of a file that cannot be read those of its `labels`."""
        known: set[SideKey] = set()
        for hook, tables in self.all_tables():
            try:
                sides = tables.sides()
            except (InputError, StorageError):
                # Whoever asks for the records of its labels is told why they cannot be read.
                keys = (key for key in labels() if key[1] == hook)
                sides = [(index, tuple(Side)[side]) for _, _, index, side in keys]
            known |= {(hook, index, side) for index, side in sides}
        return known

    def tables(self, hook: str) -> RecordTables:
        """The file of a hook point, which need not be there."""
        return RecordTables(self._folder / f"{HookPoint(hook).name}{SUFFIX}")

    def all_tables(self) -> list[tuple[str, RecordTables]]:
        """The hook points that have a file, sorted, and these."""
        with storage_errors(self._folder, verb="list"):
            names = names_in(self._folder)
        # Others are no files of the store, as "blocks.5.mlp.hook_post (1).sqlite".
        hooks = (n.removesuffix(SUFFIX) for n in names if n.endswith(SUFFIX))
        return [(hook, self.tables(hook)) for hook in sorted(filter(is_hook, hooks))]

    def _digest(self, unit: UnitId, side: Side) -> str | None:
        there = self._origin_of(unit, side)
        return None if there is None else there.digest
