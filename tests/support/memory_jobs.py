"""What the service keeps about jobs, in memory: a double of Redis for tests."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from memory_job_parts import (
    MemoryEvents,
    MemoryItems,
    MemoryPresence,
    counted,
    moved,
    newest_first,
)
from typing_extensions import override

from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side, UnitId
from autointerp.core.job_state import Job, JobEvent, JobState, JobSummary, Stage, WorkItem
from autointerp.core.unreadable import OnUnreadable, pass_over
from autointerp.store.jobs import (
    COLLECTION,
    ItemState,
    JobBackend,
    JobStore,
    Lease,
    WorkerInfo,
    WorkerMailbox,
    WorkerRegistry,
    WorkerRequest,
    WorkQueue,
)
from autointerp.store.jobs.job_backend import bounded, key_reused


class MemoryJobs(JobStore, WorkQueue, WorkerMailbox, WorkerRegistry):
    """All four parts under one lock."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}
        self._unpriced: set[str] = set()
        self._keys: dict[tuple[str, str], tuple[str, str]] = {}
        self._notes: dict[tuple[str, str], str] = {}
        self._ends: dict[tuple[str, str], float] = {}
        self._sharers: defaultdict[str, set[str]] = defaultdict(set)
        self._labels: defaultdict[str, dict[tuple[UnitId, Side], LabelStatus]] = defaultdict(dict)
        self._items = MemoryItems()
        self._events = MemoryEvents()
        self._presence = MemoryPresence()
        self._tokens = itertools.count(1)

    @property
    def backend(self) -> JobBackend:
        """This object as each of the four parts."""
        return JobBackend(self, self, self, self)

    @override
    def submit(self, job: Job, *, key: str | None = None, body: str = "") -> Job:
        with self._lock:
            known = self._keys.get((job.owner, key)) if key is not None else None
            if known is not None:
                return self._asked_before(known, key or "", body)
            if job.id not in self._jobs:
                self._jobs[job.id] = job
                self._items.set_number(job.id, Stage.PLAN, 1)
                self._say_state(job)
            if key is not None:
                self._keys[job.owner, key] = (job.id, body)
            return self._shown(self._jobs[job.id])

    @override
    def submitted(self, owner: str, key: str) -> str | None:
        known = self._keys.get((owner, key))
        return None if known is None else known[0]

    @override
    def get(self, job_id: str) -> Job | None:
        with self._lock:
            found = self._jobs.get(job_id)
            return None if found is None else self._shown(found)

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
        with self._lock:
            found = newest_first(self._jobs.values(), owner=owner, states=states, before=before)
            return [JobSummary.of(self._shown(job)) for job in itertools.islice(found, limit)]

    @override
    def summary(self, job_id: str) -> JobSummary | None:
        job = self.get(job_id)
        return None if job is None else JobSummary.of(job)

    @override
    def open_ids(self) -> list[str]:
        with self._lock:
            found = (job.id for job in self._jobs.values() if not job.state.is_final)
            return sorted(found, reverse=True)

    @override
    def n_open(self, owner: str | None = None) -> int:
        with self._lock:
            owners = [job.owner for job in self._jobs.values() if not job.state.is_final]
            return len(owners) if owner is None else owners.count(owner)

    @override
    def transition(
        self,
        job_id: str,
        state: JobState,
        *,
        among: Collection[JobState],
        reason: str | None = None,
    ) -> bool:
        with self._lock:
            job = self._jobs.get(job_id)
            if job is None or job.state not in among:
                return False
            why = None if reason is None else bounded(reason)
            self._jobs[job_id] = moved(job, state, why, time.time())
            self._say_state(self._jobs[job_id])
            return True

    @override
    def owner(self, job_id: str) -> str | None:
        job = self._jobs.get(job_id)
        return None if job is None else job.owner

    @override
    def forget(self, job_id: str) -> bool:
        with self._lock:
            if job_id not in self._jobs or not self._jobs[job_id].state.is_final:
                return False
            del self._jobs[job_id]
            self._keys = {k: known for k, known in self._keys.items() if known[0] != job_id}
            for sharing in self._sharers.values():
                sharing.discard(job_id)
            self._forget_owner(job_id)
            return True

    @override
    def forget_collection(self, collection: str) -> bool:
        with self._lock:
            needed = bool(self._sharers.get(collection))
            if not needed:
                self._forget_owner(collection)
            return not needed

    def _forget_owner(self, owner: str) -> None:
        self._notes = {key: text for key, text in self._notes.items() if key[0] != owner}
        self._labels.pop(owner, None)
        self._items.forget(owner)
        self._events.forget(owner)

    @override
    def reopen(
        self,
        job_id: str,
        labels: Mapping[tuple[UnitId, Side], int],
        *,
        among: Collection[LabelStatus] = frozenset({LabelStatus.FAILED}),
    ) -> int:
        with self._lock:
            job, known = self._jobs.get(job_id), self._labels[job_id]
            taken = [pair for pair in labels if known.get(pair) in among]
            if job is None or not job.state.is_final or not taken:
                return 0
            lost = Counter(known.pop(pair).value for pair in taken)
            left = {name: getattr(job.counts, name) - n for name, n in lost.items()}
            self._jobs[job_id] = replace(job, counts=replace(job.counts, **left))
            chunks = {labels[pair] for pair in taken}
            stages = (Stage.RECORDS, Stage.LABEL)
            self._items.reset([WorkItem(job_id, s, n) for s in stages for n in chunks])
            self.transition(job_id, JobState.RUNNING, among={job.state})
            return len(taken)

    @override
    def spend(self, job_id: str, *, requests: int, tokens: int, usd: float | None) -> None:
        with self._lock:
            job = self._jobs[job_id]
            if usd is None and (requests or tokens):
                self._unpriced.add(job_id)
            known = job_id not in self._unpriced and (usd is not None or job.usd is not None)
            self._jobs[job_id] = replace(
                job,
                requests=job.requests + requests,
                tokens=job.tokens + tokens,
                usd=(job.usd or 0.0) + (usd or 0.0) if known else None,
            )

    @override
    def set_items(self, owner: str, stage: Stage, n: int) -> bool:
        with self._lock:
            return self._items.set_number(owner, stage, n)

    @override
    def set_total(self, job_id: str, n: int) -> None:
        with self._lock:
            job = self._jobs[job_id]
            self._jobs[job_id] = replace(job, counts=replace(job.counts, total=n))

    @override
    def put_note(self, owner: str, name: str, text: str) -> None:
        with self._lock:
            self._notes[owner, name] = text
            if name == COLLECTION:
                self._sharers[text].add(owner)

    @override
    def note(self, owner: str, name: str) -> str | None:
        with self._lock:
            if time.monotonic() >= self._ends.get((owner, name), math.inf):
                del self._notes[owner, name], self._ends[owner, name]
            return self._notes.get((owner, name))

    @override
    def put_brief_note(self, owner: str, text: str, *, ttl_s: float) -> None:
        with self._lock:
            self._notes[owner, ""] = text
            self._ends[owner, ""] = time.monotonic() + ttl_s

    @override
    def first_note(self, owner: str, name: str, text: str) -> str:
        with self._lock:
            return self._notes.setdefault((owner, name), text)

    @override
    def items(self, owner: str, stage: Stage) -> list[ItemState]:
        with self._lock:
            return self._items.states(owner, stage)

    @override
    def mark_sent(self, items: Sequence[WorkItem]) -> None:
        with self._lock:
            self._items.mark_sent(items)

    @override
    def reset(self, items: Sequence[WorkItem]) -> None:
        with self._lock:
            self._items.reset(items)

    @override
    def take(self, item: WorkItem, worker: str, *, ttl_s: float) -> Lease | None:
        with self._lock:
            lease = Lease(item, worker, str(next(self._tokens)))
            return lease if self._items.take(lease, ttl_s) else None

    @override
    def renew(self, lease: Lease, *, ttl_s: float) -> bool:
        with self._lock:
            return self._items.renew(lease, ttl_s)

    @override
    def release(self, lease: Lease, *, done: bool) -> bool:
        with self._lock:
            if not self._items.release(lease, done=done):
                return False
            if done:
                owner, stage = lease.item.owner, lease.item.stage
                count = self._items.count(owner, stage)
                data: dict[str, str | int | float | None] = {
                    "stage": str(stage),
                    "number": lease.item.number,
                    "done": count.done,
                    "total": count.total,
                }
                for hearer in (owner, *self._sharers.get(owner, ())):
                    self._events.add(hearer, "stage", data)
            return True

    @override
    def commit(
        self, job_id: str, unit: UnitId, side: Side, status: LabelStatus, *, summary: str
    ) -> bool:
        with self._lock:
            if (unit, side) in self._labels[job_id]:
                return False
            job = self._jobs[job_id]
            self._labels[job_id][unit, side] = status
            self._jobs[job_id] = replace(job, counts=counted(job.counts, status))
            self._events.add_json(job_id, "label", summary)
            return True

    @override
    def committed(self, job_id: str) -> dict[tuple[UnitId, Side], LabelStatus]:
        with self._lock:
            return dict(self._labels.get(job_id, {}))

    @override
    def events(
        self, job_id: str, *, after: str | None = None, limit: int = 1000, wait_s: float = 0
    ) -> list[JobEvent]:
        return self._events.read(job_id, after=after, limit=limit, wait_s=wait_s)

    @override
    def heartbeat(self, worker: str, queue: str, doing: str | None, *, ttl_s: float) -> None:
        with self._lock:
            self._presence.heartbeat(worker, queue, doing, ttl_s)

    @override
    def alive(self) -> list[WorkerInfo]:
        with self._lock:
            return self._presence.alive()

    @override
    def lead(self, name: str, who: str, *, ttl_s: float) -> bool:
        with self._lock:
            return self._presence.lead(name, who, ttl_s)

    @override
    def send(self, queue: str, request_id: str, text: str, *, ttl_s: float) -> None:
        self._events.send(queue, request_id, text, ttl_s)

    @override
    def next_request(self, queue: str, *, wait_s: float = 0) -> WorkerRequest | None:
        return self._events.next_request(queue, wait_s)

    @override
    def reply(self, request_id: str, text: str, *, ttl_s: float = 120) -> None:
        self._events.reply(request_id, text, ttl_s)

    @override
    def await_reply(self, request_id: str, *, wait_s: float) -> str | None:
        return self._events.await_reply(request_id, wait_s)

    @override
    def ping(self) -> None:
        pass

    def _asked_before(self, known: tuple[str, str], key: str, body: str) -> Job:
        job_id, earlier_body = known
        if earlier_body != body:
            raise key_reused(key)
        return self._shown(self._jobs[job_id])

    def _say_state(self, job: Job) -> None:
        self._events.add(job.id, "state", {"state": str(job.state), "reason": job.reason})

    def _shown(self, job: Job) -> Job:
        owners = [job.id]
        if (job.id, COLLECTION) in self._notes:
            owners.append(self._notes[job.id, COLLECTION])
        counts = ((s, self._items.count(owner, s)) for s in Stage for owner in owners)
        return replace(job, stages={stage: count for stage, count in counts if count.total})
