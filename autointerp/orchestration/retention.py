"""Forgets jobs that ended long ago, and what was collected for them alone. Labels stay."""

from __future__ import annotations

import time

from autointerp.core.job_state import JobState
from autointerp.orchestration.plan import id_of_time
from autointerp.store.artifacts import Artifacts
from autointerp.store.jobs import JobStore

_ENDED = frozenset(state for state in JobState if state.is_final)
_AT_ONCE = 100


def forget_job(jobs: JobStore, artifacts: Artifacts, job_id: str) -> bool:
    """Deletes everything of an ended job but its labels; False where it has not ended."""
    if not jobs.forget(job_id):
        return False
    for name in artifacts.names(f"jobs/{job_id}/"):
        artifacts.delete(name)
    return True


def remove_expired(jobs: JobStore, artifacts: Artifacts, *, keep_s: float) -> int:
    """Deletes jobs that ended longer ago; how many.

    Args:
        jobs: where they are stored.
        artifacts: their files, and those of collections that no job needs any more.
        keep_s: how long an ended job is kept, in seconds.
    """
    until = time.time() - keep_s
    before = jobs.find(states=_ENDED, before=id_of_time(until), limit=_AT_ONCE)
    old = [job for job in before if job.ended is not None and job.ended < until]
    n_forgotten = sum(forget_job(jobs, artifacts, job.id) for job in old)
    names = artifacts.names("collections/")
    for collection in {name.split("/")[1] for name in names}:
        if jobs.forget_collection(collection):
            for name in artifacts.names(f"collections/{collection}/"):
                artifacts.delete(name)
    return n_forgotten
