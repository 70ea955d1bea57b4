"""Labels and their rows in Redis; record sets, which are large, in the artifact store."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from autointerp.core.errors import AutointerpError, StorageError
from autointerp.core.ids import Side, UnitId
from autointerp.core.labels import Label, LabelStatus
from autointerp.core.records import UnitSets
from autointerp.store.artifacts import Artifacts
from autointerp.store.codec import LABELS, SETS
from autointerp.store.files import gunzip, gzip_bytes
from autointerp.store.layout import reading_order, unit_path
from autointerp.store.protocol import NO_ROWS, RowOf
from autointerp.store.redis import scripts
from autointerp.store.redis.link import PREFIX, RedisLink
from autointerp.store.stores import folder_name

__all__ = ["RedisStore", "RedisStores"]

_MODELS = f"{PREFIX}models"
_BATCH = 200
_AGAIN = "label the unit again to make it anew"


class RedisStore:
    """One model's labels, packed, in a hash by unit and side."""

    def __init__(
        self, link: RedisLink, model: str, artifacts: Artifacts, row_of: RowOf | None = None
    ) -> None:
        self._link = link
        self._model = model
        self._artifacts = artifacts
        self._row_of = row_of
        self._labels, self._rows, self._changes, self._change, self._failed = (
            f"{PREFIX}{name}:{model}"
            for name in ("labels", "rows", "row-changes", "row-change", "failed-labels")
        )

    def put_label(self, label: Label) -> None:
        """Keeps a label, unless it failed and there is one that did not."""
        data = zlib.compress(LABELS.encode(label), 1)
        row = self._row_of(label) if self._row_of else ""
        keys = [self._labels, self._rows, self._changes, self._change, self._failed, _MODELS]
        failed = int(label.status is LabelStatus.FAILED)
        field = _field(label.unit, label.side)
        self._link.script(scripts.PUT_LABEL, keys, [field, data, row, failed, self._model])

    def get_label(self, unit: UnitId, side: Side) -> Label | None:
        """The label, or None where there is none."""
        field = _field(unit, side)
        data: Any = self._link.run(lambda client: client.hget(self._labels, field))
        if data is None or unit.subject != self._model:
            return None
        return self._decoded(field, data)

    def get_sides(self, unit: UnitId) -> tuple[Label, ...]:
        """The labels of a unit's sides, positive first."""
        if unit.subject != self._model:
            return ()
        fields = [_field(unit, side) for side in Side]
        found = zip(fields, self._read(fields), strict=True)
        return tuple(self._decoded(field, data) for field, data in found if data is not None)

    def labels(self) -> Iterator[Label]:
        """Every label in reading order, some hundreds of them in memory at a time."""
        found: Any = self._link.run(lambda client: client.hkeys(self._labels))
        fields = sorted((name.decode() for name in found), key=_order)
        for start in range(0, len(fields), _BATCH):
            batch = fields[start : start + _BATCH]
            for field, data in zip(batch, self._read(batch), strict=True):
                if data is not None:
                    yield self._decoded(field, data)

    def count(self) -> int:
        """How many labels there are."""
        found: Any = self._link.run(lambda client: client.hlen(self._labels))
        return int(found)

    def put_sets(self, sets: UnitSets) -> None:
        """Keeps the records of a side's three sets."""
        name = self._sets_name(sets.explain.unit, sets.explain.side)
        self._artifacts.put_bytes(name, gzip_bytes(SETS.encode(sets)))

    def get_sets(self, unit: UnitId, side: Side) -> UnitSets | None:
        """The three sets, or None where there are none."""
        name = self._sets_name(unit, side)
        data = self._artifacts.get_bytes(name)
        if data is None or unit.subject != self._model:
            return None
        where = f"{self._artifacts.where}/{name}"
        return SETS.decode(gunzip(data, where=where, advice=_AGAIN), where=where, advice=_AGAIN)

    def rows_since(self, change: int, limit: int) -> tuple[list[bytes], int]:
        """Rows of labels that were put after a change, and the last change among them."""
        if self._row_of is None:
            raise AutointerpError(NO_ROWS)
        keys = [self._rows, self._changes, self._change]
        last, rows = self._link.script(scripts.ROWS, keys, [change, limit])
        return rows, int(last)

    def _read(self, fields: list[str]) -> Any:
        return self._link.run(lambda client: client.hmget(self._labels, fields))

    def _sets_name(self, unit: UnitId, side: Side) -> str:
        return f"sets/{folder_name(self._model)}/{unit_path(unit, side, '.json.gz')}"

    def _decoded(self, field: str, data: bytes) -> Label:
        where = f"the label of {self._model}/{field} in {self._link.where}"
        try:
            plain = zlib.decompress(data)
        except zlib.error as error:
            msg = f"{where} is damaged: {error}; {_AGAIN}"
            raise StorageError(msg) from error
        return LABELS.decode(plain, where=where, advice=_AGAIN)


class RedisStores:
    """The stores of every model in one Redis."""

    def __init__(self, link: RedisLink, artifacts: Artifacts, row_of: RowOf | None = None) -> None:
        self._link = link
        self._artifacts = artifacts
        self._row_of = row_of

    def of(self, model: str) -> RedisStore:
        """The store of a model's labels."""
        folder_name(model)
        return RedisStore(self._link, model, self._artifacts, self._row_of)

    def models(self) -> list[str]:
        """Names of the models of which there is a label, sorted."""
        found: Any = self._link.run(lambda client: client.smembers(_MODELS))
        return sorted(name.decode() for name in found)


def _field(unit: UnitId, side: Side) -> str:
    return f"{unit.hook}/{unit.index}/{side}"


def _order(field: str) -> tuple[int, str, int, int]:
    hook, index, side = field.rsplit("/", 2)
    return reading_order(UnitId("", hook, int(index)), Side(side))
