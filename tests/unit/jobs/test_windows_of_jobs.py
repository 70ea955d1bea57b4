"""Jobs of several chunks: the windows of all their units are run once, and chunks take theirs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from worker_in_process import WorkerInProcess, tiny_spec

from autointerp.core.config import JobSpec
from autointerp.core.errors import StorageError
from autointerp.core.explanations import Label
from autointerp.core.job_state import Job, JobState, Stage, WorkItem
from autointerp.core.progress import SilentProgress
from autointerp.jobs.worker import Worker
from autointerp.orchestration.plan import windows_name
from autointerp.settings import Settings
from autointerp.wiring.runs import run_job

UNITS = "0:0-23,1:0-23,2:0-17"
N_PARTS = 3


class ReadingRoom(WorkerInProcess):
    """A worker that notes how many windows it runs for what, of jobs in three parts."""

    def __init__(self, *given: Any, **settings: Any) -> None:
        super().__init__(*given, **settings)
        self.n_read: Counter[Stage] = Counter()
        self.doing = Stage.PLAN
        load = self.dependencies.load_subject

        def loaded(name: str, dtype: str) -> Any:
            return Reading(load(name, dtype), self)

        self.dependencies = replace(self.dependencies, load_subject=loaded)
        self.worker = Worker(self.dependencies, name="one")

    def put_up(self, spec: JobSpec) -> Job:
        job = self.submit(spec)
        # Whoever creates items first decides how many there are.
        self.backend.queue.set_items(job.id, Stage.WINDOWS, N_PARTS)
        return job

    def items(self, job: Job) -> Iterator[WorkItem]:
        """What is sent until the job has ended, each item before it is done."""
        for _ in range(60):
            if not self.sent:
                self.send_undone(job)
            if self.found(job.id).state.is_final:
                return
            item = self.sent.popleft()
            self.doing = item.stage
            yield item
            self.worker.do(item)

    def send_undone(self, job: Job) -> None:
        """As the reconciler does when what was given back is missed."""
        for stage in (Stage.WINDOWS, Stage.RECORDS, Stage.LABEL):
            items = [s.item for s in self.backend.queue.items(job.id, stage) if not s.done]
            if items:
                self.sent.extend(items)
                return

    def labels(self, of: Iterable[Label]) -> list[Label | None]:
        store = self.stores.of("tiny")
        return [store.get_label(label.unit, label.side) for label in of]

    def parts(self, job: Job) -> list[str]:
        return [n for n in self.artifacts.names(f"jobs/{job.id}/") if "windows" in n]


class Reading:
    """A subject model that tells its room what it reads."""

    def __init__(self, subject: Any, room: ReadingRoom) -> None:
        self._subject, self._room = subject, room

    def __getattr__(self, name: str) -> Any:
        return getattr(self._subject, name)

    def read(self, tokens: Any, hooks: Any, receive: Any) -> None:
        self._room.n_read[self._room.doing] += len(tokens)
        self._subject.read(tokens, hooks, receive)


@pytest.fixture(scope="module")
def spec(texts: Path) -> JobSpec:
    return tiny_spec(texts, units=UNITS, collect={"batch_windows": 8})


@pytest.fixture
def room(tmp_path: Path, model_folder: Path, texts: Path) -> ReadingRoom:
    return ReadingRoom(tmp_path, model_folder, texts)


@pytest.fixture(scope="module")
def labels(
    spec: JobSpec, model_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Label, ...]:
    """Those of a run in one process."""
    named = spec.model_copy(update={"subject": str(model_folder)})
    folder = tmp_path_factory.mktemp("run")
    outcome = run_job(
        named,
        out=folder / "run",
        resume=False,
        settings=Settings(cache_dir=folder / "cache"),
        progress=SilentProgress(),
    )
    return tuple(outcome.labels)


def check_done(room: ReadingRoom, job: Job, labels: tuple[Label, ...]) -> None:
    ended = room.found(job.id)
    assert (ended.state, ended.counts.done) == (JobState.SUCCEEDED, 66), ended
    assert room.labels(labels) == list(labels)
    assert not room.parts(job)


def test_each_window_is_run_once_and_labels_are_those_of_one_process(
    room: ReadingRoom, spec: JobSpec, labels: tuple[Label, ...]
) -> None:
    job = room.put_up(spec)
    done = [item.stage for item in room.items(job)]
    assert Counter(done)[Stage.WINDOWS] == N_PARTS
    assert room.n_read[Stage.RECORDS] == 0
    assert 0 < room.n_read[Stage.WINDOWS] <= room.n_read[Stage.COLLECT]
    check_done(room, job, labels)


@pytest.mark.parametrize("fault", ["lost", "cut off", "of another job"])
def test_a_part_that_cannot_be_used_is_made_anew_and_the_labels_are_the_same(
    room: ReadingRoom, spec: JobSpec, labels: tuple[Label, ...], fault: str
) -> None:
    job = room.put_up(spec)
    name, broken, done = windows_name(job.id, 1), False, []
    for item in room.items(job):
        done.append(item.stage)
        if item.stage is Stage.RECORDS and not broken:
            broken = True
            data = room.artifacts.get_bytes(name) or b""
            room.artifacts.delete(name)
            if fault != "lost":
                changed = data[:-40] if fault == "cut off" else data[:-32] + b"f" * 32
                room.artifacts.put_bytes(name, changed)
    assert Counter(done)[Stage.WINDOWS] == N_PARTS + 1
    assert room.n_read[Stage.RECORDS] == 0
    check_done(room, job, labels)


def test_a_part_that_is_made_again_has_the_same_bytes(room: ReadingRoom, spec: JobSpec) -> None:
    job = room.put_up(spec)
    items = room.items(job)
    while next(items).stage is not Stage.RECORDS:
        pass
    before = {name: room.artifacts.get_bytes(name) for name in room.parts(job)}
    assert len(before) == N_PARTS
    for number, name in enumerate(before):
        room.artifacts.delete(name)
        room.backend.queue.reset([WorkItem(job.id, Stage.WINDOWS, number)])
        Worker(room.dependencies, name="another").do(WorkItem(job.id, Stage.WINDOWS, number))
    assert {name: room.artifacts.get_bytes(name) for name in room.parts(job)} == before


def test_chunks_read_for_themselves_what_was_tried_too_often(
    room: ReadingRoom, spec: JobSpec, labels: tuple[Label, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = room.put_up(spec)
    put, n_refused = room.artifacts.put, 0

    def refuse(name: str, local: Path) -> None:
        nonlocal n_refused
        if "windows" in name:
            n_refused += 1
            raise StorageError("the disk is full")
        put(name, local)

    monkeypatch.setattr(room.artifacts, "put", refuse)
    list(room.items(job))
    assert n_refused == 3 * N_PARTS
    ended = room.found(job.id)
    assert (ended.state, ended.counts.done) == (JobState.SUCCEEDED, 66), ended
    # Read in other batches, activations may differ in their last bits.
    found = [label.explanation for label in room.labels(labels) if label]
    assert [e and e.text for e in found] == [
        la.explanation and la.explanation.text for la in labels
    ]


def test_a_chunk_that_is_sent_before_its_windows_are_run_waits_for_them(
    room: ReadingRoom, spec: JobSpec
) -> None:
    """As when a worker of a version without them says what is due."""
    job = room.put_up(spec)
    for item in room.items(job):
        if item.stage is Stage.WINDOWS:
            break
    for _ in range(5):
        room.worker.do(WorkItem(job.id, Stage.RECORDS, 1))
    assert not room.backend.queue.items(job.id, Stage.RECORDS)[1].done
    list(room.items(job))
    assert room.n_read[Stage.RECORDS] == 0
    assert room.found(job.id).state is JobState.SUCCEEDED


def test_a_retry_runs_windows_again_that_were_removed(room: ReadingRoom, spec: JobSpec) -> None:
    job = room.put_up(spec)
    for item in room.items(job):
        if item.stage is Stage.LABEL:
            room.job_service.cancel(job.id)
    assert room.found(job.id).state is JobState.CANCELLED
    for name in room.artifacts.names(f"jobs/{job.id}/"):
        if "plan" not in name:
            room.artifacts.delete(name)
    room.n_read.clear()
    assert room.job_service.retry(job.id) == 66
    done = [item.stage for item in room.items(job)]
    assert Counter(done)[Stage.WINDOWS] == N_PARTS
    assert room.n_read[Stage.RECORDS] == 0
    assert room.found(job.id).state is JobState.SUCCEEDED


def test_a_job_of_one_chunk_or_whose_units_compare_what_they_read_has_no_such_stage(
    tmp_path: Path, model_folder: Path, texts: Path
) -> None:
    llm = {"llm_base_url": "http://127.0.0.1:9/v1", "llm_model": "fake"}
    room = WorkerInProcess(tmp_path, model_folder, texts, **llm)
    assert Stage.WINDOWS not in room.finished(tiny_spec(texts)).stages
    more = {"llm": "default", "explain": {"explainers": ["clusters"]}}
    for units, n_chunks in ((UNITS, 2), ("0:0-3", 1)):
        room.sent.clear()
        job = room.submit(tiny_spec(texts, units=units, **more))
        room.work(most=1)
        stages = room.found(job.id).stages
        assert stages[Stage.RECORDS].total == n_chunks
        assert Stage.WINDOWS not in stages
