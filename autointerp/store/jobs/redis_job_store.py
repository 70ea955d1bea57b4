"""Jobs in Redis: states, listing, spending, committed labels, events, notes."""

from __future__ import annotations

import hashlib
import itertools
import json
import secrets
import time
from collections.abc import Collection, Mapping
from typing import Any

from typing_extensions import override

from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side, UnitId
from autointerp.core.job_state import Job, JobEvent, JobState, JobSummary, Stage
from autointerp.core.unreadable import OnUnreadable, pass_over
from autointerp.store.jobs import redis_scripts as scripts
from autointerp.store.jobs.job_backend import (
    COLLECTION,
    JobStore,
    bounded,
    key_reused,
    parse_event_id,
)
from autointerp.store.jobs.redis_job_reader import JOBS, OPEN, JobReader
from autointerp.store.jobs.redis_layout import (
    SLICE_S,
    events_key,
    fields_of,
    items_key,
    job_key,
    label_field,
    labels_key,
    lease_prefix,
    milliseconds,
    notes_key,
    parse_field,
    sharers_key,
)
from autointerp.store.redis_connection import PREFIX, RedisConnection

_EVENTS_S = 7 * 24 * 3600
"""How long events of an ended job are kept."""


class RedisJobStore(JobStore):
    """Shared by the API and every worker. Moments are the server's: clocks may differ."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection
        self._jobs = JobReader(connection)

    @override
    def submit(self, job: Job, *, key: str | None = None, body: str = "") -> Job:
        keys = [
            job_key(job.id),
            JOBS,
            f"{JOBS}:{job.owner}",
            OPEN,
            f"{OPEN}:{job.owner}",
            _asked_key(job.owner, key or ""),
            items_key(job.id, Stage.PLAN),
            events_key(job.id),
        ]
        event = _state_event(job.state, None)
        args = [job.id, int(key is not None), body, event, *fields_of(job)]
        result = self._connection.script(scripts.SUBMIT, keys, args)
        if result is None:
            raise key_reused(key or "")
        return self._jobs.whole([result.decode()])[0]

    @override
    def submitted(self, owner: str, key: str) -> str | None:
        result: Any = self._connection.run(
            lambda client: client.hget(_asked_key(owner, key), "job")
        )
        return None if result is None else str(result.decode())

    @override
    def get(self, job_id: str) -> Job | None:
        return next(iter(self._jobs.whole([job_id])), None)

    @override
    def summary(self, job_id: str) -> JobSummary | None:
        return next(iter(self._jobs.summaries([job_id])), None)

    @override
    def open_ids(self) -> list[str]:
        return self._jobs.open_ids(None)

    @override
    def find(
        self,
        *,
        owner: str | None = None,
        states: Collection[JobState] = (),
        before: str | None = None,
        limit: int = 50,
        on_unreadable: OnUnreadable = pass_over,
    ) -> list[JobSummary]:
        ids = self._jobs.newest(owner=owner, states=states, before=before, at_once=limit)
        result: list[JobSummary] = []
        # Jobs that cannot be read leave room for others.
        while len(result) < limit and (page := list(itertools.islice(ids, limit - len(result)))):
            result += self._jobs.summaries(page, on_unreadable)
        return result

    @override
    def n_open(self, owner: str | None = None) -> int:
        key = OPEN if owner is None else f"{OPEN}:{owner}"
        return int(self._connection.run(lambda client: client.scard(key)))

    @override
    def transition(
        self,
        job_id: str,
        state: JobState,
        *,
        among: Collection[JobState],
        reason: str | None = None,
    ) -> bool:
        keys = self._moving_keys(job_id)
        if keys is None:
            return False
        why = None if reason is None else bounded(reason)
        event = _state_event(state, why)
        args = [job_id, secrets.token_hex(8), str(state), int(state.is_final), why or ""]
        args += [event, _EVENTS_S, *(str(one) for one in among)]
        return bool(self._connection.script(scripts.MOVE, keys, args))

    @override
    def owner(self, job_id: str) -> str | None:
        key = job_key(job_id)
        owner, is_there = self._connection.pipeline(
            lambda pipe: pipe.hget(key, "owner").exists(key)
        )
        return (owner or b"").decode("utf-8", "replace") if is_there else None

    @override
    def forget(self, job_id: str) -> bool:
        owner = self.owner(job_id)
        if owner is None:
            return False
        collection = self.note(job_id, COLLECTION)
        keys = [job_key(job_id), sharers_key(collection or "")]
        keys += [JOBS, f"{JOBS}:{owner}", OPEN, f"{OPEN}:{owner}"]
        keys += [labels_key(job_id), *_owned_keys(job_id)]
        not_ended = [str(state) for state in JobState if not state.is_final]
        return bool(self._connection.script(scripts.FORGET, keys, [job_id, *not_ended]))

    @override
    def forget_collection(self, collection: str) -> bool:
        keys = [sharers_key(collection), *_owned_keys(collection)]
        return bool(self._connection.script(scripts.FORGET_COLLECTION, keys, []))

    @override
    def reopen(
        self,
        job_id: str,
        labels: Mapping[tuple[UnitId, Side], int],
        *,
        among: Collection[LabelStatus] = frozenset({LabelStatus.FAILED}),
    ) -> int:
        keys = self._moving_keys(job_id)
        if keys is None:
            return 0
        stages = (Stage.RECORDS, Stage.LABEL)
        keys += [labels_key(job_id), *(items_key(job_id, stage) for stage in stages)]
        args: list[Any] = [job_id, secrets.token_hex(8), _state_event(JobState.RUNNING, None)]
        args += [lease_prefix(job_id, stage) for stage in stages]
        args.append(f" {' '.join(sorted(among))} ")
        for (unit, side), chunk in labels.items():
            args += [label_field(unit, side), chunk]
        return int(self._connection.script(scripts.REOPEN, keys, args))

    @override
    def spend(self, job_id: str, *, requests: int, tokens: int, usd: float | None) -> None:
        keys = [job_key(job_id), f"{PREFIX}spent:{secrets.token_hex(8)}"]
        dollars = "" if usd is None else repr(float(usd))
        self._connection.script(scripts.SPEND, keys, [requests, tokens, dollars])

    @override
    def set_total(self, job_id: str, n: int) -> None:
        self._connection.run(lambda client: client.hset(job_key(job_id), "total", n))

    @override
    def put_note(self, owner: str, name: str, text: str) -> None:
        def fill(pipe: Any) -> None:
            pipe.hset(notes_key(owner), name, text)
            if name == COLLECTION:
                pipe.sadd(sharers_key(text), owner)

        self._connection.pipeline(fill, whole=True)

    @override
    def note(self, owner: str, name: str) -> str | None:
        result: Any = self._connection.run(lambda client: client.hget(notes_key(owner), name))
        return None if result is None else result.decode()

    @override
    def put_brief_note(self, owner: str, text: str, *, ttl_s: float) -> None:
        def fill(pipe: Any) -> None:
            pipe.hset(notes_key(owner), "", text)
            pipe.pexpire(notes_key(owner), max(1, milliseconds(ttl_s)))

        self._connection.pipeline(fill, whole=True)

    @override
    def first_note(self, owner: str, name: str, text: str) -> str:
        def fill(pipe: Any) -> None:
            pipe.hsetnx(notes_key(owner), name, text)
            pipe.hget(notes_key(owner), name)

        first: bytes = self._connection.pipeline(fill, whole=True)[1]
        return first.decode()

    @override
    def commit(
        self, job_id: str, unit: UnitId, side: Side, status: LabelStatus, *, summary: str
    ) -> bool:
        keys = [job_key(job_id), labels_key(job_id), events_key(job_id)]
        args = [label_field(unit, side), str(status), secrets.token_hex(4), summary]
        return bool(self._connection.script(scripts.COMMIT, keys, args))

    @override
    def committed(self, job_id: str) -> dict[tuple[UnitId, Side], LabelStatus]:
        result: Any = self._connection.run(lambda client: client.hgetall(labels_key(job_id)))
        return {
            parse_field(field.decode()): LabelStatus(status.decode().partition(":")[0])
            for field, status in result.items()
        }

    @override
    def events(
        self, job_id: str, *, after: str | None = None, limit: int = 1000, wait_s: float = 0
    ) -> list[JobEvent]:
        ms, number = parse_event_id(after) if after is not None else (0, 0)
        since = {events_key(job_id): f"{ms}-{number}"}
        until = time.monotonic() + wait_s
        while True:
            left_s = until - time.monotonic()
            # 0 would be without end.
            block = max(1, milliseconds(min(left_s, SLICE_S))) if left_s > 0 else None
            result = self._connection.run(_reading(since, limit, block))
            if result:
                return [_event(event_id, data) for event_id, data in result[0][1]]
            if left_s <= 0:
                return []

    @override
    def ping(self) -> None:
        self._connection.ping()

    def _moving_keys(self, job_id: str) -> list[str] | None:
        owner: Any = self._connection.run(lambda client: client.hget(job_key(job_id), "owner"))
        if owner is None:
            return None
        return [job_key(job_id), events_key(job_id), OPEN, f"{OPEN}:{owner.decode()}"]


def _owned_keys(owner: str) -> list[str]:
    return [events_key(owner), notes_key(owner), *(items_key(owner, stage) for stage in Stage)]


def _asked_key(owner: str, key: str) -> str:
    digest = hashlib.sha256(json.dumps([owner, key]).encode()).hexdigest()
    return f"{PREFIX}asked:{digest}"


def _state_event(state: JobState, reason: str | None) -> str:
    return json.dumps({"state": str(state), "reason": reason})


def _reading(since: dict[str, str], limit: int, block: int | None) -> Any:
    return lambda client: client.xread(since, count=limit, block=block)


def _event(event_id: bytes, data: dict[bytes, bytes]) -> JobEvent:
    return JobEvent(event_id.decode(), data[b"kind"].decode(), json.loads(data[b"data"]))
