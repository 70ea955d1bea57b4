"""The board's part in Redis that keeps jobs: their states, their listing, what they spent."""

from __future__ import annotations

import hashlib
import itertools
import json
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from autointerp.core.ids import Side, UnitId
from autointerp.core.service import Job, JobState, Stage, StageCount
from autointerp.store.board import COLLECTION
from autointerp.store.moves import other_body
from autointerp.store.redis import scripts
from autointerp.store.redis.job_fields import fields_of, job_of
from autointerp.store.redis.keys import (
    events_key,
    items_key,
    job_key,
    label_field,
    labels_key,
    lease_prefix,
    notes_key,
    sharers_key,
)
from autointerp.store.redis_connection import PREFIX, RedisConnection

_JOBS, _OPEN = f"{PREFIX}jobs", f"{PREFIX}open"
_EVENTS_S = 7 * 24 * 3600
"""How long events of an ended job are kept."""
_PAGE = 100


class RedisJobs:
    """See `Board` for what the methods do."""

    def __init__(self, link: RedisConnection) -> None:
        self._link = link

    def submit(self, job: Job, *, key: str | None = None, body: str = "") -> Job:
        """Puts a job up, with its PLAN item; the earlier one where the key is known."""
        keys = [
            job_key(job.id),
            _JOBS,
            f"{_JOBS}:{job.owner}",
            _OPEN,
            f"{_OPEN}:{job.owner}",
            _asked_key(job.owner, key or ""),
            items_key(job.id, Stage.PLAN),
            events_key(job.id),
        ]
        event = _state_event(job.state, None)
        args = [job.id, int(key is not None), body, event, *fields_of(job)]
        found = self._link.script(scripts.SUBMIT, keys, args)
        if found is None:
            raise other_body(key or "")
        return self._there(found.decode())

    def submitted(self, owner: str, key: str) -> str | None:
        """Id of the job that was submitted with a key, or None."""
        found: Any = self._link.run(lambda client: client.hget(_asked_key(owner, key), "job"))
        return None if found is None else str(found.decode())

    def job(self, job_id: str) -> Job | None:
        """The job as it is now, or None."""
        return next(iter(self._read([job_id])), None)

    def jobs(
        self,
        *,
        owner: str | None = None,
        states: Collection[JobState] = (),
        before: str | None = None,
        limit: int = 50,
    ) -> list[Job]:
        """Newest first, those before a job id; of one owner and of some states where given."""
        listed = self._newest_first(_JOBS if owner is None else f"{_JOBS}:{owner}", before)
        wanted = (job for job in listed if not states or job.state in states)
        return list(itertools.islice(wanted, limit))

    def n_open(self, owner: str | None = None) -> int:
        """How many jobs have not ended."""
        key = _OPEN if owner is None else f"{_OPEN}:{owner}"
        return int(self._link.run(lambda client: client.scard(key)))

    def move(
        self,
        job_id: str,
        state: JobState,
        *,
        among: Collection[JobState],
        reason: str | None = None,
    ) -> bool:
        """Changes a job's state if it is one of `among`, with an event; whether it did."""
        keys = self._moving_keys(job_id)
        if keys is None:
            return False
        event = _state_event(state, reason)
        args = [job_id, secrets.token_hex(8), str(state), int(state.is_final), reason or ""]
        args += [event, _EVENTS_S, *(str(one) for one in among)]
        return bool(self._link.script(scripts.MOVE, keys, args))

    def forget(self, job_id: str) -> bool:
        """Removes all that is kept of an ended job; False where it has not ended, or is unknown."""
        owner: Any = self._link.run(lambda client: client.hget(job_key(job_id), "owner"))
        if owner is None:
            return False
        collection = self.note(job_id, COLLECTION)
        keys = [job_key(job_id), _JOBS, f"{_JOBS}:{owner.decode()}", sharers_key(collection or "")]
        keys += [labels_key(job_id), *_kept_of(job_id)]
        return bool(self._link.script(scripts.FORGET, keys, [job_id]))

    def forget_collection(self, collection: str) -> bool:
        """Removes the items of a collection; False where some job still needs it."""
        keys = [sharers_key(collection), *_kept_of(collection)]
        return bool(self._link.script(scripts.FORGET_COLLECTION, keys, []))

    def reopen(self, job_id: str, failed: Mapping[tuple[UnitId, Side], int]) -> int:
        """Takes back failed labels of an ended job and makes it RUNNING; how many."""
        keys = self._moving_keys(job_id)
        if keys is None:
            return 0
        stages = (Stage.RECORDS, Stage.LABEL)
        keys += [labels_key(job_id), *(items_key(job_id, stage) for stage in stages)]
        args: list[Any] = [job_id, secrets.token_hex(8), _state_event(JobState.RUNNING, None)]
        args += [lease_prefix(job_id, stage) for stage in stages]
        for (unit, side), chunk in failed.items():
            args += [label_field(unit, side), chunk]
        return int(self._link.script(scripts.REOPEN, keys, args))

    def spend(self, job_id: str, *, requests: int, tokens: int, usd: float | None) -> None:
        """Adds to what a job has spent; a price that is unknown once makes the sum unknown."""
        keys = [job_key(job_id), f"{PREFIX}spent:{secrets.token_hex(8)}"]
        dollars = "" if usd is None else repr(float(usd))
        self._link.script(scripts.SPEND, keys, [requests, tokens, dollars])

    def set_total(self, job_id: str, n: int) -> None:
        """Says how many labels a job will have."""
        self._link.run(lambda client: client.hset(job_key(job_id), "total", n))

    def put_note(self, owner: str, name: str, text: str) -> None:
        """Keeps a small text beside an owner: a plan, the key of its collection."""

        def fill(pipe: Any) -> None:
            pipe.hset(notes_key(owner), name, text)
            if name == COLLECTION:
                pipe.sadd(sharers_key(text), owner)

        self._link.pipeline(fill, whole=True)

    def note(self, owner: str, name: str) -> str | None:
        """The text, or None."""
        found: Any = self._link.run(lambda client: client.hget(notes_key(owner), name))
        return None if found is None else found.decode()

    def _there(self, job_id: str) -> Job:
        return self._read([job_id])[0]

    def _newest_first(self, key: str, before: str | None) -> Iterator[Job]:
        top = "+" if before is None else f"({before}"
        while True:
            command = _listing(key, top)
            ids = [found.decode() for found in self._link.run(command)]
            yield from self._read(ids)
            if len(ids) < _PAGE:
                return
            top = f"({ids[-1]}"

    def _moving_keys(self, job_id: str) -> list[str] | None:
        owner: Any = self._link.run(lambda client: client.hget(job_key(job_id), "owner"))
        if owner is None:
            return None
        return [job_key(job_id), events_key(job_id), _OPEN, f"{_OPEN}:{owner.decode()}"]

    def _read(self, ids: Sequence[str]) -> list[Job]:
        if not ids:
            return []

        def fill(pipe: Any) -> None:
            for job_id in ids:
                pipe.hgetall(job_key(job_id))
                pipe.hget(notes_key(job_id), COLLECTION)
                _ask_counts(pipe, job_id)

        found = iter(self._link.pipeline(fill))
        read = [(next(found), next(found), _counts(found)) for _ in ids]
        shared = [owner.decode() for _, owner, _ in read if owner is not None]
        collected = self._collected(list(dict.fromkeys(shared)))
        jobs = [
            job_of(
                job_id, fields, {**stages, **collected.get(owner.decode(), {})} if owner else stages
            )
            for job_id, (fields, owner, stages) in zip(ids, read, strict=True)
        ]
        return [job for job in jobs if job is not None]

    def _collected(self, owners: Sequence[str]) -> dict[str, dict[Stage, StageCount]]:
        if not owners:
            return {}

        def fill(pipe: Any) -> None:
            for owner in owners:
                _ask_counts(pipe, owner)

        found = iter(self._link.pipeline(fill))
        return {owner: _counts(found) for owner in owners}


def _kept_of(owner: str) -> list[str]:
    return [events_key(owner), notes_key(owner), *(items_key(owner, stage) for stage in Stage)]


def _listing(key: str, top: str) -> Any:
    return lambda client: client.zrevrangebylex(key, top, "-", 0, _PAGE)


def _ask_counts(pipe: Any, owner: str) -> None:
    for stage in Stage:
        pipe.hmget(items_key(owner, stage), "done", "n")


def _counts(replies: Iterator[Any]) -> dict[Stage, StageCount]:
    counts: dict[Stage, StageCount] = {}
    for stage in Stage:
        done, total = next(replies)
        if total is not None and int(total):
            counts[stage] = StageCount(int(done or 0), int(total))
    return counts


def _asked_key(owner: str, key: str) -> str:
    digest = hashlib.sha256(json.dumps([owner, key]).encode()).hexdigest()
    return f"{PREFIX}asked:{digest}"


def _state_event(state: JobState, reason: str | None) -> str:
    return json.dumps({"state": str(state), "reason": reason})
