"""Work items with their leases, requests to workers and their presence, in Redis."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from autointerp.core.job_state import Stage, WorkItem
from autointerp.store.jobs import redis_scripts as scripts
from autointerp.store.jobs.job_backend import (
    ItemState,
    JobBackend,
    Lease,
    WorkerInfo,
    WorkerMailbox,
    WorkerRegistry,
    WorkerRequest,
    WorkQueue,
)
from autointerp.store.jobs.redis_job_store import RedisJobStore
from autointerp.store.jobs.redis_layout import (
    EVENTS,
    SLICE_S,
    events_key,
    items_key,
    lease_key,
    lease_prefix,
    milliseconds,
    seconds,
    sharers_key,
)
from autointerp.store.redis_connection import PREFIX, RedisConnection

_WORKERS = f"{PREFIX}workers"
_FORGOTTEN_S = 3600.0


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


def redis_backend(connection: RedisConnection) -> JobBackend:
    """What the service keeps about jobs, in one Redis."""
    return JobBackend(
        jobs=RedisJobStore(connection),
        queue=RedisWorkQueue(connection),
        mailbox=RedisWorkerMailbox(connection),
        workers=RedisWorkerRegistry(connection),
    )


class RedisWorkerMailbox(WorkerMailbox):
    """A list of waiting requests a queue; each request and each reply has a key that expires."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    @override
    def send(self, queue: str, request_id: str, text: str, *, ttl_s: float) -> None:
        waiting = _waiting_key(queue)

        def fill(pipe: Any) -> None:
            pipe.set(_request_key(request_id), text, px=milliseconds(ttl_s))
            pipe.rpush(waiting, request_id)
            # Where no worker takes them, ids of requests that nobody waits for go with the list.
            pipe.pexpire(waiting, milliseconds(max(ttl_s, _FORGOTTEN_S)))

        self._connection.pipeline(fill, whole=True)

    @override
    def next_request(self, queue: str, *, wait_s: float = 0) -> WorkerRequest | None:
        until = time.monotonic() + wait_s
        while (request_id := self._next_id(queue, until)) is not None:
            left, text = self._connection.pipeline(_taken(_request_key(request_id)), whole=True)
            if text is not None:
                return WorkerRequest(request_id, text.decode(), max(0, left) / 1000)
        return None

    def _next_id(self, queue: str, until: float) -> str | None:
        key = _waiting_key(queue)
        while True:
            left_s = until - time.monotonic()
            result: Any = self._connection.run(_taking(key, min(left_s, SLICE_S)))
            if result is not None:
                return str(result.decode())
            if left_s <= 0:
                return None

    @override
    def reply(self, request_id: str, text: str, *, ttl_s: float = 120) -> None:
        self._connection.script(
            scripts.REPLY, [f"{PREFIX}reply:{request_id}"], [text, milliseconds(ttl_s)]
        )

    @override
    def await_reply(self, request_id: str, *, wait_s: float) -> str | None:
        key = f"{PREFIX}reply:{request_id}"
        until = time.monotonic() + wait_s
        while True:
            left_s = until - time.monotonic()
            if left_s <= 0:
                result: Any = self._connection.run(lambda client: client.lindex(key, 0))
                return None if result is None else result.decode()
            result = self._connection.run(_waiting(key, min(left_s, SLICE_S)))
            if result is not None:
                return str(result.decode())


class RedisWorkerRegistry(WorkerRegistry):
    """A key a worker that expires, and a set of their names. Moments are the server's."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    @override
    def heartbeat(self, worker: str, queue: str, doing: str | None, *, ttl_s: float) -> None:
        now = seconds(self._connection.run(lambda client: client.time()))
        text = json.dumps([queue, doing, now])

        def fill(pipe: Any) -> None:
            pipe.set(f"{_WORKERS}:{worker}", text, px=milliseconds(ttl_s))
            pipe.sadd(_WORKERS, worker)

        self._connection.pipeline(fill, whole=True)

    @override
    def alive(self) -> list[WorkerInfo]:
        members: Any = self._connection.run(lambda client: client.smembers(_WORKERS))
        names = sorted(name.decode() for name in members)
        if not names:
            return []
        keys = [f"{_WORKERS}:{name}" for name in names]
        texts, time_ = self._connection.pipeline(lambda pipe: pipe.mget(keys).time())
        gone = [name for name, text in zip(names, texts, strict=True) if text is None]
        if gone:
            self._connection.run(lambda client: client.srem(_WORKERS, *gone))
        living = [(name, json.loads(s)) for name, s in zip(names, texts, strict=True) if s]
        return [
            WorkerInfo(name, queue, doing, max(0.0, seconds(time_) - seen))
            for name, (queue, doing, seen) in living
        ]

    @override
    def lead(self, name: str, who: str, *, ttl_s: float) -> bool:
        return bool(
            self._connection.script(
                scripts.LEAD, [f"{PREFIX}lead:{name}"], [who, milliseconds(ttl_s)]
            )
        )


def _request_key(request_id: str) -> str:
    return f"{PREFIX}question:{request_id}"


def _waiting_key(queue: str) -> str:
    return f"{PREFIX}questions:{queue}"


def _taking(key: str, wait_s: float) -> Any:
    if wait_s <= 0:
        return lambda client: client.lpop(key)
    # The name of the list comes with what was in it.
    return lambda client: (client.blpop(key, max(0.01, wait_s)) or (None, None))[1]


def _taken(key: str) -> Any:
    return lambda pipe: pipe.pttl(key).getdel(key)


def _waiting(key: str, wait_s: float) -> Any:
    # From the list to itself: the reply stays for whoever else asks.
    return lambda client: client.blmove(key, key, max(0.01, wait_s), "LEFT", "LEFT")
