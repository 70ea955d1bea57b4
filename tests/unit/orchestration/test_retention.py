"""Jobs that ended long ago, and what nobody needs any more."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from memory_jobs import MemoryJobs

from autointerp.core.config import Budget, JobSpec
from autointerp.core.job_state import Job, JobState, Stage
from autointerp.orchestration import new_id, remove_expired
from autointerp.orchestration.plan import id_of_time, plan_name, shard_name
from autointerp.store.artifacts import Artifacts
from autointerp.store.jobs import COLLECTION, JobBackend

SPEC = JobSpec(units="0:0-3", llm="none")


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(str(tmp_path / "artifacts"))


def put_up(backend: JobBackend, artifacts: Artifacts, collection: str) -> str:
    job = Job(new_id("job"), Budget(), "ann", JobState.QUEUED, time.time(), spec=SPEC)
    backend.jobs.submit(job)
    backend.jobs.put_note(job.id, COLLECTION, collection)
    backend.queue.set_items(collection, Stage.COLLECT, 1)
    for owner in (job.id, collection):
        artifacts.put_bytes(plan_name(owner), b"{}")
    artifacts.put_bytes(shard_name(collection, 0, 1), b"shard")
    return job.id


def test_jobs_that_ended_long_ago_go_with_what_only_they_needed(artifacts: Artifacts) -> None:
    backend = MemoryJobs().backend
    ended, running = (put_up(backend, artifacts, name) for name in ("col_a", "col_b"))
    sharing = put_up(backend, artifacts, "col_b")
    for job in (ended, sharing):
        backend.jobs.transition(job, JobState.SUCCEEDED, among={JobState.QUEUED})
    assert remove_expired(backend.jobs, artifacts, keep_s=3600) == 0
    assert len(artifacts.names()) == 7
    time.sleep(0.01)
    assert remove_expired(backend.jobs, artifacts, keep_s=0.0) == 2
    assert [job.id for job in backend.jobs.find()] == [running]
    kept = {plan_name(running), plan_name("col_b"), shard_name("col_b", 0, 1)}
    assert set(artifacts.names()) == kept
    assert backend.queue.items("col_a", Stage.COLLECT) == []
    assert backend.queue.items("col_b", Stage.COLLECT) != []


def test_ids_of_a_moment_part_earlier_jobs_from_later_ones() -> None:
    now = time.time()
    assert id_of_time(now - 1) < new_id("job") < id_of_time(now + 60)


def test_a_job_that_was_tried_again_counts_from_its_last_end(artifacts: Artifacts) -> None:
    backend = MemoryJobs().backend
    earlier = Job(id_of_time(1000.0), Budget(), "ann", JobState.QUEUED, 1000.0, spec=SPEC)
    backend.jobs.submit(earlier)
    backend.jobs.transition(earlier.id, JobState.SUCCEEDED, among={JobState.QUEUED})
    assert remove_expired(backend.jobs, artifacts, keep_s=3600) == 0
