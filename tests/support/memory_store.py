"""Label stores that end with the process."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Set
from functools import partial

from typing_extensions import override

from autointerp.core.errors import AutointerpError
from autointerp.core.explanations import Label, LabelOrigin, LabelSummary
from autointerp.core.ids import Side, UnitId
from autointerp.core.kept_evidence import KeptEvidence
from autointerp.core.records import UnitSets
from autointerp.core.unreadable import OnUnreadable, if_readable, refuse_unreadable
from autointerp.store.labels.label_rows import ListedRow, listed_row
from autointerp.store.labels.label_store import NO_ROWS, LabelStore, LabelStores, RowOf
from autointerp.store.labels.layout import SideKey, folder_name, reading_order
from autointerp.store.packed_causal import pack_causal, unpack_causal
from autointerp.store.packed_labels import pack_label, unpack_label, unpack_summary
from autointerp.store.packed_sets import pack_whole_sets, unpack_whole_sets


class MemoryLabelStore(LabelStore):
    """Holds values as their stored bytes, so that it gives back what any other store would."""

    labels_are_local = True
    sets_are_local = True

    def __init__(self, row_of: RowOf | None = None) -> None:
        self._row_of = row_of
        self._lock = threading.Lock()
        self._change = 0
        self._rows: dict[tuple[UnitId, Side], tuple[int, bytes]] = {}
        self._labels: dict[tuple[UnitId, Side], bytes] = {}
        self._sets: dict[tuple[UnitId, Side, LabelOrigin | None], bytes] = {}
        self._kept: dict[tuple[UnitId, Side, LabelOrigin], bytes] = {}
        self._kept_rows: dict[tuple[UnitId, Side, LabelOrigin], tuple[int, bytes]] = {}
        self._evidence: dict[tuple[UnitId, str], bytes] = {}

    @override
    def put_label(self, label: Label) -> None:
        key, data = (label.unit, label.side), pack_label(label)
        row = self._row_of(label).encode() if self._row_of else None
        with self._lock:
            there = self.get_label(*key)
            if not label.replaces(there):
                return
            if there is not None and label.keeps(there):
                self._keep(there, self._labels[key])
            self._kept.pop((*key, label.origin), None)
            self._kept_rows.pop((*key, label.origin), None)
            self._labels[key] = data
            if row is not None:
                self._change += 1
                self._rows.pop(key, None)
                self._rows[key] = (self._change, row)

    @override
    def put_kept(self, label: Label, sets: UnitSets | None) -> None:
        if sets is not None:
            self.put_sets(sets, label.origin)
        with self._lock:
            there = self.get_label(label.unit, label.side)
            is_newest = there is not None and there.origin == label.origin
            if not is_newest:
                self._keep(label, pack_label(label))
        if is_newest:
            self.put_label(label)

    def _keep(self, label: Label, data: bytes) -> None:
        key = (label.unit, label.side, label.origin)
        self._kept[key] = data
        if self._row_of:
            self._change += 1
            self._kept_rows[key] = (self._change, self._row_of(label).encode())

    @override
    def kept_of(
        self, unit: UnitId, on_unreadable: OnUnreadable = refuse_unreadable
    ) -> tuple[Label, ...]:
        return tuple(label for label in self.kept(on_unreadable) if label.unit == unit)

    @override
    def kept(self, on_unreadable: OnUnreadable = refuse_unreadable) -> Iterator[Label]:
        for unit, side, origin in sorted(self._kept, key=lambda key: reading_order(*key[:2])):
            yield unpack_label(self._kept[unit, side, origin], where=f"the label of {unit}")

    @override
    def get_label(self, unit: UnitId, side: Side) -> Label | None:
        data = self._labels.get((unit, side))
        return None if data is None else unpack_label(data, where=f"the label of {unit}")

    @override
    def labels(self, on_unreadable: OnUnreadable = refuse_unreadable) -> Iterator[Label]:
        for where, data in self._in_order():
            label = if_readable(partial(unpack_label, data, where=where), on_unreadable)
            if label is not None:
                yield label

    @override
    def summaries(self, on_unreadable: OnUnreadable = refuse_unreadable) -> Iterator[LabelSummary]:
        for where, data in self._in_order():
            summary = if_readable(partial(unpack_summary, data, where=where), on_unreadable)
            if summary is not None:
                yield summary

    @override
    def put_evidence(self, kept: KeptEvidence) -> None:
        self._evidence[kept.unit, kept.key] = pack_causal(kept)

    @override
    def evidence_of(
        self, unit: UnitId, on_unreadable: OnUnreadable = refuse_unreadable
    ) -> tuple[KeptEvidence, ...]:
        return tuple(kept for kept in self.all_evidence(on_unreadable) if kept.unit == unit)

    @override
    def all_evidence(
        self, on_unreadable: OnUnreadable = refuse_unreadable
    ) -> Iterator[KeptEvidence]:
        packed = tuple(self._evidence.values())
        found = [unpack_causal(data, where="evidence in memory") for data in packed]
        yield from sorted(found, key=lambda k: (reading_order(k.unit, Side.POSITIVE), k.order))

    @override
    def count(self) -> int:
        return len(self._labels)

    @override
    def put_sets(self, sets: UnitSets, origin: LabelOrigin | None = None) -> None:
        self._sets[sets.explain.unit, sets.explain.side, origin] = pack_whole_sets(sets)

    @override
    def get_sets(
        self, unit: UnitId, side: Side, origin: LabelOrigin | None = None
    ) -> UnitSets | None:
        label = self.get_label(unit, side) if origin is None else None
        origin = label.origin if label is not None else origin
        data = self._sets.get((unit, side, origin), self._sets.get((unit, side, None)))
        return None if data is None else unpack_whole_sets(data, where=f"the sets of {unit}")

    @override
    def sides_with_sets(self) -> Set[SideKey]:
        return {(unit.hook, unit.index, side) for unit, side, _ in tuple(self._sets)}

    @override
    def rows_since(self, change: int, limit: int) -> tuple[list[ListedRow | None], int]:
        if self._row_of is None:
            raise AutointerpError(NO_ROWS)
        with self._lock:
            since = change if change <= self._change else 0
            rows = [(change, row, False) for change, row in self._rows.values()]
            rows += [(change, row, True) for change, row in self._kept_rows.values()]
            newer = (stored for stored in sorted(rows) if stored[0] > since)
            found = list(itertools.islice(newer, limit))
        listed = [(listed_row(row), is_kept) for _, row, is_kept in found]
        last = found[-1][0] if found else since
        return [row and row._replace(is_kept=is_kept) for row, is_kept in listed], last

    def _in_order(self) -> Iterator[tuple[str, bytes]]:
        for unit, side in sorted(self._labels, key=lambda key: reading_order(*key)):
            yield f"the label of {unit}", self._labels[unit, side]


class MemoryLabelStores(LabelStores):
    """A `MemoryLabelStore` a model."""

    def __init__(self, row_of: RowOf | None = None) -> None:
        self._row_of = row_of
        self._stores: dict[str, MemoryLabelStore] = {}

    @override
    def of(self, model: str) -> MemoryLabelStore:
        folder_name(model)
        return self._stores.setdefault(model, MemoryLabelStore(self._row_of))

    @override
    def models(self) -> list[str]:
        named = self._stores.items()
        return sorted(name for name, store in named if store.count() or any(store.all_evidence()))
