"""The board in Redis: shared by the API and every worker, on however many machines."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from typing import Any

from autointerp.core.ids import Side, UnitId
from autointerp.core.labels import LabelStatus
from autointerp.core.service import JobEvent, Stage, WorkItem
from autointerp.store.board import ItemState, Lease, Question, WorkerInfo
from autointerp.store.memory_events import event_order
from autointerp.store.redis import scripts
from autointerp.store.redis.job_board import RedisJobs
from autointerp.store.redis.keys import (
    EVENTS,
    events_key,
    items_key,
    job_key,
    label_field,
    labels_key,
    lease_key,
    lease_prefix,
    parse_field,
    sharers_key,
)
from autointerp.store.redis_connection import PREFIX

_SLICE_S = 5.0
"""Longest that one command waits, well below the socket's timeout."""
_WORKERS = f"{PREFIX}workers"
_FORGOTTEN_S = 3600.0


class RedisBoard(RedisJobs):
    """See `Board` for what the methods do. Moments are the server's, so that clocks may differ."""

    def set_items(self, owner: str, stage: Stage, n: int) -> bool:
        """Says how many items a stage has, once; whether this call did."""
        keys, token = [items_key(owner, stage)], secrets.token_hex(8)
        return bool(self._link.script(scripts.SET_ITEMS, keys, [n, token]))

    def items(self, owner: str, stage: Stage) -> list[ItemState]:
        """Every item of a stage; none where nobody said how many there are."""
        key, prefix = items_key(owner, stage), lease_prefix(owner, stage)
        n: Any = self._link.run(lambda client: client.hget(key, "n"))
        if not int(n or 0):
            return []

        def fill(pipe: Any) -> None:
            pipe.hgetall(key)
            pipe.mget([f"{prefix}{number}" for number in range(int(n))])
            pipe.time()

        fields, leases, time_ = self._link.pipeline(fill, whole=True)
        now = _seconds(time_)
        return [
            _item_state(WorkItem(owner, stage, number), fields, leases[number], now)
            for number in range(int(n))
        ]

    def mark_sent(self, items: Sequence[WorkItem]) -> None:
        """Notes that items were put into a queue now."""
        if not items:
            return
        now = _seconds(self._link.run(lambda client: client.time()))

        def fill(pipe: Any) -> None:
            for item in items:
                pipe.hset(items_key(item.owner, item.stage), f"s{item.number}", repr(now))

        self._link.pipeline(fill)

    def reset(self, items: Sequence[WorkItem]) -> None:
        """Makes items neither done nor tried nor sent, and ends their leases."""
        keys: list[str] = []
        for item in items:
            keys += [items_key(item.owner, item.stage), lease_key(item)]
        self._link.script(scripts.RESET, keys, [item.number for item in items])

    def take(self, item: WorkItem, worker: str, *, ttl_s: float) -> Lease | None:
        """A lease, counted as an attempt; None where it is done, held or does not exist."""
        lease = Lease(item, worker, secrets.token_hex(8))
        keys = [items_key(item.owner, item.stage), lease_key(item)]
        taken = self._link.script(scripts.TAKE, keys, [item.number, _claim(lease), _ms(ttl_s)])
        return lease if taken else None

    def renew(self, lease: Lease, *, ttl_s: float) -> bool:
        """Keeps the lease; False where it was lost."""
        keys = [lease_key(lease.item)]
        return bool(self._link.script(scripts.RENEW, keys, [_claim(lease), _ms(ttl_s)]))

    def release(self, lease: Lease, *, done: bool) -> bool:
        """Ends the lease; marks the item done where the lease still holds. Whether it held."""
        item = lease.item
        keys = [items_key(item.owner, item.stage), lease_key(item)]
        keys += [events_key(item.owner), sharers_key(item.owner)]
        args = [item.number, _claim(lease), int(done), str(item.stage), EVENTS]
        return bool(self._link.script(scripts.RELEASE, keys, args))

    def commit(
        self, job_id: str, unit: UnitId, side: Side, status: LabelStatus, *, summary: str
    ) -> bool:
        """Counts a label once, with an event; whether it was new."""
        keys = [job_key(job_id), labels_key(job_id), events_key(job_id)]
        args = [label_field(unit, side), str(status), secrets.token_hex(4), summary]
        return bool(self._link.script(scripts.COMMIT, keys, args))

    def committed(self, job_id: str) -> dict[tuple[UnitId, Side], LabelStatus]:
        """Every label that a job has committed."""
        found: Any = self._link.run(lambda client: client.hgetall(labels_key(job_id)))
        return {
            parse_field(field.decode()): LabelStatus(status.decode().partition(":")[0])
            for field, status in found.items()
        }

    def events(
        self, job_id: str, *, after: str | None = None, limit: int = 1000, wait_s: float = 0
    ) -> list[JobEvent]:
        """Events after one, oldest first, waiting a while where there is none yet."""
        ms, number = event_order(after) if after is not None else (0, 0)
        since = {events_key(job_id): f"{ms}-{number}"}
        until = time.monotonic() + wait_s
        while True:
            left_s = until - time.monotonic()
            # 0 would be without end.
            block = max(1, _ms(min(left_s, _SLICE_S))) if left_s > 0 else None
            found = self._link.run(_reading(since, limit, block))
            if found:
                return [_event(event_id, data) for event_id, data in found[0][1]]
            if left_s <= 0:
                return []

    def say_alive(self, worker: str, queue: str, doing: str | None, *, ttl_s: float) -> None:
        """A worker's sign of life."""
        now = _seconds(self._link.run(lambda client: client.time()))
        sign = json.dumps([queue, doing, now])

        def fill(pipe: Any) -> None:
            pipe.set(f"{_WORKERS}:{worker}", sign, px=_ms(ttl_s))
            pipe.sadd(_WORKERS, worker)

        self._link.pipeline(fill, whole=True)

    def workers(self) -> list[WorkerInfo]:
        """Workers whose sign of life still holds, by name."""
        members: Any = self._link.run(lambda client: client.smembers(_WORKERS))
        names = sorted(name.decode() for name in members)
        if not names:
            return []
        keys = [f"{_WORKERS}:{name}" for name in names]
        signs, time_ = self._link.pipeline(lambda pipe: pipe.mget(keys).time())
        gone = [name for name, sign in zip(names, signs, strict=True) if sign is None]
        if gone:
            self._link.run(lambda client: client.srem(_WORKERS, *gone))
        living = [(name, json.loads(s)) for name, s in zip(names, signs, strict=True) if s]
        return [
            WorkerInfo(name, queue, doing, max(0.0, _seconds(time_) - seen))
            for name, (queue, doing, seen) in living
        ]

    def lead(self, name: str, who: str, *, ttl_s: float) -> bool:
        """Whether `who` is the one that does something of which one at a time is enough."""
        return bool(self._link.script(scripts.LEAD, [f"{PREFIX}lead:{name}"], [who, _ms(ttl_s)]))

    def ask(self, queue: str, question: str, text: str, *, ttl_s: float) -> None:
        """Puts a question, by its id, before the workers of a queue for so long."""
        waiting = _waiting_key(queue)

        def fill(pipe: Any) -> None:
            pipe.set(_question_key(question), text, px=_ms(ttl_s))
            pipe.rpush(waiting, question)
            # Where no worker takes them, ids of questions that nobody waits for go with the list.
            pipe.pexpire(waiting, _ms(max(ttl_s, _FORGOTTEN_S)))

        self._link.pipeline(fill, whole=True)

    def next_question(self, queue: str, *, wait_s: float = 0) -> Question | None:
        """Takes the oldest question that still stands, waiting a while where there is none."""
        until = time.monotonic() + wait_s
        while (question := self._next_id(queue, until)) is not None:
            left, text = self._link.pipeline(_taken(_question_key(question)), whole=True)
            if text is not None:
                return Question(question, text.decode(), max(0, left) / 1000)
        return None

    def _next_id(self, queue: str, until: float) -> str | None:
        key = _waiting_key(queue)
        while True:
            left_s = until - time.monotonic()
            found: Any = self._link.run(_taking(key, min(left_s, _SLICE_S)))
            if found is not None:
                return str(found.decode())
            if left_s <= 0:
                return None

    def answer(self, question: str, reply: str, *, ttl_s: float = 120) -> None:
        """A worker's reply to a question, by the question's id; the first one counts."""
        self._link.script(scripts.ANSWER, [f"{PREFIX}reply:{question}"], [reply, _ms(ttl_s)])

    def await_answer(self, question: str, *, wait_s: float) -> str | None:
        """The reply, or None where none came in time."""
        key = f"{PREFIX}reply:{question}"
        until = time.monotonic() + wait_s
        while True:
            left_s = until - time.monotonic()
            if left_s <= 0:
                found: Any = self._link.run(lambda client: client.lindex(key, 0))
                return None if found is None else found.decode()
            found = self._link.run(_waiting(key, min(left_s, _SLICE_S)))
            if found is not None:
                return str(found.decode())

    def ping(self) -> None:
        """Returns where the server answers within two seconds."""
        self._link.ping()


def _reading(since: dict[str, str], limit: int, block: int | None) -> Any:
    return lambda client: client.xread(since, count=limit, block=block)


def _question_key(question: str) -> str:
    return f"{PREFIX}question:{question}"


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


def _event(event_id: bytes, data: dict[bytes, bytes]) -> JobEvent:
    return JobEvent(event_id.decode(), data[b"kind"].decode(), json.loads(data[b"data"]))


def _claim(lease: Lease) -> str:
    return f"{lease.token} {lease.worker}"


def _ms(seconds: float) -> int:
    return int(1000 * seconds)


def _seconds(time_: Any) -> float:
    seconds, micros = time_
    return float(seconds) + float(micros) / 1e6
