"""A board that ends with the process: for tests, and for work without a server."""

from __future__ import annotations

import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from autointerp.core.ids import Side, UnitId
from autointerp.core.labels import LabelStatus
from autointerp.core.service import Job, JobEvent, JobState, Stage, WorkItem
from autointerp.store.board import COLLECTION, ItemState, Lease, Question, WorkerInfo
from autointerp.store.memory_events import MemoryEvents
from autointerp.store.memory_items import MemoryItems
from autointerp.store.memory_signs import MemorySigns
from autointerp.store.moves import counted, moved, newest_first, other_body


class MemoryBoard:
    """Everything under one lock; see `Board` for what the methods do."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}
        self._unpriced: set[str] = set()
        self._keys: dict[tuple[str, str], tuple[str, str]] = {}
        self._notes: dict[tuple[str, str], str] = {}
        self._sharers: defaultdict[str, set[str]] = defaultdict(set)
        self._labels: defaultdict[str, dict[tuple[UnitId, Side], LabelStatus]] = defaultdict(dict)
        self._items = MemoryItems()
        self._events = MemoryEvents()
        self._signs = MemorySigns()
        self._tokens = itertools.count(1)

    def submit(self, job: Job, *, key: str | None = None, body: str = "") -> Job:
        """Puts a job up, with its PLAN item; the earlier one where the key is known."""
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

    def submitted(self, owner: str, key: str) -> str | None:
        """Id of the job that was submitted with a key, or None."""
        known = self._keys.get((owner, key))
        return None if known is None else known[0]

    def job(self, job_id: str) -> Job | None:
        """The job as it is now, or None."""
        with self._lock:
            found = self._jobs.get(job_id)
            return None if found is None else self._shown(found)

    def jobs(
        self,
        *,
        owner: str | None = None,
        states: Collection[JobState] = (),
        before: str | None = None,
        limit: int = 50,
    ) -> list[Job]:
        """Newest first, those before a job id; of one owner and of some states where given."""
        with self._lock:
            found = newest_first(self._jobs.values(), owner=owner, states=states, before=before)
            return [self._shown(job) for job in itertools.islice(found, limit)]

    def n_open(self, owner: str | None = None) -> int:
        """How many jobs have not ended."""
        with self._lock:
            owners = [job.owner for job in self._jobs.values() if not job.state.is_final]
            return len(owners) if owner is None else owners.count(owner)

    def move(
        self,
        job_id: str,
        state: JobState,
        *,
        among: Collection[JobState],
        reason: str | None = None,
    ) -> bool:
        """Changes a job's state if it is one of `among`, with an event; whether it did."""
        with self._lock:
            job = self._jobs.get(job_id)
            if job is None or job.state not in among:
                return False
            self._jobs[job_id] = moved(job, state, reason, time.time())
            self._say_state(self._jobs[job_id])
            return True

    def forget(self, job_id: str) -> bool:
        """Removes all that is kept of an ended job; False where it has not ended, or is unknown."""
        with self._lock:
            if job_id not in self._jobs or not self._jobs[job_id].state.is_final:
                return False
            del self._jobs[job_id]
            self._keys = {k: known for k, known in self._keys.items() if known[0] != job_id}
            for sharing in self._sharers.values():
                sharing.discard(job_id)
            self._forget_owner(job_id)
            return True

    def forget_collection(self, collection: str) -> bool:
        """Removes the items of a collection; False where some job still needs it."""
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

    def reopen(self, job_id: str, failed: Mapping[tuple[UnitId, Side], int]) -> int:
        """Takes back failed labels of an ended job and makes it RUNNING; how many."""
        with self._lock:
            job, labels = self._jobs.get(job_id), self._labels[job_id]
            taken = [pair for pair in failed if labels.get(pair) is LabelStatus.FAILED]
            if job is None or not job.state.is_final or not taken:
                return 0
            for pair in taken:
                del labels[pair]
            counts = replace(job.counts, failed=job.counts.failed - len(taken))
            self._jobs[job_id] = replace(job, counts=counts)
            chunks = {failed[pair] for pair in taken}
            stages = (Stage.RECORDS, Stage.LABEL)
            self._items.reset([WorkItem(job_id, s, n) for s in stages for n in chunks])
            self.move(job_id, JobState.RUNNING, among={job.state})
            return len(taken)

    def spend(self, job_id: str, *, requests: int, tokens: int, usd: float | None) -> None:
        """Adds to what a job has spent; a price that is unknown once makes the sum unknown."""
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

    def set_items(self, owner: str, stage: Stage, n: int) -> bool:
        """Says how many items a stage has, once; whether this call did."""
        with self._lock:
            return self._items.set_number(owner, stage, n)

    def set_total(self, job_id: str, n: int) -> None:
        """Says how many labels a job will have."""
        with self._lock:
            job = self._jobs[job_id]
            self._jobs[job_id] = replace(job, counts=replace(job.counts, total=n))

    def put_note(self, owner: str, name: str, text: str) -> None:
        """Keeps a small text beside an owner: a plan, the key of its collection."""
        with self._lock:
            self._notes[owner, name] = text
            if name == COLLECTION:
                self._sharers[text].add(owner)

    def note(self, owner: str, name: str) -> str | None:
        """The text, or None."""
        with self._lock:
            return self._notes.get((owner, name))

    def items(self, owner: str, stage: Stage) -> list[ItemState]:
        """Every item of a stage; none where nobody said how many there are."""
        with self._lock:
            return self._items.states(owner, stage)

    def mark_sent(self, items: Sequence[WorkItem]) -> None:
        """Notes that items were put into a queue now."""
        with self._lock:
            self._items.mark_sent(items)

    def reset(self, items: Sequence[WorkItem]) -> None:
        """Makes items neither done nor tried nor sent, and ends their leases."""
        with self._lock:
            self._items.reset(items)

    def take(self, item: WorkItem, worker: str, *, ttl_s: float) -> Lease | None:
        """A lease, counted as an attempt; None where it is done, held or does not exist."""
        with self._lock:
            lease = Lease(item, worker, str(next(self._tokens)))
            return lease if self._items.take(lease, ttl_s) else None

    def renew(self, lease: Lease, *, ttl_s: float) -> bool:
        """Keeps the lease; False where it was lost."""
        with self._lock:
            return self._items.renew(lease, ttl_s)

    def release(self, lease: Lease, *, done: bool) -> bool:
        """Ends the lease; marks the item done where the lease still holds. Whether it held."""
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

    def commit(
        self, job_id: str, unit: UnitId, side: Side, status: LabelStatus, *, summary: str
    ) -> bool:
        """Counts a label once, with an event; whether it was new."""
        with self._lock:
            if (unit, side) in self._labels[job_id]:
                return False
            job = self._jobs[job_id]
            self._labels[job_id][unit, side] = status
            self._jobs[job_id] = replace(job, counts=counted(job.counts, status))
            self._events.add_json(job_id, "label", summary)
            return True

    def committed(self, job_id: str) -> dict[tuple[UnitId, Side], LabelStatus]:
        """Every label that a job has committed."""
        with self._lock:
            return dict(self._labels.get(job_id, {}))

    def events(
        self, job_id: str, *, after: str | None = None, limit: int = 1000, wait_s: float = 0
    ) -> list[JobEvent]:
        """Events after one, oldest first, waiting a while where there is none yet."""
        return self._events.read(job_id, after=after, limit=limit, wait_s=wait_s)

    def say_alive(self, worker: str, queue: str, doing: str | None, *, ttl_s: float) -> None:
        """A worker's sign of life."""
        with self._lock:
            self._signs.say_alive(worker, queue, doing, ttl_s)

    def workers(self) -> list[WorkerInfo]:
        """Workers whose sign of life still holds, by name."""
        with self._lock:
            return self._signs.workers()

    def lead(self, name: str, who: str, *, ttl_s: float) -> bool:
        """Whether `who` is the one that does something of which one at a time is enough."""
        with self._lock:
            return self._signs.lead(name, who, ttl_s)

    def ask(self, queue: str, question: str, text: str, *, ttl_s: float) -> None:
        """Puts a question, by its id, before the workers of a queue for so long."""
        self._events.ask(queue, question, text, ttl_s)

    def next_question(self, queue: str, *, wait_s: float = 0) -> Question | None:
        """Takes the oldest question that still stands, waiting a while where there is none."""
        return self._events.next_question(queue, wait_s)

    def answer(self, question: str, reply: str, *, ttl_s: float = 120) -> None:
        """A worker's reply to a question, by the question's id; the first one counts."""
        self._events.answer(question, reply, ttl_s)

    def await_answer(self, question: str, *, wait_s: float) -> str | None:
        """The reply, or None where none came in time."""
        return self._events.await_answer(question, wait_s)

    def ping(self) -> None:
        """Returns: memory is always there."""

    def _asked_before(self, known: tuple[str, str], key: str, body: str) -> Job:
        job_id, earlier_body = known
        if earlier_body != body:
            raise other_body(key)
        return self._shown(self._jobs[job_id])

    def _say_state(self, job: Job) -> None:
        self._events.add(job.id, "state", {"state": str(job.state), "reason": job.reason})

    def _shown(self, job: Job) -> Job:
        owners = [job.id]
        if (job.id, COLLECTION) in self._notes:
            owners.append(self._notes[job.id, COLLECTION])
        counts = ((s, self._items.count(owner, s)) for s in Stage for owner in owners)
        return replace(job, stages={stage: count for stage, count in counts if count.total})
