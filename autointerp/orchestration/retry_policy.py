"""Work items that are given up after several tries, so that their jobs can end."""

from __future__ import annotations

import json

from autointerp.core.errors import InputError, StorageError
from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side
from autointerp.core.job_state import JobState, Stage, WorkItem
from autointerp.orchestration.plan import read_plan
from autointerp.store.artifacts import Artifacts
from autointerp.store.jobs import COLLECTION, JobStore, WorkQueue

GIVEN_UP = "given up"
"""Name of the note that says why labels of a job were given up."""

MOST_TRIES = 3
OPEN = frozenset({JobState.QUEUED, JobState.RUNNING})
_ERROR, _GOOD = "error", "good"


class RetryPolicy:
    """Counts failed tries, and gives up what was tried too often.

    A try that finished something, or that was asked to stop, does not count: a chunk whose workers
    are killed again and again goes on from where it was each time.
    """

    def __init__(self, jobs: JobStore, queue: WorkQueue, artifacts: Artifacts) -> None:
        self._jobs, self._queue, self._artifacts = jobs, queue, artifacts

    def n_tries(self, item: WorkItem) -> int:
        """How often the item was tried since a try last got somewhere, this one included."""
        return self._attempts(item) - self._good(item)

    def is_first(self, item: WorkItem) -> bool:
        """Whether this try is the first of all."""
        return self._attempts(item) == 1 and not self._good(item)

    def is_due(self, item: WorkItem) -> bool:
        """Whether this try, the latest, is one too many."""
        return self.n_tries(item) > MOST_TRIES

    def reset_count(self, item: WorkItem) -> None:
        """Starts counting anew: the latest try got somewhere."""
        self._count_from(item, self._attempts(item))

    def renew(self, *items: WorkItem) -> None:
        """Makes items neither done nor tried."""
        self._queue.reset(items)
        for item in items:
            self._count_from(item, 0)

    def repeat(self, item: WorkItem) -> None:
        """Makes an item not done and due at once; its tries so far count on.

        So work that undoes what it needs, to have it made anew, cannot go on for ever.
        """
        n_tries = self.n_tries(item)
        self._queue.reset([item])
        self._count_from(item, -n_tries)

    def renew_collection(self, collection: str, *, given_up: bool = False) -> None:
        """Renews what nobody works on of a collection, or only what was tried too often."""
        for stage in (Stage.COLLECT, Stage.MERGE):
            for state in self._queue.items(collection, stage):
                if state.done or state.held_by is not None:
                    continue
                if not given_up or self.n_tries(state.item) >= MOST_TRIES:
                    self.renew(state.item)

    def _attempts(self, item: WorkItem) -> int:
        states = self._queue.items(item.owner, item.stage)
        return states[item.number].attempts if item.number < len(states) else 0

    def _good(self, item: WorkItem) -> int:
        return int(self._jobs.note(item.owner, _note(_GOOD, item)) or 0)

    def _count_from(self, item: WorkItem, attempts: int) -> None:
        self._jobs.put_note(item.owner, _note(_GOOD, item), str(attempts))

    def failed(self, item: WorkItem, why: str) -> None:
        """Records why a try failed."""
        self._jobs.put_note(item.owner, _note(_ERROR, item), why)

    def reason(self, item: WorkItem) -> str:
        """Why it is given up."""
        why = self._jobs.note(item.owner, _note(_ERROR, item))
        ended = f"the last time: {why}" if why else "its worker died or hung each time"
        return f"{item.stage} {item.number} was tried {MOST_TRIES} times; {ended}"

    def give_up(self, item: WorkItem, reason: str) -> None:
        """Ends what depends on the item: its jobs, or the labels of its chunk that are missing.

        Nothing depends on a part of the windows: chunks read for themselves what it lacks.
        """
        if item.stage is Stage.WINDOWS:
            return
        if item.stage in {Stage.RECORDS, Stage.LABEL, Stage.EVIDENCE}:
            self._jobs.put_note(item.owner, GIVEN_UP, reason)
            self._fail_chunk(item, reason)
        else:
            self.fail_jobs(item, reason)

    def fail_jobs(self, item: WorkItem, reason: str) -> None:
        """Ends the jobs that need the item."""
        jobs = [item.owner]
        if item.stage in {Stage.COLLECT, Stage.MERGE}:
            jobs = jobs_of(self._jobs, item.owner)
        for job_id in jobs:
            self._jobs.transition(job_id, JobState.FAILED, among=OPEN, reason=reason)

    def _fail_chunk(self, item: WorkItem, reason: str) -> None:
        try:
            plan = read_plan(self._artifacts, item.owner)
        except (InputError, StorageError):
            # Which labels are missing cannot be told.
            self.fail_jobs(item, reason)
            return
        committed = self._jobs.committed(item.owner)
        for unit, side in plan.unlabelled(committed, chunk=item.number):
            # Which side is the stronger was not found out.
            stated = side or Side.POSITIVE
            summary = {"unit": str(unit), "side": str(stated), "status": "failed"}
            self._jobs.commit(
                item.owner,
                unit,
                stated,
                LabelStatus.FAILED,
                summary=json.dumps({**summary, "reason": reason}),
            )


def jobs_of(jobs: JobStore, collection: str) -> list[str]:
    """Jobs that have not ended and wait for a collection."""
    return [job_id for job_id in jobs.open_ids() if jobs.note(job_id, COLLECTION) == collection]


def _note(kind: str, item: WorkItem) -> str:
    return f"{kind}/{item.stage}/{item.number}"
