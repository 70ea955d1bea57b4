"""Parts of the double in memory of what the service keeps about jobs."""

from __future__ import annotations

import bisect
import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from autointerp.core.explanations import LabelStatus
from autointerp.core.job_state import (
    Job,
    JobCounts,
    JobEvent,
    JobState,
    Stage,
    StageCount,
    WorkItem,
)
from autointerp.store.jobs import ItemState, Lease, WorkerInfo, WorkerRequest
from autointerp.store.jobs.job_backend import parse_event_id

Data = Mapping[str, str | int | float | None]


class MemoryEvents:
    """Events by job, and replies that end after a while; waits end when something comes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._events: defaultdict[str, list[JobEvent]] = defaultdict(list)
        self._requests: defaultdict[str, deque[tuple[str, str, float]]] = defaultdict(deque)
        self._replies: dict[str, tuple[str, float]] = {}

    def add(self, owner: str, kind: str, data: Data) -> None:
        with self._changed:
            events = self._events[owner]
            now = int(time.time() * 1000)
            last_ms, last_number = parse_event_id(events[-1].id) if events else (0, 0)
            ms, number = (now, 0) if now > last_ms else (last_ms, last_number + 1)
            events.append(JobEvent(f"{ms}-{number}", kind, data))
            self._changed.notify_all()

    def add_json(self, owner: str, kind: str, data: str) -> None:
        self.add(owner, kind, json.loads(data))

    def read(self, owner: str, *, after: str | None, limit: int, wait_s: float) -> list[JobEvent]:
        order = parse_event_id(after) if after is not None else (-1, 0)
        with self._changed:
            self._changed.wait_for(lambda: self._after(owner, order), timeout=wait_s)
            return self._after(owner, order)[:limit]

    def send(self, queue: str, request_id: str, text: str, ttl_s: float) -> None:
        with self._changed:
            self._requests[queue].append((request_id, text, time.monotonic() + ttl_s))
            self._changed.notify_all()

    def next_request(self, queue: str, wait_s: float) -> WorkerRequest | None:
        with self._changed:
            self._changed.wait_for(lambda: self._stands(queue), timeout=wait_s)
            if not self._stands(queue):
                return None
            request_id, text, until = self._requests[queue].popleft()
            return WorkerRequest(request_id, text, until - time.monotonic())

    def _stands(self, queue: str) -> bool:
        waiting = self._requests[queue]
        while waiting and waiting[0][2] <= time.monotonic():
            waiting.popleft()
        return bool(waiting)

    def forget(self, owner: str) -> None:
        with self._changed:
            self._events.pop(owner, None)

    def reply(self, request_id: str, text: str, ttl_s: float) -> None:
        now = time.monotonic()
        with self._changed:
            self._replies = {q: kept for q, kept in self._replies.items() if kept[1] > now}
            self._replies.setdefault(request_id, (text, now + ttl_s))
            self._changed.notify_all()

    def await_reply(self, request_id: str, wait_s: float) -> str | None:
        with self._changed:
            self._changed.wait_for(lambda: request_id in self._replies, timeout=wait_s)
            reply, until = self._replies.get(request_id, (None, 0.0))
            return reply if until > time.monotonic() else None

    def _after(self, owner: str, order: tuple[int, int]) -> list[JobEvent]:
        events = self._events.get(owner, [])
        return events[bisect.bisect_right(events, order, key=lambda e: parse_event_id(e.id)) :]


@dataclass(slots=True)
class _Item:
    done: bool = False
    attempts: int = 0
    sent: float | None = None
    lease: Lease | None = None
    until: float = 0.0

    @property
    def held(self) -> Lease | None:
        return self.lease if self.until > time.monotonic() else None


class MemoryItems:
    """Not thread-safe by itself: its owner locks. Times are of the monotonic clock."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, Stage], list[_Item]] = {}

    def set_number(self, owner: str, stage: Stage, n: int) -> bool:
        if (owner, stage) in self._items:
            return False
        self._items[owner, stage] = [_Item() for _ in range(n)]
        return True

    def forget(self, owner: str) -> None:
        self._items = {key: items for key, items in self._items.items() if key[0] != owner}

    def count(self, owner: str, stage: Stage) -> StageCount:
        items = self._items.get((owner, stage), [])
        return StageCount(sum(item.done for item in items), len(items))

    def states(self, owner: str, stage: Stage) -> list[ItemState]:
        now = time.monotonic()
        return [
            ItemState(
                WorkItem(owner, stage, number),
                item.done,
                item.held.worker if item.held else None,
                item.attempts,
                None if item.sent is None else now - item.sent,
            )
            for number, item in enumerate(self._items.get((owner, stage), []))
        ]

    def mark_sent(self, items: Iterable[WorkItem]) -> None:
        for found in map(self._find, items):
            if found is not None:
                found.sent = time.monotonic()

    def reset(self, items: Iterable[WorkItem]) -> None:
        for item in items:
            if self._find(item) is not None:
                self._items[item.owner, item.stage][item.number] = _Item()

    def take(self, lease: Lease, ttl_s: float) -> bool:
        found = self._find(lease.item)
        if found is None or found.done or found.held:
            return False
        found.attempts += 1
        found.lease, found.until = lease, time.monotonic() + ttl_s
        return True

    def renew(self, lease: Lease, ttl_s: float) -> bool:
        found = self._find(lease.item)
        if found is None or found.held != lease:
            return False
        found.until = time.monotonic() + ttl_s
        return True

    def release(self, lease: Lease, *, done: bool) -> bool:
        found = self._find(lease.item)
        if found is None or found.held != lease:
            return False
        found.lease, found.until, found.done = None, 0.0, done
        return True

    def _find(self, item: WorkItem) -> _Item | None:
        items = self._items.get((item.owner, item.stage), [])
        return items[item.number] if item.number < len(items) else None


class MemoryPresence:
    """Presence that expires; not thread-safe by itself."""

    def __init__(self) -> None:
        self._workers: dict[str, tuple[str, str | None, float, float]] = {}
        self._leaders: dict[str, tuple[str, float]] = {}

    def heartbeat(self, worker: str, queue: str, doing: str | None, ttl_s: float) -> None:
        now = time.monotonic()
        self._workers[worker] = (queue, doing, now, now + ttl_s)

    def alive(self) -> list[WorkerInfo]:
        now = time.monotonic()
        return [
            WorkerInfo(name, queue, doing, now - seen)
            for name, (queue, doing, seen, until) in sorted(self._workers.items())
            if until > now
        ]

    def lead(self, name: str, who: str, ttl_s: float) -> bool:
        now = time.monotonic()
        leader, until = self._leaders.get(name, (who, 0.0))
        if leader != who and until > now:
            return False
        self._leaders[name] = (who, now + ttl_s)
        return True


def moved(job: Job, state: JobState, reason: str | None, now: float) -> Job:
    """The job in another state.

    Args:
        job: as it was.
        state: the new state.
        reason: why it is in that state; None where that needs no words.
        now: seconds since 1970.
    """
    again = job.state.is_final and not state.is_final
    return replace(
        job,
        state=state,
        reason=reason,
        started=job.started or (now if state is JobState.RUNNING else None),
        ended=now if state.is_final else None,
        generation=job.generation + again,
    )


def counted(counts: JobCounts, status: LabelStatus) -> JobCounts:
    """The counts with one label more."""
    return replace(counts, **{status.value: getattr(counts, status.value) + 1})


def newest_first(
    jobs: Iterable[Job], *, owner: str | None, states: Collection[JobState], before: str | None
) -> Iterator[Job]:
    """Those jobs that were asked for; ids sort by time."""
    for job in sorted(jobs, key=lambda job: job.id, reverse=True):
        if (
            (owner is None or job.owner == owner)
            and (not states or job.state in states)
            and (before is None or job.id < before)
        ):
            yield job
