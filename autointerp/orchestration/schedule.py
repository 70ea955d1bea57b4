"""Sends the work of jobs that is due, and ends jobs that are done.

It may be called by anybody, at any time, as often as one likes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from autointerp.core.errors import DamagedError, InputError
from autointerp.core.job_state import JobState, JobSummary, Stage, WorkItem
from autointerp.orchestration.plan import QUEUES, queue_of
from autointerp.orchestration.retry_policy import GIVEN_UP, OPEN, jobs_of
from autointerp.store.jobs import COLLECTION, ItemState, JobBackend

_LOG = logging.getLogger(__name__)

Send = Callable[[Sequence[WorkItem]], None]
"""Puts work items into the queues of workers."""

STOPPED = "stopped"
"""Name of the note in which a worker records that the budget ended."""
LLM_ANSWERED, LLM_FAILED = "llm answered", "llm failed"
"""Names of the notes that an LLM gave an answer, and of why its first one could not be had."""
ASKED_WITHOUT = "asked without"
"""Name of the note of what the LLM was found not to take: words, as a JSON list."""
UNSEEN_TEXT = "unseen text"
"""The note of a job with a sentence about text that nobody looked at when it was submitted."""
LLM_AWAITED = "llm awaited"
"""Name of the note of why questions to the LLM were waited for, at last."""
_RESENT_S = 60.0
# A message that waits although a worker is idle was lost with the worker that fetched it.
_RESENT_TO_THE_IDLE_S = 10.0
# Its worker released it unfinished, or is dead and its lease has expired.
_LOST_S = 5.0
_A_WORKER, _AT_LEAST = 4, 8
_OWN = (Stage.PLAN, Stage.WINDOWS, Stage.RECORDS, Stage.LABEL, Stage.EVIDENCE)


def reconcile(backend: JobBackend, send: Send) -> None:
    """Schedules every job that has not ended: whatever was lost on the way is sent again.

    One that is damaged ends; one of a newer version waits for a worker of that version.
    """
    for job_id in backend.jobs.open_ids():
        try:
            schedule_job(backend, send, job_id)
        except DamagedError as error:
            among = {state for state in JobState if not state.is_final}
            backend.jobs.transition(job_id, JobState.FAILED, among=among, reason=str(error))
        except InputError as error:
            _LOG.warning("%s", error)


def schedule_collection(backend: JobBackend, send: Send, collection: str) -> None:
    """Schedules every job that waits for a collection."""
    for job_id in jobs_of(backend.jobs, collection):
        schedule_job(backend, send, job_id)


def schedule_job(backend: JobBackend, send: Send, job_id: str) -> None:
    """Sends every item of a job that is due, and ends the job where none is left."""
    job = backend.jobs.summary(job_id)
    if job is None or job.state.is_final:
        return
    if job.state is JobState.CANCELLING:
        _cancel(backend, job_id)
        return
    due = _due(backend, job)
    if due:
        # Noted first: a message that is lost is sent again, one too many is not.
        backend.queue.mark_sent(due)
        send(due)


def _cancel(backend: JobBackend, job_id: str) -> None:
    is_held = any(state.held_by for stage in _OWN for state in backend.queue.items(job_id, stage))
    if not is_held:
        backend.jobs.transition(job_id, JobState.CANCELLED, among={JobState.CANCELLING})


def _due(backend: JobBackend, job: JobSummary) -> list[WorkItem]:
    queues = _queues(backend)
    if not _all_done(plan := backend.queue.items(job.id, Stage.PLAN)):
        return _to_send(plan, queues)
    if job.asked.evidence is not None:
        items = backend.queue.items(job.id, Stage.EVIDENCE)
        if _all_done(items):
            _end(backend, job.id)
        return _to_send(items, queues)
    collection = backend.jobs.note(job.id, COLLECTION)
    if collection is None:
        # It was forgotten after it was planned: planning again is the same plan.
        backend.queue.reset([state.item for state in plan])
        return []
    for owner, stage in (
        (collection, Stage.COLLECT),
        (collection, Stage.MERGE),
        (job.id, Stage.WINDOWS),
    ):
        items = backend.queue.items(owner, stage)
        if not _all_done(items):
            return _to_send(items, queues)
    records, labels = (
        backend.queue.items(job.id, Stage.RECORDS),
        backend.queue.items(job.id, Stage.LABEL),
    )
    if _all_done(labels):
        _end(backend, job.id)
        return []
    ready = [label for read, label in zip(records, labels, strict=True) if read.done]
    due = _to_send(ready, queues)
    # Records are read a few chunks ahead of labelling: they wait on a disk.
    n_waiting = sum(not label.done for label in ready)
    if n_waiting < 2 * queues[queue_of(labels[0].item)].room:
        due += _to_send(records, queues)
    return due


def _all_done(items: Sequence[ItemState]) -> bool:
    return all(state.done for state in items)


@dataclass(frozen=True, slots=True)
class _Queue:
    """How the workers of a queue are."""

    room: int
    """Items of a job that wait or are worked on at a time: few, so that jobs take turns, and that
    a message that was lost is missed soon."""
    patience_s: float
    """How long a message may wait before it is taken for lost."""


def _queues(backend: JobBackend) -> dict[str, _Queue]:
    result = {}
    for queue in QUEUES:
        living = [worker for worker in backend.workers.alive() if worker.queue == queue]
        idle = any(worker.doing is None for worker in living)
        patience_s = _RESENT_TO_THE_IDLE_S if idle else _RESENT_S
        result[queue] = _Queue(max(_AT_LEAST, _A_WORKER * len(living)), patience_s)
    return result


def _to_send(items: Sequence[ItemState], queues: Mapping[str, _Queue]) -> list[WorkItem]:
    undone = [state for state in items if not state.done and state.held_by is None]
    if not undone:
        return []
    queue = queues[queue_of(undone[0].item)]
    n_held = sum(state.held_by is not None for state in items)
    within = undone[: max(0, queue.room - n_held)]
    return [state.item for state in within if _is_missed(state, queue)]


def _is_missed(state: ItemState, queue: _Queue) -> bool:
    if state.sent_s_ago is None:
        return True
    return state.sent_s_ago > (_LOST_S if state.attempts else queue.patience_s)


def _end(backend: JobBackend, job_id: str) -> None:
    job = backend.jobs.summary(job_id)
    if job is None:
        return
    stopped, counts = backend.jobs.note(job_id, STOPPED), job.counts
    n_left = counts.total - counts.done
    reasons = []
    if counts.failed:
        why = backend.jobs.note(job_id, GIVEN_UP)
        noun = "labels" if job.asked.evidence is None else "units"
        failed = f"{counts.failed:,} of {counts.total:,} {noun} failed"
        reasons.append(f"{failed}: {why}" if why else failed)
    if n_left > 0:
        reasons.append(f"{n_left:,} were not reached" + (f": {stopped}" if stopped else ""))
    elif stopped:
        reasons.append(f"some are labelled by rules: {stopped}")
    all_failed, llm_failed = (
        0 < counts.total == counts.failed,
        backend.jobs.note(job_id, LLM_FAILED),
    )
    if llm_failed and not backend.jobs.note(job_id, LLM_ANSWERED):
        reasons.append(f"every question to the LLM failed; the first: {llm_failed}")
        all_failed = True
    ended = JobState.FAILED if all_failed else JobState.PARTIAL
    state = ended if reasons else JobState.SUCCEEDED
    backend.jobs.transition(job_id, state, among=OPEN, reason="; ".join(reasons) or None)
