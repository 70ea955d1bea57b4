"""Labels and their rows in Redis; record sets, which are large, in the artifact store."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence, Set
from functools import partial
from itertools import chain
from typing import Any

from autointerp.core.errors import AutointerpError, StorageError
from autointerp.core.ids import Side, UnitId
from autointerp.core.labels import Label, LabelHead, LabelStatus
from autointerp.core.records import UnitSets
from autointerp.store.ahead import read_ahead
from autointerp.store.artifacts import Artifacts
from autointerp.store.codec import LABELS, SETS
from autointerp.store.files import gunzip, gzip_bytes
from autointerp.store.heads import label_head
from autointerp.store.layout import SideKey, reading_order, side_of_path, unit_path
from autointerp.store.protocol import NO_ROWS, RowOf, Sides
from autointerp.store.redis import scripts
from autointerp.store.redis.link import PREFIX, RedisLink
from autointerp.store.stores import folder_name

_MODELS = f"{PREFIX}models"
_BATCH = 200
_SETS = ".json.gz"
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
        self._sets = f"sets/{folder_name(model)}"
        self._labels, self._rows, self._changes, self._change, self._failed = (
            f"{PREFIX}{name}:{model}"
            for name in ("labels", "rows", "row-changes", "row-change", "failed-labels")
        )

    @property
    def sets_are_near(self) -> bool:
        """Whether artifacts are files of this machine."""
        return self._artifacts.is_local

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
        return self.sides_of([unit])[0]()

    def sides_of(self, units: Sequence[UnitId]) -> list[Sides]:
        """What gives each unit's labels, which were read at once."""
        ours = {unit: [_field(unit, side) for side in Side] for unit in units}
        ours = {unit: fields for unit, fields in ours.items() if unit.subject == self._model}
        read = dict(self._read(list(chain.from_iterable(ours.values())))) if ours else {}

        def sides(unit: UnitId) -> tuple[Label, ...]:
            there = (field for field in ours.get(unit, ()) if field in read)
            return tuple(self._decoded(field, read[field]) for field in there)

        return [partial(sides, unit) for unit in units]

    def labels(self) -> Iterator[Label]:
        """Every label in reading order, some hundreds of them in memory at a time."""
        for batch in self._batches():
            for field, data in self._read(batch):
                yield self._decoded(field, data)

    def heads(self) -> Iterator[LabelHead]:
        """The head of every label in reading order, some hundreds of them in memory at a time."""
        reads = (partial(self._read, batch) for batch in self._batches())
        for found in read_ahead(reads, n_threads=1):
            for field, data in found:
                where = self._where(field)
                yield label_head(_unpacked(data, where), where=where, advice=_AGAIN)

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

    def sides_with_sets(self) -> Set[SideKey]:
        """The sides that have a file of sets; none is read."""
        names = self._artifacts.names(self._sets)
        found = (side_of_path(name.removeprefix(f"{self._sets}/"), _SETS) for name in names)
        return {key for key in found if key is not None}

    def rows_since(self, change: int, limit: int) -> tuple[list[bytes], int]:
        """Rows of labels that were put after a change, and the last change among them."""
        if self._row_of is None:
            raise AutointerpError(NO_ROWS)
        keys = [self._rows, self._changes, self._change]
        last, rows = self._link.script(scripts.ROWS, keys, [change, limit])
        return rows, int(last)

    def _batches(self) -> Iterator[list[str]]:
        """Every field in reading order, some hundreds at a time."""
        found: Any = self._link.run(lambda client: client.hkeys(self._labels))
        fields = sorted((name.decode() for name in found), key=_order)
        return (fields[start : start + _BATCH] for start in range(0, len(fields), _BATCH))

    def _read(self, fields: list[str]) -> list[tuple[str, bytes]]:
        """The fields that are there, each with its label's bytes."""
        found: Any = self._link.run(lambda client: client.hmget(self._labels, fields))
        return [pair for pair in zip(fields, found, strict=True) if pair[1] is not None]

    def _sets_name(self, unit: UnitId, side: Side) -> str:
        return f"{self._sets}/{unit_path(unit, side, _SETS)}"

    def _where(self, field: str) -> str:
        return f"the label of {self._model}/{field} in {self._link.where}"

    def _decoded(self, field: str, data: bytes) -> Label:
        where = self._where(field)
        return LABELS.decode(_unpacked(data, where), where=where, advice=_AGAIN)


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


def _unpacked(data: bytes, where: str) -> bytes:
    try:
        return zlib.decompress(data)
    except zlib.error as error:
        msg = f"{where} is damaged: {error}; {_AGAIN}"
        raise StorageError(msg) from error


def _field(unit: UnitId, side: Side) -> str:
    return f"{unit.hook}/{unit.index}/{side}"


def _order(field: str) -> tuple[int, str, int, int]:
    hook, index, side = field.rsplit("/", 2)
    return reading_order(UnitId("", hook, int(index)), Side(side))
