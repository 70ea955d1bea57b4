"""Whatever stage fails, and however it fails, no job runs without progress for ever."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from worker_in_process import WorkerInProcess, tiny_spec

from autointerp.core.errors import InputError, StorageError, UpstreamError
from autointerp.core.job_state import Job, JobState, Stage, WorkItem
from autointerp.jobs.worker import Worker
from autointerp.orchestration.retry_policy import MOST_TRIES
from autointerp.store.artifacts import Artifacts
from autointerp.store.jobs import COLLECTION

MOST_MESSAGES = 120
"""Far more than three tries of every item of the small jobs here, and of what they undo."""

FAULTS: dict[str, Callable[[], Exception | None]] = {
    "the disk is full": lambda: StorageError("the disk is full"),
    "an upstream is away": lambda: UpstreamError("it is away", retryable=True),
    "an upstream refuses": lambda: UpstreamError("it refuses", retryable=False),
    "the input is wrong": lambda: InputError("it cannot be"),
    "a bug": lambda: ZeroDivisionError("a bug"),
    "memory": MemoryError,
    "its worker dies": lambda: None,
}


class FailingArtifacts(Artifacts):
    """Refuses, loses or damages files by the parts of their names."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.faults: dict[tuple[str, str], str] = {}

    def _fault(self, name: str, step: str) -> str | None:
        found = (f for (part, when), f in self.faults.items() if part in name and when == step)
        return next(found, None)

    def put_bytes(self, name: str, data: bytes) -> None:
        fault = self._fault(name, "put")
        if fault in FAULTS and (error := FAULTS[fault]()) is not None:
            raise error
        super().put_bytes(name, data[: len(data) // 2] if fault == "damaged" else data)
        if fault == "lost":
            self.delete(name)

    def get_bytes(self, name: str) -> bytes | None:
        fault = self._fault(name, "get")
        if fault in FAULTS and (error := FAULTS[fault]()) is not None:
            raise error
        return None if fault == "lost" else super().get_bytes(name)


def undone(room: WorkerInProcess, job_id: str) -> list[WorkItem]:
    """Every item that the reconciler may send in the course of time."""
    owners = (job_id, room.backend.jobs.note(job_id, COLLECTION) or "")
    return [
        state.item
        for owner in owners
        for stage in Stage
        for state in room.backend.queue.items(owner, stage)
        if not state.done
    ]


def dies(room: WorkerInProcess, item: WorkItem) -> None:
    """A worker takes it and is never heard of again."""
    lease = room.backend.queue.take(item, "one that dies", ttl_s=60)
    if lease is not None:
        room.backend.queue.release(lease, done=False)


def run_to_the_end(room: WorkerInProcess, job: Job, deadly: set[Stage]) -> tuple[Job, int]:
    """The job when it has ended, and the messages that workers got until then."""
    n_messages = 0
    while not (found := room.found(job.id)).state.is_final and n_messages < MOST_MESSAGES:
        if not room.sent:
            room.sent.extend(undone(room, job.id))
        if not room.sent:
            room.advance([job])
            n_messages += 1
            continue
        item = room.sent.popleft()
        n_messages += 1
        tries = room.backend.queue.items(item.owner, item.stage)[item.number].attempts
        if item.stage in deadly and tries < MOST_TRIES:
            dies(room, item)
        else:
            room.worker.do(item)
    return found, n_messages


PARTS = ("plan.json", "shard-", "summary", "chunk-", "collections/", "jobs/")
FILE_FAULTS = st.dictionaries(
    st.tuples(st.sampled_from(PARTS), st.sampled_from(["put", "get"])),
    st.sampled_from([*FAULTS, "lost", "damaged"]),
    min_size=1,
    max_size=3,
)


PARTS_OF_A_WORKER = ("load_subject", "build_tools", "open_llm")


def broken(room: WorkerInProcess, part: str, fault: str) -> WorkerInProcess:
    """The worker with a part that fails whenever it is asked."""

    def fail(*_given: object, **_named: object) -> None:
        raise FAULTS[fault]() or RuntimeError(fault)

    room.worker = Worker(replace(room.dependencies, **{part: fail}), name="one")
    return room


@given(faults=FILE_FAULTS, deadly=st.sets(st.sampled_from(list(Stage)), max_size=3))
@example(faults={("plan.json", "get"): "an upstream is away"}, deadly=set())
@example(faults={("chunk-", "get"): "an upstream is away"}, deadly={Stage.RECORDS})
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), database=None)
def test_a_job_ends_whatever_files_fail_for_ever_and_whoever_dies(
    tmp_path_factory: pytest.TempPathFactory,
    model_folder: Path,
    texts: Path,
    faults: dict[tuple[str, str], str],
    deadly: set[Stage],
) -> None:
    folder = tmp_path_factory.mktemp("room")
    artifacts = FailingArtifacts(str(folder / "artifacts"))
    artifacts.faults = faults
    room = WorkerInProcess(folder, model_folder, texts, artifacts=artifacts)
    found, n = run_to_the_end(room, room.submit(tiny_spec(texts)), deadly)
    assert found.state.is_final, f"{n} messages, and {found}"
    assert found.state is JobState.SUCCEEDED or found.reason


@pytest.mark.parametrize(
    ("part", "fault"),
    [
        *(("load_corpus", fault) for fault in FAULTS),
        *((part, "a bug") for part in PARTS_OF_A_WORKER),
    ],
)
def test_a_part_that_fails_for_ever_ends_the_job_and_a_retry_does_the_rest(
    tmp_path: Path, model_folder: Path, texts: Path, part: str, fault: str
) -> None:
    room = WorkerInProcess(tmp_path, model_folder, texts)
    whole, job = room.worker, room.submit(tiny_spec(texts))
    found, n = run_to_the_end(broken(room, part, fault), job, set())
    assert found.state in {JobState.FAILED, JobState.PARTIAL}, f"{n} messages, and {found}"
    assert found.reason
    room.worker = whole
    room.job_service.retry(job.id)
    found, n = run_to_the_end(room, job, set())
    assert found.state is JobState.SUCCEEDED, f"{n} messages, and {found}"
