from __future__ import annotations

import time
from dataclasses import replace

import pytest

from autointerp.core.config import Budget, JobSpec
from autointerp.core.ids import Side, UnitId
from autointerp.core.labels import LabelStatus
from autointerp.core.service import Job, JobState, Stage, WorkItem
from autointerp.orchestration import new_id, reconcile, schedule_job
from autointerp.orchestration.schedule import STOPPED
from autointerp.store.board import COLLECTION, ItemState
from autointerp.store.memory_board import MemoryBoard

COLLECTED = "col_1"


class Impatient(MemoryBoard):
    """A board on which everything was sent a while ago."""

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
def board() -> Impatient:
    return Impatient()


@pytest.fixture
def sent() -> Queue:
    return Queue()


def put_up(board: MemoryBoard, *, n_chunks: int = 2, n_shards: int = 2) -> str:
    """A job that is planned."""
    job = Job(
        id=new_id("job"),
        spec=JobSpec(units="0:0"),
        budget=Budget(),
        owner="local",
        state=JobState.QUEUED,
        created=time.time(),
    )
    board.submit(job)
    do(board, WorkItem(job.id, Stage.PLAN, 0))
    board.move(job.id, JobState.RUNNING, among={JobState.QUEUED})
    board.set_items(COLLECTED, Stage.COLLECT, n_shards)
    board.set_items(COLLECTED, Stage.MERGE, 1)
    for stage in (Stage.RECORDS, Stage.LABEL):
        board.set_items(job.id, stage, n_chunks)
    board.put_note(job.id, COLLECTION, COLLECTED)
    board.set_total(job.id, n_chunks)
    return job.id


def do(board: MemoryBoard, *items: WorkItem) -> None:
    for item in items:
        lease = board.take(item, "w", ttl_s=60)
        if lease is not None:
            board.release(lease, done=True)


def test_stages_follow_each_other_and_labels_follow_their_own_records(
    board: Impatient, sent: Queue
) -> None:
    job = put_up(board)
    schedule_job(board, sent, job)
    assert sent.names() == ["collect/0", "collect/1"]
    do(board, WorkItem(COLLECTED, Stage.COLLECT, 0))
    schedule_job(board, sent, job)
    assert sent.names() == []
    do(board, WorkItem(COLLECTED, Stage.COLLECT, 1))
    schedule_job(board, sent, job)
    assert sent.names() == ["merge/0"]
    do(board, WorkItem(COLLECTED, Stage.MERGE, 0))
    schedule_job(board, sent, job)
    assert sent.names() == ["records/0", "records/1"]
    do(board, WorkItem(job, Stage.RECORDS, 1))
    schedule_job(board, sent, job)
    assert sent.names() == ["label/1"]


def test_what_somebody_holds_is_not_sent_and_what_he_dropped_is_sent_again(
    board: Impatient, sent: Queue
) -> None:
    job = put_up(board, n_shards=1)
    schedule_job(board, sent, job)
    sent.clear()
    lease = board.take(WorkItem(COLLECTED, Stage.COLLECT, 0), "w", ttl_s=60)
    assert lease is not None
    board.ago = 6
    reconcile(board, sent)
    assert sent.names() == []
    board.release(lease, done=False)
    reconcile(board, sent)
    assert sent.names() == ["collect/0"]


def test_a_message_that_nobody_took_is_missed_after_a_minute(board: Impatient, sent: Queue) -> None:
    job = put_up(board, n_shards=1)
    schedule_job(board, sent, job)
    sent.clear()
    board.ago = 50
    reconcile(board, sent)
    assert sent.names() == []
    board.ago = 61
    reconcile(board, sent)
    assert sent.names() == ["collect/0"]


def test_a_message_that_waits_while_somebody_is_idle_is_missed_soon(
    board: Impatient, sent: Queue
) -> None:
    job = put_up(board, n_shards=1)
    schedule_job(board, sent, job)
    sent.clear()
    board.ago = 11
    board.say_alive("busy", "activations", "something", ttl_s=60)
    reconcile(board, sent)
    assert sent.names() == []
    board.say_alive("idle", "activations", None, ttl_s=60)
    reconcile(board, sent)
    assert sent.names() == ["collect/0"]


def test_only_a_few_items_wait_in_a_queue_at_a_time(board: Impatient, sent: Queue) -> None:
    job = put_up(board, n_chunks=100)
    do(board, *(WorkItem(COLLECTED, s, n) for s in (Stage.COLLECT, Stage.MERGE) for n in (0, 1)))
    schedule_job(board, sent, job)
    assert sent.names() == [f"records/{number}" for number in range(8)]
    do(board, *(WorkItem(job, Stage.RECORDS, number) for number in range(30)))
    schedule_job(board, sent, job)
    # Records do not run far ahead of labels.
    assert sent.names() == [f"label/{number}" for number in range(8)]


@pytest.mark.parametrize(
    ("failed", "stopped", "state", "reason"),
    [
        (False, None, JobState.SUCCEEDED, None),
        (True, None, JobState.PARTIAL, "1 of 2 labels failed"),
    ],
)
def test_a_job_ends_when_every_label_is_there(
    board: Impatient,
    sent: Queue,
    failed: bool,
    stopped: str | None,
    state: JobState,
    reason: str | None,
) -> None:
    job = put_up(board)
    finish(board, job)
    for index, status in enumerate((LabelStatus.OK, LabelStatus.FAILED)):
        unit = UnitId("tiny", "blocks.0.mlp.hook_post", index)
        board.commit(job, unit, Side.POSITIVE, status if failed else LabelStatus.OK, summary="{}")
    schedule_job(board, sent, job)
    found = board.job(job)
    assert found is not None
    assert (found.state, found.reason) == (state, reason)


def test_a_job_that_the_budget_stopped_is_partial_and_says_so(
    board: Impatient, sent: Queue
) -> None:
    job = put_up(board)
    finish(board, job)
    board.put_note(job, STOPPED, "of 10 tokens to spend, 9 are spent")
    schedule_job(board, sent, job)
    found = board.job(job)
    assert found is not None
    assert found.state is JobState.PARTIAL
    assert found.reason == "2 were not reached: of 10 tokens to spend, 9 are spent"


def test_a_cancelled_job_ends_when_nobody_works_on_it(board: Impatient, sent: Queue) -> None:
    job = put_up(board)
    lease = board.take(WorkItem(job, Stage.RECORDS, 0), "w", ttl_s=60)
    assert lease is not None
    board.move(job, JobState.CANCELLING, among={JobState.RUNNING})
    schedule_job(board, sent, job)
    assert state_of(board, job) is JobState.CANCELLING
    board.release(lease, done=False)
    schedule_job(board, sent, job)
    assert state_of(board, job) is JobState.CANCELLED
    assert sent.names() == []


def finish(board: MemoryBoard, job: str) -> None:
    do(board, *(WorkItem(COLLECTED, s, n) for s in (Stage.COLLECT, Stage.MERGE) for n in (0, 1)))
    do(board, *(WorkItem(job, s, n) for s in (Stage.RECORDS, Stage.LABEL) for n in (0, 1)))


def state_of(board: MemoryBoard, job: str) -> JobState:
    found = board.job(job)
    assert found is not None
    return found.state
