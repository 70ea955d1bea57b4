"""What the service keeps about jobs: four protocols, by who uses them.

Redis implements them for many processes, a double in memory for tests. Every method that changes
something is atomic, and doing it twice has the effect of doing it once. Any method may raise
UpstreamError.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from autointerp.core.errors import InputError
from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side, UnitId
from autointerp.core.job_state import Job, JobEvent, JobState, JobSummary, Stage, WorkItem
from autointerp.core.unreadable import OnUnreadable, pass_over

COLLECTION = "collection"
"""Name of the note in which a job names the owner of the COLLECT and MERGE items that it waits
for. `JobStore.get` lists them among the job's stages from then on; the job gets their events."""

_REASON = 2_000


@dataclass(frozen=True, slots=True)
class ItemState:
    """How far a work item is."""

    item: WorkItem
    done: bool
    held_by: str | None
    """The worker that holds its lease now."""
    attempts: int
    """How often a worker took it."""
    sent_s_ago: float | None
    """Seconds since it was last sent to a queue; None where it never was."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's claim to a work item, which expires unless it is renewed."""

    item: WorkItem
    worker: str
    token: str


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker whose last heartbeat has not expired."""

    name: str
    queue: str
    """``activations`` or ``labels``."""
    doing: str | None
    """The work items that it holds."""
    seen_s_ago: float


@dataclass(frozen=True, slots=True)
class WorkerRequest:
    """A call from the API to the workers of a queue, for whose reply a caller waits."""

    id: str
    text: str
    left_s: float
    """Seconds for which the caller will go on waiting."""


class JobStore(Protocol):
    """Jobs, the labels they have committed, what they spent, and their events."""

    def submit(self, job: Job, *, key: str | None = None, body: str = "") -> Job:
        """The stored job, with a PLAN item.

        An idempotency key belongs to ``job.owner``: with the same body, a digest of the request, it
        returns the job that was submitted with it.

        Raises:
            InputError: the same key came with another body.
        """

    def submitted(self, owner: str, key: str) -> str | None:
        """Id of the job that an owner submitted with an idempotency key, or None."""

    def get(self, job_id: str) -> Job | None:
        """The job as it is now, or None."""

    def summary(self, job_id: str) -> JobSummary | None:
        """The job without its specification, at a cost that does not depend on it; or None."""

    def open_ids(self) -> list[str]:
        """Ids of the jobs that have not ended, newest first."""

    def find(
        self,
        *,
        owner: str | None = None,
        states: Collection[JobState] = (),
        before: str | None = None,
        limit: int = 50,
        on_unreadable: OnUnreadable = pass_over,
    ) -> list[JobSummary]:
        """Newest first, those before a job id; of one owner and of some states where given.

        Jobs that cannot be read are left out.
        """

    def n_open(self, owner: str | None = None) -> int:
        """How many jobs have not ended."""

    def transition(
        self,
        job_id: str,
        state: JobState,
        *,
        among: Collection[JobState],
        reason: str | None = None,
    ) -> bool:
        """Changes a job's state if it is one of `among`, with an event; whether it did.

        An ended job that gets a state that is not final begins its next generation, without an
        end or a reason.
        """

    def owner(self, job_id: str) -> str | None:
        """Whose job it is, empty where that cannot be read; None where there is no such job."""

    def forget(self, job_id: str) -> bool:
        """Deletes everything about an ended job; False where it has not ended, or is unknown.

        What it shares with other jobs stays. The job may be damaged; where it has no state that
        jobs have, it counts as ended.
        """

    def forget_collection(self, collection: str) -> bool:
        """Deletes the items of a collection; False where some job still needs it."""

    def reopen(
        self,
        job_id: str,
        labels: Mapping[tuple[UnitId, Side], int],
        *,
        among: Collection[LabelStatus] = frozenset({LabelStatus.FAILED}),
    ) -> int:
        """Takes back labels of an ended job that are of these states, and makes it RUNNING.

        How many. Their RECORDS and LABEL items, the values of `labels`, count as not done and not
        tried. Where no label is of such a state, or the job has not ended, nothing changes.
        """

    def spend(self, job_id: str, *, requests: int, tokens: int, usd: float | None) -> None:
        """Adds to what a job has spent; one unknown price makes the sum unknown."""

    def set_total(self, job_id: str, n: int) -> None:
        """Sets how many labels a job will have."""

    def commit(
        self, job_id: str, unit: UnitId, side: Side, status: LabelStatus, *, summary: str
    ) -> bool:
        """Counts a label once, with a ``label`` event; whether it was new.

        The job must exist; `summary` is the event's data, a JSON object of texts and numbers.
        """

    def committed(self, job_id: str) -> dict[tuple[UnitId, Side], LabelStatus]:
        """Every label that a job has committed."""

    def events(
        self, job_id: str, *, after: str | None = None, limit: int = 1000, wait_s: float = 0
    ) -> list[JobEvent]:
        """Events after one, oldest first; waits up to `wait_s` seconds for the first.

        Raises:
            InputError: `after` is not the id of an event.
        """

    def put_note(self, owner: str, name: str, text: str) -> None:
        """Stores a small text about a job, a collection, a model or a worker."""

    def note(self, owner: str, name: str) -> str | None:
        """The text, or None."""

    def put_brief_note(self, owner: str, text: str, *, ttl_s: float) -> None:
        """Stores the only note of an owner, without a name, which is gone after so many seconds."""

    def first_note(self, owner: str, name: str, text: str) -> str:
        """The text that was stored first, which is this one where there was none."""

    def ping(self) -> None:
        """Returns if the store answers within two seconds, takes writes and keeps them."""


class WorkQueue(Protocol):
    """The work items of jobs and collections, and who holds them."""

    def set_items(self, owner: str, stage: Stage, n: int) -> bool:
        """Creates the items of a stage, once; whether this call did."""

    def items(self, owner: str, stage: Stage) -> list[ItemState]:
        """Every item of a stage; empty where none were created."""

    def mark_sent(self, items: Sequence[WorkItem]) -> None:
        """Records that items are sent to a queue now."""

    def reset(self, items: Sequence[WorkItem]) -> None:
        """Makes items neither done nor tried nor sent, and ends their leases: for a retry."""

    def take(self, item: WorkItem, worker: str, *, ttl_s: float) -> Lease | None:
        """A lease, counted as an attempt; None where it is done, held or does not exist."""

    def renew(self, lease: Lease, *, ttl_s: float) -> bool:
        """Extends the lease; False where it was lost."""

    def release(self, lease: Lease, *, done: bool) -> bool:
        """Ends the lease, and marks the item done if the lease was still held; whether it was.

        A done item gives a ``stage`` event of its owner, and of every job that shares it, with
        ``stage``, ``number``, ``done`` and ``total``.
        """


class WorkerMailbox(Protocol):
    """Calls of the API to workers, and their replies."""

    def send(self, queue: str, request_id: str, text: str, *, ttl_s: float) -> None:
        """Offers a request to the workers of a queue for so long."""

    def next_request(self, queue: str, *, wait_s: float = 0) -> WorkerRequest | None:
        """Takes the oldest request that has not expired; waits up to `wait_s` seconds for one."""

    def reply(self, request_id: str, text: str, *, ttl_s: float = 120) -> None:
        """Stores a worker's reply to a request for so long; the first one counts."""

    def await_reply(self, request_id: str, *, wait_s: float) -> str | None:
        """The reply, or None where none came in time."""


class WorkerRegistry(Protocol):
    """Which workers are alive, and which of them leads."""

    def heartbeat(self, worker: str, queue: str, doing: str | None, *, ttl_s: float) -> None:
        """Registers a worker as alive for so long."""

    def alive(self) -> list[WorkerInfo]:
        """Workers whose last heartbeat has not expired, by name."""

    def lead(self, name: str, who: str, *, ttl_s: float) -> bool:
        """Whether `who` leads now, for so long, in something that one worker at a time does."""


@dataclass(frozen=True, slots=True)
class JobBackend:
    """The four parts over one place."""

    jobs: JobStore
    queue: WorkQueue
    mailbox: WorkerMailbox
    workers: WorkerRegistry


def parse_event_id(event_id: str) -> tuple[int, int]:
    """What an event's id sorts by.

    Raises:
        InputError: it is not the id of an event.
    """
    ms, dash, number = event_id.partition("-")
    parts = (ms, number if dash else "0")
    if not all(part.isascii() and part.isdigit() and len(part) <= 19 for part in parts):
        raise InputError(f"invalid event id {event_id!r}: use the id of an event, or leave it out")
    return int(parts[0]), int(parts[1])


def bounded(reason: str) -> str:
    """A reason that a job's state has, cut to 2,000 characters: the words of others have no end."""
    return reason if len(reason) <= _REASON else f"{reason[: _REASON - 3]}..."


def key_reused(key: str) -> InputError:
    """The error for an idempotency key that comes with another body."""
    return InputError(
        f"the idempotency key {key!r} was used for another job; choose another key, "
        "or send the same body again"
    )
