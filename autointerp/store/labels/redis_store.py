"""Labels and their rows in Redis; record sets, which are large, in the artifact store."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence, Set
from functools import partial
from itertools import chain
from typing import Any

from typing_extensions import override

from autointerp.core.asynchrony import prefetch
from autointerp.core.errors import AutointerpError, InputError, StorageError, UpstreamError
from autointerp.core.explanations import Label, LabelOrigin, LabelStatus, LabelSummary
from autointerp.core.files import gunzip
from autointerp.core.ids import Side, UnitId
from autointerp.core.kept_evidence import KeptEvidence
from autointerp.core.records import UnitSets
from autointerp.core.unreadable import OnUnreadable, if_readable, refuse_unreadable
from autointerp.store.artifacts import Artifacts
from autointerp.store.codec import SETS
from autointerp.store.labels.label_rows import ListedRow, listed_row
from autointerp.store.labels.label_store import NO_ROWS, LabelStore, LabelStores, LoadSides, RowOf
from autointerp.store.labels.layout import (
    SideKey,
    folder_name,
    reading_order,
    side_of_path,
    unit_path,
)
from autointerp.store.labels.redis_evidence import MODELS, RedisEvidence
from autointerp.store.labels.redis_label_scripts import (
    KEPT,
    MARK,
    PUT_KEPT,
    PUT_LABEL,
    ROWS_AGAIN,
    kept_key,
)
from autointerp.store.labels.redis_row_blocks import RedisRows, listed_as
from autointerp.store.packed_labels import pack_label, unpack_label, unpack_summary
from autointerp.store.packed_sets import pack_whole_sets, unpack_whole_sets
from autointerp.store.redis_connection import PREFIX, RedisConnection

_BATCH = 200
_SETS, _OLD_SETS = ".sets", ".json.gz"
_AGAIN = "label the unit again to make it anew"

_MOST_AGAIN = 1000
"""Damaged rows that are looked at again at a time."""


class RedisLabelStore(LabelStore):
    """One model's labels, compressed, in a hash by unit and side."""

    labels_are_local = False

    def __init__(
        self,
        connection: RedisConnection,
        model: str,
        artifacts: Artifacts,
        row_of: RowOf | None = None,
    ) -> None:
        self._connection = connection
        self._model = model
        self._artifacts = artifacts
        self._row_of = row_of
        self._damaged: dict[bytes, None] = {}
        self._sets = f"sets/{folder_name(model)}"
        names = ("labels", "rows", "row-changes", "row-change", "failed-labels", "kept-rows")
        self._labels, self._rows, self._changes, self._change, self._failed, self._kept_rows = (
            f"{PREFIX}{name}:{model}" for name in names
        )
        self._marks = f"{PREFIX}row-marks:{model}"
        self._listing = RedisRows(connection, model)
        self._evidence = RedisEvidence(connection, model)

    @property
    @override
    def sets_are_local(self) -> bool:
        return self._artifacts.is_local

    @override
    def put_label(self, label: Label) -> None:
        data = pack_label(label)
        row = self._row_of(label) if self._row_of else ""
        keys = [self._labels, self._rows, self._changes, self._change, self._failed, MODELS]
        keys += [self._kept_rows, kept_key(self._model, _unit(label.unit))]
        failed = int(label.status is LabelStatus.FAILED)
        field = _field(label.unit, label.side)
        args = [field, data, row, failed, self._model]
        # Whoever puts another meanwhile comes first, and this one keeps that.
        change = -1
        while change == -1:
            change = self._connection.script(PUT_LABEL, keys, [*args, *self._replaced(label)])
        self._listing.was_put(change)

    @override
    def put_kept(self, label: Label, sets: UnitSets | None) -> None:
        if sets is not None:
            self.put_sets(sets, label.origin)
        keys = [self._labels, self._changes, self._change, self._kept_rows]
        keys.append(kept_key(self._model, _unit(label.unit)))
        row = self._row_of(label) if self._row_of else ""
        place = f"{label.side}/{label.origin.digest}"
        args = [_field(label.unit, label.side), place, pack_label(label), row]
        while True:
            digest, there = self._there(label.unit, label.side)
            if there is not None and there.origin == label.origin:
                self.put_label(label)
                return
            if self._connection.script(PUT_KEPT, keys, [args[0], digest, *args[1:]]) != -1:
                return

    def _there(self, unit: UnitId, side: Side) -> tuple[str, Label | None]:
        """Digest of the label that is there, empty for none; and the label where it is readable."""
        field = _field(unit, side)
        data: Any = self._connection.run(lambda client: client.hget(self._labels, field))
        if data is None:
            return "", None
        read = partial(self._decoded, field, data, with_trials=False)
        # Whoever asks for what cannot be read is told.
        there = if_readable(read, lambda _: None)
        return hashlib.sha1(data, usedforsecurity=False).hexdigest(), there

    def _replaced(self, label: Label) -> tuple[str, str, str, str]:
        """Digest of the label that is there, and as what it is kept with which row; own origin."""
        digest, there = self._there(label.unit, label.side)
        own = f"{label.side}/{label.origin.digest}"
        if there is None or not label.keeps(there):
            return digest, "", "", own
        row = self._row_of(there) if self._row_of else ""
        return digest, f"{label.side}/{there.origin.digest}", row, own

    @override
    def get_label(self, unit: UnitId, side: Side) -> Label | None:
        field = _field(unit, side)
        data: Any = self._connection.run(lambda client: client.hget(self._labels, field))
        if data is None or unit.subject != self._model:
            return None
        return self._decoded(field, data)

    @override
    def get_sides(
        self,
        unit: UnitId,
        on_unreadable: OnUnreadable = refuse_unreadable,
        *,
        with_trials: bool = True,
    ) -> tuple[Label, ...]:
        return self.sides_of([unit])[0](on_unreadable, with_trials=with_trials)

    @override
    def sides_of(self, units: Sequence[UnitId]) -> list[LoadSides]:
        ours = {unit: [_field(unit, side) for side in Side] for unit in units}
        ours = {unit: fields for unit, fields in ours.items() if unit.subject == self._model}
        read = dict(self._read(list(chain.from_iterable(ours.values())))) if ours else {}

        def sides(
            unit: UnitId,
            on_unreadable: OnUnreadable = refuse_unreadable,
            *,
            with_trials: bool = True,
        ) -> tuple[Label, ...]:
            there = (field for field in ours.get(unit, ()) if field in read)
            decoded = partial(self._decoded, with_trials=with_trials)
            reads = (partial(decoded, field, read[field]) for field in there)
            labels = (if_readable(read, on_unreadable) for read in reads)
            return tuple(label for label in labels if label is not None)

        return [partial(sides, unit) for unit in units]

    @override
    def labels(self, on_unreadable: OnUnreadable = refuse_unreadable) -> Iterator[Label]:
        return self._each(self._decoded, on_unreadable)

    @override
    def labels_without_trials(
        self, on_unreadable: OnUnreadable = refuse_unreadable
    ) -> Iterator[Label]:
        return self._each(partial(self._decoded, with_trials=False), on_unreadable)

    @override
    def summaries(self, on_unreadable: OnUnreadable = refuse_unreadable) -> Iterator[LabelSummary]:
        reads = (partial(self._read, batch) for batch in self._batches(on_unreadable))
        for result in prefetch(reads, n_threads=1):
            for field, data in result:
                summary = if_readable(partial(self._summary, field, data), on_unreadable)
                if summary is not None:
                    yield summary

    @override
    def kept_of(
        self, unit: UnitId, on_unreadable: OnUnreadable = refuse_unreadable
    ) -> tuple[Label, ...]:
        key = kept_key(self._model, _unit(unit))
        found: Any = self._connection.run(lambda client: client.hgetall(key))
        reads = (
            partial(self._decoded, f"{_unit(unit)}/{name.decode()}", data)
            for name, data in sorted(found.items(), reverse=True)
        )
        labels = (if_readable(read, on_unreadable) for read in reads)
        return tuple(label for label in labels if label is not None and label.unit == unit)

    @override
    def kept(self, on_unreadable: OnUnreadable = refuse_unreadable) -> Iterator[Label]:
        names: Any = self._connection.run(lambda client: client.hkeys(self._kept_rows))
        fields = (name.removeprefix(KEPT.encode()).rpartition(b"/")[0] for name in names)
        placed = (if_readable(partial(self._placed, name), on_unreadable) for name in fields)
        units = dict.fromkeys(key[1:3] for key, _ in sorted(filter(None, placed)))
        for hook, index in units:
            yield from self.kept_of(UnitId(self._model, hook, index), on_unreadable)

    @override
    def put_evidence(self, kept: KeptEvidence) -> None:
        self._evidence.put(kept)

    @override
    def evidence_of(
        self, unit: UnitId, on_unreadable: OnUnreadable = refuse_unreadable
    ) -> tuple[KeptEvidence, ...]:
        return self._evidence.of(unit, on_unreadable)

    @override
    def all_evidence(
        self, on_unreadable: OnUnreadable = refuse_unreadable
    ) -> Iterator[KeptEvidence]:
        return self._evidence.all(on_unreadable)

    @override
    def count(self) -> int:
        result: Any = self._connection.run(lambda client: client.hlen(self._labels))
        return int(result)

    @override
    def put_sets(self, sets: UnitSets, origin: LabelOrigin | None = None) -> None:
        name = self._sets_name(sets.explain.unit, sets.explain.side, _suffix(origin))
        self._artifacts.put_bytes(name, pack_whole_sets(sets))

    @override
    def get_sets(
        self, unit: UnitId, side: Side, origin: LabelOrigin | None = None
    ) -> UnitSets | None:
        if unit.subject != self._model:
            return None
        if origin is None:
            read = partial(self.get_without_trials, unit, side)
            label = if_readable(read, lambda _: None)
            origin = label.origin if label is not None else None
        # Earlier versions kept one of a side, and before that another form.
        for suffix in dict.fromkeys((_suffix(origin), _SETS)):
            name = self._sets_name(unit, side, suffix)
            data = self._artifacts.get_bytes(name)
            if data is not None:
                where = f"{self._artifacts.where}/{name}"
                return unpack_whole_sets(data, where=where, advice=_AGAIN)
        name = self._sets_name(unit, side, _OLD_SETS)
        data = self._artifacts.get_bytes(name)
        if data is None:
            return None
        where = f"{self._artifacts.where}/{name}"
        return SETS.decode(gunzip(data, where=where, advice=_AGAIN), where=where, advice=_AGAIN)

    @override
    def sides_with_sets(self) -> Set[SideKey]:
        names = self._artifacts.names(self._sets)
        paths = [name.removeprefix(f"{self._sets}/") for name in names]
        result = (side_of_path(path, suffix) for path in paths for suffix in (_SETS, _OLD_SETS))
        return {key for key in result if key is not None}

    @override
    def rows_since(self, change: int, limit: int) -> tuple[list[ListedRow | None], int]:
        if self._row_of is None:
            raise AutointerpError(NO_ROWS)
        again = self._damaged_rows()
        found, last = self._listing.since(change, limit)
        rows: list[ListedRow | None] = []
        for field, text in again.items():
            row = listed_as(field, text or b"")
            if text is None or row is not None:
                self._damaged.pop(field, None)
            rows += [row] if row is not None else []
        for field, row in found:
            rows.append(row)
            if row is None:
                self._damaged[field] = None
        return rows, last

    @override
    def mark(self, change: int) -> str | None:
        keys, args = [self._change, self._marks], [change, secrets.token_hex(8)]
        found = self._connection.script(MARK, keys, args)
        return found.decode() if found else None

    @override
    def left_out(self) -> tuple[str, ...]:
        try:
            rows = self._damaged_rows()
        except UpstreamError:
            rows = dict.fromkeys(self._damaged, b"")
        damaged = [
            field for field, row in rows.items() if row is not None and listed_row(row) is None
        ]
        names = (self._where(field.decode("utf-8", "replace")) for field in damaged)
        return tuple(f"the row of {name} is damaged; {_AGAIN}" for name in names)

    def _damaged_rows(self) -> dict[bytes, bytes | None]:
        """Rows that were damaged when they were read, as they are now; None without a label."""
        fields = list(self._damaged)[:_MOST_AGAIN]
        if not fields:
            return {}
        keys = [self._rows, self._changes, self._labels, self._kept_rows]
        return dict(zip(fields, self._connection.script(ROWS_AGAIN, keys, fields), strict=True))

    def _batches(self, on_unreadable: OnUnreadable) -> Iterator[list[str]]:
        """Every field in reading order, some hundreds at a time."""
        result: Any = self._connection.run(lambda client: client.hkeys(self._labels))
        placed = (if_readable(partial(self._placed, name), on_unreadable) for name in result)
        fields = [field for _, field in sorted(filter(None, placed))]
        return (fields[start : start + _BATCH] for start in range(0, len(fields), _BATCH))

    def _read(self, fields: list[str]) -> list[tuple[str, bytes]]:
        result: Any = self._connection.run(lambda client: client.hmget(self._labels, fields))
        return [pair for pair in zip(fields, result, strict=True) if pair[1] is not None]

    def _sets_name(self, unit: UnitId, side: Side, suffix: str = _SETS) -> str:
        return f"{self._sets}/{unit_path(unit, side, suffix)}"

    def _where(self, field: str) -> str:
        return f"the label of {self._model}/{field} in {self._connection.where}"

    def _placed(self, name: bytes) -> tuple[tuple[int, str, int, int], str]:
        """A field with its place in reading order."""
        try:
            field = name.decode()
            hook, index, side = field.rsplit("/", 2)
            return reading_order(UnitId("", hook, int(index)), Side(side)), field
        except (ValueError, InputError) as error:
            msg = f"the labels of {self._model} in {self._connection.where} have a field"
            raise StorageError(f"{msg} that names no unit: {name[:80]!r}; delete it") from error

    def _summary(self, field: str, data: bytes) -> LabelSummary:
        return unpack_summary(data, where=self._where(field), advice=_AGAIN)

    def _each(
        self, decode: Callable[[str, bytes], Label], on_unreadable: OnUnreadable
    ) -> Iterator[Label]:
        for batch in self._batches(on_unreadable):
            for field, data in self._read(batch):
                label = if_readable(partial(decode, field, data), on_unreadable)
                if label is not None:
                    yield label

    def _decoded(self, field: str, data: bytes, *, with_trials: bool = True) -> Label:
        where = self._where(field)
        return unpack_label(data, where=where, advice=_AGAIN, with_trials=with_trials)


class RedisLabelStores(LabelStores):
    """The stores of every model in one Redis."""

    def __init__(
        self, connection: RedisConnection, artifacts: Artifacts, row_of: RowOf | None = None
    ) -> None:
        self._connection = connection
        self._artifacts = artifacts
        self._row_of = row_of

    @override
    def of(self, model: str) -> RedisLabelStore:
        return RedisLabelStore(self._connection, model, self._artifacts, self._row_of)

    @override
    def models(self) -> list[str]:
        result: Any = self._connection.run(lambda client: client.smembers(MODELS))
        return sorted(name.decode() for name in result)

    @override
    def ping(self) -> None:
        self._connection.ping()


def _field(unit: UnitId, side: Side) -> str:
    return f"{_unit(unit)}/{side}"


def _unit(unit: UnitId) -> str:
    return f"{unit.hook}/{unit.index}"


def _suffix(origin: LabelOrigin | None) -> str:
    return _SETS if origin is None else f".{origin.digest}{_SETS}"
