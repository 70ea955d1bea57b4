"""Whatever stage fails, and however it fails, no job runs without progress for ever."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from memory_jobs import MemoryJobs
from memory_store import MemoryLabelStore, MemoryLabelStores
from typing_extensions import override
from worker_in_process import WorkerInProcess, tiny_spec

from autointerp.core.errors import AutointerpError, InputError, StorageError, UpstreamError
from autointerp.core.explanations import Label, LabelOrigin
from autointerp.core.ids import Side, UnitId
from autointerp.core.job_state import Job, JobState, Stage, WorkItem
from autointerp.core.records import UnitSets
from autointerp.dictionary import row_json
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
    """Refuses, loses or damages files by the parts of their names, whichever way they are used."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.faults: dict[tuple[str, str], str] = {}

    def _fault(self, name: str, step: str) -> str | None:
        found = (f for (part, when), f in self.faults.items() if part in name and when == step)
        return next(found, None)

    def _raised(self, name: str, step: str) -> str | None:
        fault = self._fault(name, step)
        if fault in FAULTS and (error := FAULTS[fault]()) is not None:
            raise error
        return fault

    @override
    def put_bytes(self, name: str, data: bytes) -> None:
        fault = self._raised(name, "put")
        super().put_bytes(name, data[: len(data) // 2] if fault == "damaged" else data)
        if fault == "lost":
            super().delete(name)

    @override
    def put(self, name: str, local: Path) -> None:
        self.put_bytes(name, local.read_bytes())

    @override
    def get_bytes(self, name: str, first: int = 0, end: int | None = None) -> bytes | None:
        return None if self._raised(name, "get") == "lost" else super().get_bytes(name, first, end)

    @override
    def fetch(self, name: str) -> Path:
        fault = self._raised(name, "get")
        if fault == "lost":
            super().delete(name)
        path = super().fetch(name)
        if fault == "damaged":
            path.write_bytes(path.read_bytes()[:100])
        return path

    @override
    def exists(self, name: str) -> bool:
        return self._raised(name, "look") != "lost" and super().exists(name)

    @override
    def delete(self, name: str) -> None:
        if self._raised(name, "delete") != "lost":
            super().delete(name)


class FailingStores(MemoryLabelStores):
    """Label stores that fail in one of their steps."""

    def __init__(self, faults: dict[str, str]) -> None:
        super().__init__(row_json)
        self._faults = faults

    @override
    def of(self, model: str) -> MemoryLabelStore:
        return self._stores.setdefault(model, FailingStore(self._faults))


class FailingStore(MemoryLabelStore):
    """One of them."""

    def __init__(self, faults: dict[str, str]) -> None:
        super().__init__(row_json)
        self._faults = faults

    def _fail(self, step: str) -> None:
        fault = self._faults.get(step)
        if fault is not None and (error := FAULTS[fault]()) is not None:
            raise error

    @override
    def put_label(self, label: Label) -> None:
        self._fail("put_label")
        super().put_label(label)

    @override
    def put_sets(self, sets: UnitSets, origin: LabelOrigin | None = None) -> None:
        self._fail("put_sets")
        super().put_sets(sets, origin)

    @override
    def get_label(self, unit: UnitId, side: Side) -> Label | None:
        self._fail("get_label")
        return super().get_label(unit, side)


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


def run_to_the_end(
    room: WorkerInProcess, job: Job, deadly: set[Stage], *, cancel_after: int | None = None
) -> tuple[Job, int]:
    """The job when it has ended, and the messages that workers got until then."""
    n_messages = 0
    while not (found := room.found(job.id)).state.is_final and n_messages < MOST_MESSAGES:
        if n_messages == cancel_after:
            room.job_service.cancel(job.id)
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
STEPS = ("put", "get", "look", "delete")
FILE_FAULTS = st.dictionaries(
    st.tuples(st.sampled_from(PARTS), st.sampled_from(STEPS)),
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


LABEL_FAULTS = st.dictionaries(
    st.sampled_from(["put_label", "put_sets", "get_label"]),
    st.sampled_from(list(FAULTS)),
    max_size=1,
)


@given(
    faults=FILE_FAULTS,
    deadly=st.sets(st.sampled_from(list(Stage)), max_size=3),
    labels=LABEL_FAULTS,
    cancel_after=st.none() | st.integers(0, 12),
)
@example(
    faults={("plan.json", "get"): "an upstream is away"}, deadly=set(), labels={}, cancel_after=None
)
@example(
    faults={("chunk-", "get"): "an upstream is away"},
    deadly={Stage.RECORDS},
    labels={},
    cancel_after=None,
)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), database=None)
def test_a_job_ends_whatever_files_fail_for_ever_and_whoever_dies(
    tmp_path_factory: pytest.TempPathFactory,
    model_folder: Path,
    texts: Path,
    faults: dict[tuple[str, str], str],
    deadly: set[Stage],
    labels: dict[str, str],
    cancel_after: int | None,
) -> None:
    folder = tmp_path_factory.mktemp("room")
    artifacts = FailingArtifacts(str(folder / "artifacts"))
    artifacts.faults = faults
    room = WorkerInProcess(
        folder, model_folder, texts, artifacts=artifacts, stores=lambda _: FailingStores(labels)
    )
    job = room.submit(tiny_spec(texts))
    found, n = run_to_the_end(room, job, deadly, cancel_after=cancel_after)
    assert found.state.is_final, f"{n} messages, and {found}"
    assert found.state in {JobState.SUCCEEDED, JobState.CANCELLED} or found.reason


EACH_FILE = [
    (part, step)
    for part in ("plan.json", "shard-", "summary", "chunk-")
    for step in ("put", "get", "look")
]


@pytest.mark.parametrize("fault", ["the disk is full", "lost", "damaged"])
@pytest.mark.parametrize(("part", "step"), EACH_FILE, ids=" ".join)
def test_a_file_that_fails_for_ever_ends_the_job_and_a_retry_does_the_rest(
    tmp_path: Path, model_folder: Path, texts: Path, part: str, step: str, fault: str
) -> None:
    artifacts = FailingArtifacts(str(tmp_path / "artifacts"))
    artifacts.faults = {(part, step): fault}
    room = WorkerInProcess(tmp_path, model_folder, texts, artifacts=artifacts)
    job = room.submit(tiny_spec(texts))
    found, n = run_to_the_end(room, job, set())
    assert found.state.is_final, f"{n} messages, and {found}"
    artifacts.faults = {}
    again = room.submit(tiny_spec(texts))
    ended, n = run_to_the_end(room, again, set())
    assert ended.state is JobState.SUCCEEDED, f"{n} messages, and {ended}"


@pytest.mark.parametrize("fault", ["the disk is full", "the input is wrong"])
@pytest.mark.parametrize("step", ["put_label", "put_sets", "get_label"])
def test_a_label_store_that_fails_for_ever_ends_the_job(
    tmp_path: Path, model_folder: Path, texts: Path, step: str, fault: str
) -> None:
    faults = {step: fault}
    room = WorkerInProcess(tmp_path, model_folder, texts, stores=lambda _: FailingStores(faults))
    job = room.submit(tiny_spec(texts))
    found, n = run_to_the_end(room, job, set())
    assert found.state.is_final, f"{n} messages, and {found}"
    faults.clear()
    if found.state is not JobState.SUCCEEDED:
        room.job_service.retry(job.id)
    found, n = run_to_the_end(room, job, set())
    assert found.state is JobState.SUCCEEDED, f"{n} messages, and {found}"


@pytest.mark.parametrize("n", range(0, 9, 2))
def test_a_job_is_cancelled_at_whatever_step_it_is(
    tmp_path: Path, model_folder: Path, texts: Path, n: int
) -> None:
    room = WorkerInProcess(tmp_path, model_folder, texts)
    found, _ = run_to_the_end(room, room.submit(tiny_spec(texts)), set(), cancel_after=n)
    assert found.state in {JobState.CANCELLED, JobState.SUCCEEDED}


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


def test_a_shard_that_no_job_wants_any_more_is_let_go_before_its_text_is_read(
    tmp_path: Path, model_folder: Path, texts: Path
) -> None:
    room = WorkerInProcess(tmp_path, model_folder, texts)
    job = room.submit(tiny_spec(texts))
    room.work(most=1)
    assert room.sent[0].stage is Stage.COLLECT
    room.job_service.cancel(job.id)
    room.advance([job])
    room = broken(room, "load_corpus", "a bug")
    room.work()
    assert room.found(job.id).state is JobState.CANCELLED
    assert room.worker.metrics["items_let_go"] == 1


class FailingJobs(MemoryJobs):
    """A job store that cannot say how a job ended, so many times."""

    def __init__(self, fault: str, times: float) -> None:
        super().__init__()
        self.fault, self.left = fault, times

    @override
    def transition(
        self,
        job_id: str,
        state: JobState,
        *,
        among: Collection[JobState],
        reason: str | None = None,
    ) -> bool:
        if state.is_final and self.left > 0 and (error := FAULTS[self.fault]()) is not None:
            self.left -= 1
            raise error
        return super().transition(job_id, state, among=among, reason=reason)


def run_without_end(room: WorkerInProcess, job: Job) -> int:
    """Works on as the reconciler has it; how many items were really tried."""
    for _ in range(MOST_MESSAGES):
        if room.found(job.id).state.is_final:
            break
        # Outermost frames of workers log what they cannot do now.
        with suppress(AutointerpError):
            if not room.sent:
                room.sent.extend(undone(room, job.id))
            if room.sent:
                room.worker.do(room.sent.popleft())
            else:
                room.advance([job])
    return sum(room.worker.metrics.get(f"items_{how}", 0) for how in ("done", "failed"))  # type: ignore[misc]


@given(
    fault=st.sampled_from(["the disk is full", "an upstream is away", "an upstream refuses"]),
    times=st.integers(1, 9) | st.just(inf),
    broken_part=st.none() | st.sampled_from(["load_corpus", "build_tools"]),
    why=st.sampled_from(["the input is wrong", "the disk is full"]),
)
@example(fault="the disk is full", times=inf, broken_part="load_corpus", why="the input is wrong")
@example(fault="an upstream is away", times=2, broken_part=None, why="the disk is full")
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), database=None)
def test_a_job_whose_end_cannot_be_noted_is_not_worked_on_for_ever_and_ends_when_it_can(
    tmp_path_factory: pytest.TempPathFactory,
    model_folder: Path,
    texts: Path,
    fault: str,
    times: float,
    broken_part: str | None,
    why: str,
) -> None:
    jobs = FailingJobs(fault, times)
    folder = tmp_path_factory.mktemp("room")
    room = WorkerInProcess(folder, model_folder, texts, backend=jobs.backend)
    room = broken(room, broken_part, why) if broken_part else room
    job = room.submit(tiny_spec(texts))
    n_tried = run_without_end(room, job)
    assert n_tried <= 5 + MOST_TRIES
    assert room.found(job.id).state.is_final == (times < inf)
    jobs.left = 0
    assert run_without_end(room, job) <= n_tried + 1
    assert room.found(job.id).state.is_final
