from __future__ import annotations

import time
from dataclasses import replace

import pytest
from memory_jobs import MemoryJobs

from autointerp.core.config import Budget, JobSpec
from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side, UnitId
from autointerp.core.job_state import Job, JobState, Stage, WorkItem
from autointerp.orchestration import new_id, reconcile, schedule_job
from autointerp.orchestration.schedule import LLM_ANSWERED, LLM_FAILED, STOPPED
from autointerp.store.jobs import COLLECTION, ItemState, JobBackend

COLLECTED = "col_1"


class Impatient(MemoryJobs):
    """Everything was sent a while ago."""

    def __init__(self) -> None:
        super().__init__()
        self.ago = 0.0

    def items(self, owner: str, stage: Stage) -> list[ItemState]:
        found = super().items(owner, stage)
        return [
            s if s.sent_s_ago is None else replace(s, sent_s_ago=s.sent_s_ago + self.ago)
            for s in found
        ]


class Queue(list[WorkItem]):
    def __call__(self, items: object) -> None:
        self.extend(items)  # type: ignore[arg-type]

    def names(self) -> list[str]:
        found = [f"{item.stage}/{item.number}" for item in self]
        self.clear()
        return found


@pytest.fixture
def memory() -> Impatient:
    return Impatient()


@pytest.fixture
def backend(memory: Impatient) -> JobBackend:
    return memory.backend


@pytest.fixture
def sent() -> Queue:
    return Queue()


def put_up(backend: JobBackend, *, n_chunks: int = 2, n_shards: int = 2, n_windows: int = 0) -> str:
    """A job that is planned."""
    job = Job(
        id=new_id("job"),
        spec=JobSpec(units="0:0"),
        budget=Budget(),
        owner="local",
        state=JobState.QUEUED,
        created=time.time(),
    )
    backend.jobs.submit(job)
    do(backend, WorkItem(job.id, Stage.PLAN, 0))
    backend.jobs.transition(job.id, JobState.RUNNING, among={JobState.QUEUED})
    backend.queue.set_items(COLLECTED, Stage.COLLECT, n_shards)
    backend.queue.set_items(COLLECTED, Stage.MERGE, 1)
    if n_windows:
        backend.queue.set_items(job.id, Stage.WINDOWS, n_windows)
    for stage in (Stage.RECORDS, Stage.LABEL):
        backend.queue.set_items(job.id, stage, n_chunks)
    backend.jobs.put_note(job.id, COLLECTION, COLLECTED)
    backend.jobs.set_total(job.id, n_chunks)
    return job.id


def do(backend: JobBackend, *items: WorkItem) -> None:
    for item in items:
        lease = backend.queue.take(item, "w", ttl_s=60)
        if lease is not None:
            backend.queue.release(lease, done=True)


def test_stages_follow_each_other_and_labels_follow_their_own_records(
    backend: JobBackend, sent: Queue
) -> None:
    job = put_up(backend)
    schedule_job(backend, sent, job)
    assert sent.names() == ["collect/0", "collect/1"]
    do(backend, WorkItem(COLLECTED, Stage.COLLECT, 0))
    schedule_job(backend, sent, job)
    assert sent.names() == []
    do(backend, WorkItem(COLLECTED, Stage.COLLECT, 1))
    schedule_job(backend, sent, job)
    assert sent.names() == ["merge/0"]
    do(backend, WorkItem(COLLECTED, Stage.MERGE, 0))
    schedule_job(backend, sent, job)
    assert sent.names() == ["records/0", "records/1"]
    do(backend, WorkItem(job, Stage.RECORDS, 1))
    schedule_job(backend, sent, job)
    assert sent.names() == ["label/1"]


def test_records_wait_for_all_windows_of_their_job_and_again_where_some_are_made_anew(
    backend: JobBackend, sent: Queue
) -> None:
    job = put_up(backend, n_windows=2)
    do(backend, *(WorkItem(COLLECTED, s, n) for s in (Stage.COLLECT, Stage.MERGE) for n in (0, 1)))
    schedule_job(backend, sent, job)
    assert sent.names() == ["windows/0", "windows/1"]
    do(backend, WorkItem(job, Stage.WINDOWS, 0))
    schedule_job(backend, sent, job)
    assert sent.names() == []
    do(backend, WorkItem(job, Stage.WINDOWS, 1), WorkItem(job, Stage.RECORDS, 0))
    backend.queue.reset([WorkItem(job, Stage.WINDOWS, 0)])
    schedule_job(backend, sent, job)
    assert sent.names() == ["windows/0"]
    do(backend, WorkItem(job, Stage.WINDOWS, 0))
    schedule_job(backend, sent, job)
    assert sent.names() == ["label/0", "records/1"]


def test_what_somebody_holds_is_not_sent_and_what_he_dropped_is_sent_again(
    backend: JobBackend, memory: Impatient, sent: Queue
) -> None:
    job = put_up(backend, n_shards=1)
    schedule_job(backend, sent, job)
    sent.clear()
    lease = backend.queue.take(WorkItem(COLLECTED, Stage.COLLECT, 0), "w", ttl_s=60)
    assert lease is not None
    memory.ago = 6
    reconcile(backend, sent)
    assert sent.names() == []
    backend.queue.release(lease, done=False)
    reconcile(backend, sent)
    assert sent.names() == ["collect/0"]


def test_a_message_that_nobody_took_is_missed_after_a_minute(
    backend: JobBackend, memory: Impatient, sent: Queue
) -> None:
    job = put_up(backend, n_shards=1)
    schedule_job(backend, sent, job)
    sent.clear()
    memory.ago = 50
    reconcile(backend, sent)
    assert sent.names() == []
    memory.ago = 61
    reconcile(backend, sent)
    assert sent.names() == ["collect/0"]


def test_a_message_that_waits_while_somebody_is_idle_is_missed_soon(
    backend: JobBackend, memory: Impatient, sent: Queue
) -> None:
    job = put_up(backend, n_shards=1)
    schedule_job(backend, sent, job)
    sent.clear()
    memory.ago = 11
    backend.workers.heartbeat("busy", "activations", "something", ttl_s=60)
    reconcile(backend, sent)
    assert sent.names() == []
    backend.workers.heartbeat("idle", "activations", None, ttl_s=60)
    reconcile(backend, sent)
    assert sent.names() == ["collect/0"]


def test_only_a_few_items_wait_in_a_queue_at_a_time(backend: JobBackend, sent: Queue) -> None:
    job = put_up(backend, n_chunks=100)
    do(backend, *(WorkItem(COLLECTED, s, n) for s in (Stage.COLLECT, Stage.MERGE) for n in (0, 1)))
    schedule_job(backend, sent, job)
    assert sent.names() == [f"records/{number}" for number in range(8)]
    do(backend, *(WorkItem(job, Stage.RECORDS, number) for number in range(30)))
    schedule_job(backend, sent, job)
    # Records do not run far ahead of labels.
    assert sent.names() == [f"label/{number}" for number in range(8)]


@pytest.mark.parametrize(
    ("n_failed", "state", "reason"),
    [
        (0, JobState.SUCCEEDED, None),
        (1, JobState.PARTIAL, "1 of 2 labels failed"),
        (2, JobState.FAILED, "2 of 2 labels failed"),
    ],
)
def test_a_job_ends_when_every_label_is_there(
    backend: JobBackend,
    sent: Queue,
    n_failed: int,
    state: JobState,
    reason: str | None,
) -> None:
    job = put_up(backend)
    finish(backend, job)
    for index in range(2):
        unit = UnitId("tiny", "blocks.0.mlp.hook_post", index)
        status = LabelStatus.FAILED if index < n_failed else LabelStatus.OK
        backend.jobs.commit(job, unit, Side.POSITIVE, status, summary="{}")
    schedule_job(backend, sent, job)
    found = backend.jobs.get(job)
    assert found is not None
    assert (found.state, found.reason) == (state, reason)


def test_a_job_that_the_budget_stopped_is_partial_and_says_so(
    backend: JobBackend, sent: Queue
) -> None:
    job = put_up(backend)
    finish(backend, job)
    backend.jobs.put_note(job, STOPPED, "of 10 tokens to spend, 9 are spent")
    schedule_job(backend, sent, job)
    found = backend.jobs.get(job)
    assert found is not None
    assert found.state is JobState.PARTIAL
    assert found.reason == "2 were not reached: of 10 tokens to spend, 9 are spent"


@pytest.mark.parametrize("answered", [False, True])
def test_a_job_whose_llm_never_answered_has_failed_and_says_so(
    backend: JobBackend, sent: Queue, answered: bool
) -> None:
    job = put_up(backend)
    finish(backend, job)
    for index in range(2):
        unit = UnitId("tiny", "blocks.0.mlp.hook_post", index)
        backend.jobs.commit(job, unit, Side.POSITIVE, LabelStatus.OK, summary="{}")
    backend.jobs.put_note(job, LLM_FAILED, "it is gone")
    if answered:
        backend.jobs.put_note(job, LLM_ANSWERED, "yes")
    schedule_job(backend, sent, job)
    found = backend.jobs.get(job)
    assert found is not None
    reason = "every question to the LLM failed; the first: it is gone"
    wanted = (JobState.SUCCEEDED, None) if answered else (JobState.FAILED, reason)
    assert (found.state, found.reason) == wanted


@pytest.mark.parametrize("stage", [Stage.WINDOWS, Stage.RECORDS])
def test_a_cancelled_job_ends_when_nobody_works_on_it(
    backend: JobBackend, sent: Queue, stage: Stage
) -> None:
    job = put_up(backend, n_windows=1)
    lease = backend.queue.take(WorkItem(job, stage, 0), "w", ttl_s=60)
    assert lease is not None
    backend.jobs.transition(job, JobState.CANCELLING, among={JobState.RUNNING})
    schedule_job(backend, sent, job)
    assert state_of(backend, job) is JobState.CANCELLING
    backend.queue.release(lease, done=False)
    schedule_job(backend, sent, job)
    assert state_of(backend, job) is JobState.CANCELLED
    assert sent.names() == []


def finish(backend: JobBackend, job: str) -> None:
    do(backend, *(WorkItem(COLLECTED, s, n) for s in (Stage.COLLECT, Stage.MERGE) for n in (0, 1)))
    do(backend, *(WorkItem(job, s, n) for s in (Stage.RECORDS, Stage.LABEL) for n in (0, 1)))


def state_of(backend: JobBackend, job: str) -> JobState:
    found = backend.jobs.get(job)
    assert found is not None
    return found.state
