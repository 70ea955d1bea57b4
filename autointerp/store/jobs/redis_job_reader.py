"""Jobs read from Redis: whole ones, and summaries at a cost that no specification changes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from autointerp.core.job_state import Job, JobState, JobSummary, Stage, StageCount
from autointerp.core.unreadable import OnUnreadable, if_readable, refuse_unreadable
from autointerp.store.jobs import redis_scripts as scripts
from autointerp.store.jobs.job_backend import COLLECTION
from autointerp.store.jobs.redis_layout import (
    BRIEF,
    SUMMARY_FIELDS,
    brief_of_spec,
    items_key,
    job_key,
    job_of,
    notes_key,
    summary_of,
)
from autointerp.store.redis_connection import PREFIX, RedisConnection

JOBS, OPEN = f"{PREFIX}jobs", f"{PREFIX}open"
"""Sorted sets of all jobs, and sets of those that have not ended; of an owner with ``:owner``."""
_PAGE = 100

T = TypeVar("T")


class JobReader:
    """Reads jobs with the counts of their stages."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    def whole(self, ids: Sequence[str]) -> list[Job]:
        """The jobs of those ids that exist, with their specifications."""
        read = self._read(ids, lambda pipe, job_id: pipe.hgetall(job_key(job_id)))
        jobs = [job_of(job_id, fields, stages) for job_id, fields, stages in read]
        return [job for job in jobs if job is not None]

    def summaries(
        self, ids: Sequence[str], on_unreadable: OnUnreadable = refuse_unreadable
    ) -> list[JobSummary]:
        """Summaries of those jobs that exist and can be read."""
        stored = self._read(ids, lambda pipe, job_id: pipe.hmget(job_key(job_id), SUMMARY_FIELDS))
        summaries = [
            (job_id, {n.encode(): v for n, v in zip(SUMMARY_FIELDS, values, strict=True) if v}, of)
            for job_id, values, of in stored
            if values[SUMMARY_FIELDS.index("schema")] is not None
        ]
        missing = self._add_brief(
            [job_id for job_id, fields, _ in summaries if _BRIEF not in fields]
        )
        reads = (
            partial(summary_of, job_id, {_BRIEF: missing.get(job_id, b""), **fields}, of)
            for job_id, fields, of in summaries
        )
        result = (if_readable(read, on_unreadable) for read in reads)
        return [summary for summary in result if summary is not None]

    def newest(
        self, *, owner: str | None, states: Collection[JobState], before: str | None, at_once: int
    ) -> Iterator[str]:
        """Ids of the jobs that `JobStore.find` lists, of which so many are wanted at first."""
        if states and not any(state.is_final for state in states):
            ids: Iterator[list[str]] = iter([self.open_ids(owner, before)])
        else:
            # A page more than was asked for would be read for nothing.
            size = _PAGE if states else min(at_once, _PAGE)
            ids = self._pages(JOBS if owner is None else f"{JOBS}:{owner}", before, size)
        return (job_id for page in ids for job_id in self._in_states(page, states))

    def open_ids(self, owner: str | None, before: str | None = None) -> list[str]:
        """Jobs that have not ended, newest first."""
        key = OPEN if owner is None else f"{OPEN}:{owner}"
        members: Any = self._connection.run(lambda client: client.smembers(key))
        ids = sorted((member.decode() for member in members), reverse=True)
        return [job_id for job_id in ids if before is None or job_id < before]

    def _in_states(self, ids: Sequence[str], states: Collection[JobState]) -> list[str]:
        if not states or not ids:
            return list(ids)
        wanted = {str(state).encode() for state in states}

        def fill(pipe: Any) -> None:
            for job_id in ids:
                pipe.hget(job_key(job_id), "state")

        read = self._connection.pipeline(fill)
        return [job_id for job_id, state in zip(ids, read, strict=True) if state in wanted]

    def _pages(self, key: str, before: str | None, size: int) -> Iterator[list[str]]:
        top = "+" if before is None else f"({before}"
        while True:
            listed: Any = self._connection.run(_listing(key, top, size))
            ids = [result.decode() for result in listed]
            yield ids
            if len(ids) < size:
                return
            top = f"({ids[-1]}"

    def _add_brief(self, ids: Sequence[str]) -> dict[str, bytes]:
        """What summaries say of jobs of an earlier version, stored from now on."""
        result = {}
        for job_id in ids:
            spec: Any = self._connection.run(_field(job_key(job_id), "spec"))
            text = brief_of_spec(spec or b"")
            self._connection.script(scripts.ADD_FIELD, [job_key(job_id)], [BRIEF, text])
            result[job_id] = text.encode()
        return result

    def _read(
        self, ids: Sequence[str], ask: Callable[[Any, str], object]
    ) -> list[tuple[str, Any, Mapping[Stage, StageCount]]]:
        if not ids:
            return []

        def fill(pipe: Any) -> None:
            for job_id in ids:
                ask(pipe, job_id)
                pipe.hget(notes_key(job_id), COLLECTION)
                _ask_counts(pipe, job_id)

        result = iter(self._connection.pipeline(fill))
        read = [(next(result), next(result), _counts(result)) for _ in ids]
        shared = [owner.decode() for _, owner, _ in read if owner is not None]
        collected = self._collected(list(dict.fromkeys(shared)))
        return [
            (job_id, fields, {**stages, **collected.get(owner.decode(), {})} if owner else stages)
            for job_id, (fields, owner, stages) in zip(ids, read, strict=True)
        ]

    def _collected(self, owners: Sequence[str]) -> dict[str, dict[Stage, StageCount]]:
        if not owners:
            return {}

        def fill(pipe: Any) -> None:
            for owner in owners:
                _ask_counts(pipe, owner)

        result = iter(self._connection.pipeline(fill))
        return {owner: _counts(result) for owner in owners}


_BRIEF = BRIEF.encode()


def _listing(key: str, top: str, size: int) -> Any:
    return lambda client: client.zrevrangebylex(key, top, "-", 0, size)


def _field(key: str, name: str) -> Any:
    return lambda client: client.hget(key, name)


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
