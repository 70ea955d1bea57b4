"""The board: what jobs there are, how far each is, and who works on what.

Two implementations: in memory for one process, in Redis for many. Every method that changes
something is atomic, and doing it twice has the effect of doing it once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from autointerp.core.ids import Side, UnitId
from autointerp.core.labels import LabelStatus
from autointerp.core.service import Job, JobEvent, JobState, Stage, WorkItem

COLLECTION = "collection"
"""Name of the note by which a job says whose COLLECT and MERGE items it waits for: `Board.job`
shows them among its stages from then on, and the job hears of them by events."""


@dataclass(frozen=True, slots=True)
class ItemState:
    """Where a piece of work is."""

    item: WorkItem
    done: bool
    held_by: str | None
    """The worker that has it now."""
    attempts: int
    """How often a worker took it up."""
    sent_s_ago: float | None
    """Since it was last put into a queue; None where it never was."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's claim to a piece of work, which ends by itself unless it is renewed."""

    item: WorkItem
    worker: str
    token: str


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker that said lately that it lives."""

    name: str
    queue: str
    """``activations`` or ``labels``."""
    doing: str | None
    """The piece of work in its hands."""
    seen_s_ago: float


@dataclass(frozen=True, slots=True)
class Question:
    """What a caller of the API asks workers while it waits."""

    id: str
    text: str
    left_s: float
    """How long somebody still waits for the answer."""


class Board(Protocol):
    """Jobs, pieces of work, leases, events. Any method may raise UpstreamError."""

    # Jobs ------------------------------------------------------------------------------------

    def submit(self, job: Job, *, key: str | None = None, body: str = "") -> Job:
        """Puts a job up, with its PLAN item.

        Args:
            job: a new one, queued.
            key: the caller's idempotency key, which belongs to ``job.owner``.
            body: digest of what was asked for; the same key with the same body gives the job
                that was submitted with it.

        Raises:
            InputError: the same key with another body.
        """
        ...

    def submitted(self, owner: str, key: str) -> str | None:
        """Id of the job that an owner submitted with an idempotency key, or None."""
        ...

    def job(self, job_id: str) -> Job | None:
        """The job as it is now, or None."""
        ...

    def jobs(
        self,
        *,
        owner: str | None = None,
        states: Collection[JobState] = (),
        before: str | None = None,
        limit: int = 50,
    ) -> list[Job]:
        """Newest first, those before a job id; of one owner and of some states where given."""
        ...

    def n_open(self, owner: str | None = None) -> int:
        """How many jobs have not ended."""
        ...

    def move(
        self,
        job_id: str,
        state: JobState,
        *,
        among: Collection[JobState],
        reason: str | None = None,
    ) -> bool:
        """Changes a job's state if it is one of `among`, with an event; whether it did.

        An ended job that is moved to a state that is not final begins its next generation: it has
        not ended and has no reason.
        """
        ...

    def forget(self, job_id: str) -> bool:
        """Removes all that is kept of an ended job; False where it has not ended, or is unknown.

        What it shares with other jobs stays.
        """
        ...

    def forget_collection(self, collection: str) -> bool:
        """Removes the items of a collection; False where some job still needs it."""
        ...

    def reopen(self, job_id: str, failed: Mapping[tuple[UnitId, Side], int]) -> int:
        """Takes back failed labels of an ended job and makes it RUNNING; how many.

        Their RECORDS and LABEL items, the values of `failed`, count as not done and not tried.
        Where none of them has failed, or the job has not ended, nothing changes.
        """
        ...

    def spend(self, job_id: str, *, requests: int, tokens: int, usd: float | None) -> None:
        """Adds to what a job has spent; a price that is unknown once makes the sum unknown."""
        ...

    # Pieces of work --------------------------------------------------------------------------

    def set_items(self, owner: str, stage: Stage, n: int) -> bool:
        """Says how many items a stage has, once; whether this call did."""
        ...

    def set_total(self, job_id: str, n: int) -> None:
        """Says how many labels a job will have."""
        ...

    def put_note(self, owner: str, name: str, text: str) -> None:
        """Keeps a small text beside an owner: a plan, the key of its collection."""
        ...

    def note(self, owner: str, name: str) -> str | None:
        """The text, or None."""
        ...

    def items(self, owner: str, stage: Stage) -> list[ItemState]:
        """Every item of a stage; none where nobody said how many there are."""
        ...

    def mark_sent(self, items: Sequence[WorkItem]) -> None:
        """Notes that items were put into a queue now."""
        ...

    def reset(self, items: Sequence[WorkItem]) -> None:
        """Makes items neither done nor tried nor sent, and ends their leases: for a retry."""
        ...

    def take(self, item: WorkItem, worker: str, *, ttl_s: float) -> Lease | None:
        """A lease, counted as an attempt; None where it is done, held or does not exist."""
        ...

    def renew(self, lease: Lease, *, ttl_s: float) -> bool:
        """Keeps the lease; False where it was lost."""
        ...

    def release(self, lease: Lease, *, done: bool) -> bool:
        """Ends the lease; marks the item done where the lease still holds. Whether it held.

        An item that is done gives a ``stage`` event of its owner, and of every job that shares it,
        with ``stage``, ``number``, ``done`` and ``total``.
        """
        ...

    def commit(
        self, job_id: str, unit: UnitId, side: Side, status: LabelStatus, *, summary: str
    ) -> bool:
        """Counts a label once, with a ``label`` event; whether it was new.

        Args:
            job_id: the job, which must exist.
            unit: the label's unit.
            side: the label's side.
            status: how labelling ended.
            summary: the event's data, a JSON object of texts and numbers.
        """
        ...

    def committed(self, job_id: str) -> dict[tuple[UnitId, Side], LabelStatus]:
        """Every label that a job has committed."""
        ...

    # What happens ----------------------------------------------------------------------------

    def events(
        self, job_id: str, *, after: str | None = None, limit: int = 1000, wait_s: float = 0
    ) -> list[JobEvent]:
        """Events after one, oldest first, waiting a while where there is none yet."""
        ...

    def say_alive(self, worker: str, queue: str, doing: str | None, *, ttl_s: float) -> None:
        """A worker's sign of life."""
        ...

    def workers(self) -> list[WorkerInfo]:
        """Workers whose sign of life still holds."""
        ...

    def lead(self, name: str, who: str, *, ttl_s: float) -> bool:
        """Whether `who` is the one that does something of which one at a time is enough."""
        ...

    # Questions to workers --------------------------------------------------------------------

    def ask(self, queue: str, question: str, text: str, *, ttl_s: float) -> None:
        """Puts a question, by its id, before the workers of a queue for so long."""
        ...

    def next_question(self, queue: str, *, wait_s: float = 0) -> Question | None:
        """Takes the oldest question that still stands, waiting a while where there is none."""
        ...

    def answer(self, question: str, reply: str, *, ttl_s: float = 120) -> None:
        """A worker's reply to a question of the API, by the question's id."""
        ...

    def await_answer(self, question: str, *, wait_s: float) -> str | None:
        """The reply, or None where none came in time."""
        ...

    def ping(self) -> None:
        """Returns where the board can be reached."""
        ...
