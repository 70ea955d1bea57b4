"""Causal evidence that was kept of units, in Redis: a hash a unit, and the names of the units."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from autointerp.core.ids import Side, UnitId
from autointerp.core.kept_evidence import KeptEvidence
from autointerp.core.unreadable import OnUnreadable, if_readable
from autointerp.store.labels.layout import reading_order
from autointerp.store.packed_causal import pack_causal, unpack_causal
from autointerp.store.redis_connection import PREFIX, RedisConnection

MODELS = f"{PREFIX}models"
"""Names of the models that have labels or evidence."""


class RedisEvidence:
    """Of one model."""

    def __init__(self, connection: RedisConnection, model: str) -> None:
        self._connection, self._model = connection, model
        self._units = f"{PREFIX}evidence-units:{model}"

    def put(self, kept: KeptEvidence) -> None:
        """Stores an answer in place of that to the same request on the same text and dtype."""
        name = f"{kept.unit.hook}/{kept.unit.index}"

        def fill(pipe: Any) -> None:
            pipe.hset(self._key(name), kept.key, pack_causal(kept))
            pipe.sadd(self._units, name)
            pipe.sadd(MODELS, self._model)

        self._connection.pipeline(fill, whole=True)

    def of(self, unit: UnitId, on_unreadable: OnUnreadable) -> tuple[KeptEvidence, ...]:
        """What is kept of a unit."""
        key = self._key(f"{unit.hook}/{unit.index}")
        found: Any = self._connection.run(lambda client: client.hvals(key))
        where = f"evidence of {unit} in {self._connection.where}"
        reads = (partial(unpack_causal, data, where=where) for data in found)
        answers = (if_readable(read, on_unreadable) for read in reads)
        return tuple(sorted(filter(None, answers), key=lambda one: one.order))

    def all(self, on_unreadable: OnUnreadable) -> Iterator[KeptEvidence]:
        """What is kept of every unit, by layer, hook point and index."""
        names: Any = self._connection.run(lambda client: client.smembers(self._units))
        parts = (name.decode().rpartition("/") for name in names)
        units = [UnitId(self._model, hook, int(index)) for hook, _, index in parts]
        for unit in sorted(units, key=lambda one: reading_order(one, Side.POSITIVE)):
            yield from self.of(unit, on_unreadable)

    def _key(self, unit: str) -> str:
        return f"{PREFIX}evidence:{self._model}:{unit}"
