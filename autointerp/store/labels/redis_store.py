"""Labels and their rows in Redis; record sets, which are large, in the artifact store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from functools import partial
from itertools import chain
from typing import Any

from typing_extensions import override

from autointerp.core.asynchrony import prefetch
from autointerp.core.errors import AutointerpError, InputError, StorageError, UpstreamError
from autointerp.core.explanations import Label, LabelStatus, LabelSummary
from autointerp.core.files import gunzip
from autointerp.core.ids import Side, UnitId
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
from autointerp.store.packed_labels import pack_label, unpack_label, unpack_summary
from autointerp.store.packed_sets import pack_whole_sets, unpack_whole_sets
from autointerp.store.redis_connection import PREFIX, RedisConnection

_MODELS = f"{PREFIX}models"
_BATCH = 200
_SETS, _OLD_SETS = ".sets", ".json.gz"
_AGAIN = "label the unit again to make it anew"

# KEYS: labels, rows, row-changes, row-change, failed-labels, models.
# ARGV: field, label, row or "", whether it failed, model.
_PUT_LABEL = """
local known = redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1
if ARGV[4] == '1' and known and redis.call('SISMEMBER', KEYS[5], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if ARGV[4] == '1' then
  redis.call('SADD', KEYS[5], ARGV[1])
else
  redis.call('SREM', KEYS[5], ARGV[1])
end
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
  redis.call('ZADD', KEYS[3], redis.call('INCR', KEYS[4]), ARGV[1])
end
redis.call('SADD', KEYS[6], ARGV[5])
return 1
"""

# KEYS: rows, row-changes, row-change. ARGV: change, most rows.
_ROWS_SINCE = """
local newest = tonumber(redis.call('GET', KEYS[3]) or 0)
local since = tonumber(ARGV[1])
if since > newest then since = 0 end
local changed = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. since, '+inf', 'WITHSCORES',
  'LIMIT', 0, ARGV[2])
local rows, last = {}, since
for i = 1, #changed, 2 do
  rows[#rows + 1] = changed[i]
  rows[#rows + 1] = redis.call('HGET', KEYS[1], changed[i]) or ''
  last = changed[i + 1]
end
return {tostring(last), rows}
"""

# KEYS: rows, row-changes, labels. ARGV: fields. False where there is no label any more.
_ROWS_AGAIN = """
local rows = {}
for i, field in ipairs(ARGV) do
  local listed = redis.call('ZSCORE', KEYS[2], field)
  listed = listed and redis.call('HEXISTS', KEYS[3], field) == 1
  rows[i] = listed and (redis.call('HGET', KEYS[1], field) or '')
end
return rows
"""
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
        self._labels, self._rows, self._changes, self._change, self._failed = (
            f"{PREFIX}{name}:{model}"
            for name in ("labels", "rows", "row-changes", "row-change", "failed-labels")
        )

    @property
    @override
    def sets_are_local(self) -> bool:
        return self._artifacts.is_local

    @override
    def put_label(self, label: Label) -> None:
        data = pack_label(label)
        row = self._row_of(label) if self._row_of else ""
        keys = [self._labels, self._rows, self._changes, self._change, self._failed, _MODELS]
        failed = int(label.status is LabelStatus.FAILED)
        field = _field(label.unit, label.side)
        self._connection.script(_PUT_LABEL, keys, [field, data, row, failed, self._model])

    @override
    def get_label(self, unit: UnitId, side: Side) -> Label | None:
        field = _field(unit, side)
        data: Any = self._connection.run(lambda client: client.hget(self._labels, field))
        if data is None or unit.subject != self._model:
            return None
        return self._decoded(field, data)

    @override
    def get_sides(
        self, unit: UnitId, on_unreadable: OnUnreadable = refuse_unreadable
    ) -> tuple[Label, ...]:
        return self.sides_of([unit])[0](on_unreadable)

    @override
    def sides_of(self, units: Sequence[UnitId]) -> list[LoadSides]:
        ours = {unit: [_field(unit, side) for side in Side] for unit in units}
        ours = {unit: fields for unit, fields in ours.items() if unit.subject == self._model}
        read = dict(self._read(list(chain.from_iterable(ours.values())))) if ours else {}

        def sides(
            unit: UnitId, on_unreadable: OnUnreadable = refuse_unreadable
        ) -> tuple[Label, ...]:
            there = (field for field in ours.get(unit, ()) if field in read)
            reads = (partial(self._decoded, field, read[field]) for field in there)
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
    def count(self) -> int:
        result: Any = self._connection.run(lambda client: client.hlen(self._labels))
        return int(result)

    @override
    def put_sets(self, sets: UnitSets) -> None:
        name = self._sets_name(sets.explain.unit, sets.explain.side)
        self._artifacts.put_bytes(name, pack_whole_sets(sets))

    @override
    def get_sets(self, unit: UnitId, side: Side) -> UnitSets | None:
        if unit.subject != self._model:
            return None
        name = self._sets_name(unit, side)
        data = self._artifacts.get_bytes(name)
        if data is not None:
            where = f"{self._artifacts.where}/{name}"
            return unpack_whole_sets(data, where=where, advice=_AGAIN)
        # As earlier versions wrote them.
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
        keys = [self._rows, self._changes, self._change]
        again = self._damaged_rows()
        last, found = self._connection.script(_ROWS_SINCE, keys, [change, limit])
        rows: list[ListedRow | None] = []
        for field, text in again.items():
            row = listed_row(text or b"")
            if text is None or row is not None:
                self._damaged.pop(field, None)
            rows += [row] if row is not None else []
        for field, text in zip(found[::2], found[1::2], strict=True):
            rows.append(listed_row(text))
            if rows[-1] is None:
                self._damaged[field] = None
        return rows, int(last)

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
        keys = [self._rows, self._changes, self._labels]
        return dict(zip(fields, self._connection.script(_ROWS_AGAIN, keys, fields), strict=True))

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
        result: Any = self._connection.run(lambda client: client.smembers(_MODELS))
        return sorted(name.decode() for name in result)

    @override
    def ping(self) -> None:
        self._connection.ping()


def _field(unit: UnitId, side: Side) -> str:
    return f"{unit.hook}/{unit.index}/{side}"
