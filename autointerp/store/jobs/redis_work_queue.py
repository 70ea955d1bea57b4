"""Work items in Redis, and the leases by which workers hold them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from autointerp.core.job_state import Stage, WorkItem
from autointerp.store.jobs import redis_scripts as scripts
from autointerp.store.jobs.job_backend import ItemState, Lease, WorkQueue
from autointerp.store.jobs.redis_layout import (
    EVENTS,
    events_key,
    items_key,
    lease_key,
    lease_prefix,
    milliseconds,
    seconds,
    sharers_key,
)
from autointerp.store.redis_connection import RedisConnection


class RedisWorkQueue(WorkQueue):
    """Shared by the API and every worker. Moments are the server's: clocks may differ."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    @override
    def set_items(self, owner: str, stage: Stage, n: int) -> bool:
        keys, token = [items_key(owner, stage)], secrets.token_hex(8)
        return bool(self._connection.script(scripts.SET_ITEMS, keys, [n, token]))

    @override
    def items(self, owner: str, stage: Stage) -> list[ItemState]:
        key, prefix = items_key(owner, stage), lease_prefix(owner, stage)
        n: Any = self._connection.run(lambda client: client.hget(key, "n"))
        if not int(n or 0):
            return []

        def fill(pipe: Any) -> None:
            pipe.hgetall(key)
            pipe.mget([f"{prefix}{number}" for number in range(int(n))])
            pipe.time()

        fields, leases, time_ = self._connection.pipeline(fill, whole=True)
        now = seconds(time_)
        return [
            _item_state(WorkItem(owner, stage, number), fields, leases[number], now)
            for number in range(int(n))
        ]

    @override
    def mark_sent(self, items: Sequence[WorkItem]) -> None:
        if not items:
            return
        now = seconds(self._connection.run(lambda client: client.time()))

        def fill(pipe: Any) -> None:
            for item in items:
                pipe.hset(items_key(item.owner, item.stage), f"s{item.number}", repr(now))

        self._connection.pipeline(fill)

    @override
    def reset(self, items: Sequence[WorkItem]) -> None:
        keys: list[str] = []
        for item in items:
            keys += [items_key(item.owner, item.stage), lease_key(item)]
        self._connection.script(scripts.RESET, keys, [item.number for item in items])

    @override
    def take(self, item: WorkItem, worker: str, *, ttl_s: float) -> Lease | None:
        lease = Lease(item, worker, secrets.token_hex(8))
        keys = [items_key(item.owner, item.stage), lease_key(item)]
        taken = self._connection.script(
            scripts.TAKE, keys, [item.number, _claim(lease), milliseconds(ttl_s)]
        )
        return lease if taken else None

    @override
    def renew(self, lease: Lease, *, ttl_s: float) -> bool:
        keys = [lease_key(lease.item)]
        return bool(
            self._connection.script(scripts.RENEW, keys, [_claim(lease), milliseconds(ttl_s)])
        )

    @override
    def release(self, lease: Lease, *, done: bool) -> bool:
        item = lease.item
        keys = [items_key(item.owner, item.stage), lease_key(item)]
        keys += [events_key(item.owner), sharers_key(item.owner)]
        args = [item.number, _claim(lease), int(done), str(item.stage), EVENTS]
        return bool(self._connection.script(scripts.RELEASE, keys, args))


def _item_state(item: WorkItem, fields: Any, lease: bytes | None, now: float) -> ItemState:
    done = f"d{item.number}".encode() in fields
    sent = fields.get(f"s{item.number}".encode())
    sent_s_ago = None if sent is None else now - float(sent)
    if sent_s_ago is not None and sent_s_ago < 0:
        # The server's clock was put back: nobody knows when, so the item may be sent again.
        sent_s_ago = None
    held_by = None if done or lease is None else lease.decode().partition(" ")[2]
    attempts = int(fields.get(f"a{item.number}".encode(), 0))
    return ItemState(item, done, held_by, attempts, sent_s_ago)


def _claim(lease: Lease) -> str:
    return f"{lease.token} {lease.worker}"
