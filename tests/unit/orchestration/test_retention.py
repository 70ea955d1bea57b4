"""Jobs that ended long ago, and what nobody needs any more."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from autointerp.core.config import Budget, JobSpec
from autointerp.core.service import Job, JobState, Stage
from autointerp.orchestration import new_id, tidy
from autointerp.orchestration.naming import id_of_time, plan_name, shard_name
from autointerp.store.artifacts import Artifacts
from autointerp.store.board import COLLECTION
from autointerp.store.memory_board import MemoryBoard

SPEC = JobSpec(units="0:0-3", llm="none")


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(str(tmp_path / "artifacts"))


def put_up(board: MemoryBoard, artifacts: Artifacts, collection: str) -> str:
    job = Job(new_id("job"), SPEC, Budget(), "ann", JobState.QUEUED, time.time())
    board.submit(job)
    board.put_note(job.id, COLLECTION, collection)
    board.set_items(collection, Stage.COLLECT, 1)
    for owner in (job.id, collection):
        artifacts.put_bytes(plan_name(owner), b"{}")
    artifacts.put_bytes(shard_name(collection, 0, 1), b"shard")
    return job.id


def test_jobs_that_ended_long_ago_go_with_what_only_they_needed(artifacts: Artifacts) -> None:
    board = MemoryBoard()
    ended, running = (put_up(board, artifacts, name) for name in ("col_a", "col_b"))
    sharing = put_up(board, artifacts, "col_b")
    for job in (ended, sharing):
        board.move(job, JobState.SUCCEEDED, among={JobState.QUEUED})
    assert tidy(board, artifacts, keep_s=3600) == 0
    assert len(artifacts.names()) == 7
    time.sleep(0.01)
    assert tidy(board, artifacts, keep_s=0.0) == 2
    assert [job.id for job in board.jobs()] == [running]
    kept = {plan_name(running), plan_name("col_b"), shard_name("col_b", 0, 1)}
    assert set(artifacts.names()) == kept
    assert board.items("col_a", Stage.COLLECT) == []
    assert board.items("col_b", Stage.COLLECT) != []


def test_ids_of_a_moment_part_earlier_jobs_from_later_ones() -> None:
    now = time.time()
    assert id_of_time(now - 1) < new_id("job") < id_of_time(now + 60)


def test_a_job_that_was_tried_again_counts_from_its_last_end(artifacts: Artifacts) -> None:
    board = MemoryBoard()
    earlier = Job(id_of_time(1000.0), SPEC, Budget(), "ann", JobState.QUEUED, 1000.0)
    board.submit(earlier)
    board.move(earlier.id, JobState.SUCCEEDED, among={JobState.QUEUED})
    assert tidy(board, artifacts, keep_s=3600) == 0
