"""What is given up after three tries stays given up until somebody asks for a retry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from memory_jobs import MemoryJobs
from worker_in_process import WorkerInProcess, tiny_spec

from autointerp.core.errors import StorageError
from autointerp.core.job_state import Job, JobState, Stage, WorkItem
from autointerp.orchestration.plan import chunk_name, plan_name, shard_name
from autointerp.store.artifacts import Artifacts
from autointerp.store.jobs import COLLECTION, JobBackend
from autointerp.store.jobs.redis_backend import redis_backend
from autointerp.store.redis_connection import RedisConnection


class FaultyArtifacts(Artifacts):
    """Files of records that cannot be stored, vanish or are damaged, while a test wants it so."""

    refuse = lose = damage = False

    def put_bytes(self, name: str, data: bytes) -> None:
        if "/chunk-" in name and self.refuse:
            raise StorageError("the disk is full")
        super().put_bytes(name, data[: len(data) // 2] if self.damage else data)
        if "/chunk-" in name and self.lose:
            self.delete(name)


@pytest.fixture
def artifacts(tmp_path: Path) -> FaultyArtifacts:
    return FaultyArtifacts(str(tmp_path / "artifacts"))


@pytest.fixture(params=["memory", "redis"])
def backend(request: pytest.FixtureRequest) -> Iterator[JobBackend]:
    if request.param == "memory":
        yield MemoryJobs().backend
        return
    connection = RedisConnection(request.getfixturevalue("redis_url"))
    yield redis_backend(connection)
    connection.close()


@pytest.fixture
def room(
    tmp_path: Path, model_folder: Path, texts: Path, backend: JobBackend, artifacts: FaultyArtifacts
) -> WorkerInProcess:
    return WorkerInProcess(tmp_path, model_folder, texts, backend=backend, artifacts=artifacts)


def work_until(room: WorkerInProcess, stage: Stage) -> WorkItem:
    """The first item of a stage, which is next."""
    while room.sent[0].stage is not stage:
        room.work(most=1)
    return room.sent[0]


def try_again(room: WorkerInProcess, job: Job, *, most: int = 12) -> Job:
    """Tries what is undone again and again, as the reconciler does in the course of time."""
    for _ in range(most):
        found = room.found(job.id)
        if found.state.is_final:
            break
        owners = (job.id, room.backend.jobs.note(job.id, COLLECTION) or "")
        states = [
            s for owner in owners for stage in Stage for s in room.backend.queue.items(owner, stage)
        ]
        room.sent.extend(state.item for state in states if not state.done)
        room.work(most=50)
    return room.found(job.id)


def test_records_that_cannot_be_stored_end_their_job(
    room: WorkerInProcess, texts: Path, artifacts: FaultyArtifacts
) -> None:
    artifacts.refuse = True
    job = room.submit(tiny_spec(texts))
    item = work_until(room, Stage.RECORDS)
    for _ in range(4):
        room.worker.do(item)
    room.work(most=50)
    assert not room.sent, "given up, and read again all the same"
    found = room.found(job.id)
    assert (found.state, found.counts.failed) == (JobState.FAILED, 6)
    assert found.reason == (
        "6 of 6 labels failed: records 0 was tried 3 times; the last time: the disk is full"
    )
    artifacts.refuse = False
    assert room.job_service.retry(job.id) == 6
    room.work()
    assert room.found(job.id).counts.ok == 6


@pytest.mark.parametrize("fault", ["lose", "damage"])
def test_records_that_no_label_worker_can_read_are_given_up_after_three_tries(
    room: WorkerInProcess, texts: Path, artifacts: FaultyArtifacts, fault: str
) -> None:
    job = room.submit(tiny_spec(texts))
    work_until(room, Stage.RECORDS)
    setattr(artifacts, fault, True)
    found = try_again(room, job)
    assert (found.state, found.counts.failed) == (JobState.FAILED, 6)
    assert "label 0 was tried 3 times; the last time: " in str(found.reason)
    assert chunk_name(job.id, 0) in str(found.reason)
    setattr(artifacts, fault, False)
    room.job_service.retry(job.id)
    room.work()
    assert room.found(job.id).counts.ok == 6


def test_a_job_whose_plan_is_gone_fails_with_the_sentence(
    room: WorkerInProcess, texts: Path, artifacts: FaultyArtifacts
) -> None:
    job = room.submit(tiny_spec(texts))
    work_until(room, Stage.RECORDS)
    artifacts.delete(plan_name(job.id))
    found = try_again(room, job)
    assert found.state is JobState.FAILED
    assert f"{plan_name(job.id)} is gone; submit the job again" in str(found.reason)


def test_a_shard_that_is_gone_is_collected_again(
    room: WorkerInProcess, texts: Path, artifacts: FaultyArtifacts
) -> None:
    job = room.submit(tiny_spec(texts))
    collection = work_until(room, Stage.MERGE).owner
    artifacts.delete(shard_name(collection, 0, 1))
    assert try_again(room, job).state is JobState.SUCCEEDED


def test_a_collection_that_was_given_up_is_tried_anew_for_another_job(
    room: WorkerInProcess, texts: Path
) -> None:
    job = room.submit(tiny_spec(texts))
    item = work_until(room, Stage.COLLECT)
    for _ in range(3):
        lease = room.backend.queue.take(item, "one that dies", ttl_s=60)
        assert lease is not None
        room.backend.queue.release(lease, done=False)
    room.work()
    assert room.found(job.id).state is JobState.FAILED
    assert not room.backend.queue.items(item.owner, Stage.COLLECT)[0].done, "done although given up"
    assert room.finished(tiny_spec(texts, seed=1)).state is JobState.SUCCEEDED
