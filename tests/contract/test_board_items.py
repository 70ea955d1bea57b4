"""What every implementation of the Board protocol keeps to: pieces of work and labels."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from boards import commit, put_up
from factories import make_unit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autointerp.core.ids import Side
from autointerp.core.labels import LabelStatus
from autointerp.core.service import Stage, StageCount, WorkItem
from autointerp.store.board import COLLECTION, Board


def test_the_number_of_items_is_said_once(board: Board) -> None:
    assert board.items("col_a", Stage.COLLECT) == []
    assert board.set_items("col_a", Stage.COLLECT, 3)
    assert not board.set_items("col_a", Stage.COLLECT, 4)
    states = board.items("col_a", Stage.COLLECT)
    assert [state.item.number for state in states] == [0, 1, 2]
    assert {(s.done, s.held_by, s.attempts, s.sent_s_ago) for s in states} == {
        (False, None, 0, None)
    }


def test_one_worker_at_a_time_has_an_item(board: Board) -> None:
    item = WorkItem(put_up(board), Stage.PLAN, 0)
    lease = board.take(item, "w 1", ttl_s=60)
    assert lease is not None
    assert board.take(item, "w 2", ttl_s=60) is None
    state = board.items(item.owner, Stage.PLAN)[0]
    assert (state.held_by, state.attempts) == ("w 1", 1)
    assert board.renew(lease, ttl_s=60)


def test_an_item_that_does_not_exist_cannot_be_taken(board: Board) -> None:
    job = put_up(board)
    assert board.take(WorkItem(job, Stage.PLAN, 1), "w", ttl_s=60) is None
    assert board.take(WorkItem(job, Stage.LABEL, 0), "w", ttl_s=60) is None


def test_a_lease_that_is_not_renewed_ends(board: Board) -> None:
    item = WorkItem(put_up(board), Stage.PLAN, 0)
    lost = board.take(item, "w1", ttl_s=0.05)
    assert lost is not None
    time.sleep(0.1)
    taken = board.take(item, "w2", ttl_s=60)
    assert taken is not None
    assert not board.renew(lost, ttl_s=60)
    assert not board.release(lost, done=True)
    state = board.items(item.owner, Stage.PLAN)[0]
    assert (state.done, state.held_by, state.attempts) == (False, "w2", 2)


def test_an_item_is_done_once_and_says_so(board: Board) -> None:
    job = put_up(board)
    board.set_items(job, Stage.LABEL, 2)
    lease = board.take(WorkItem(job, Stage.LABEL, 1), "w", ttl_s=60)
    assert lease is not None
    assert board.release(lease, done=True)
    assert board.take(lease.item, "w", ttl_s=60) is None
    assert [state.done for state in board.items(job, Stage.LABEL)] == [False, True]
    assert board.job(job).stages[Stage.LABEL] == StageCount(1, 2)  # type: ignore[union-attr]
    event = board.events(job)[-1]
    assert (event.kind, dict(event.data)) == (
        "stage",
        {"stage": "label", "number": 1, "done": 1, "total": 2},
    )


def test_an_item_that_is_given_back_can_be_taken_again(board: Board) -> None:
    item = WorkItem(put_up(board), Stage.PLAN, 0)
    lease = board.take(item, "w", ttl_s=60)
    assert lease is not None
    assert board.release(lease, done=False)
    assert not board.renew(lease, ttl_s=60)
    assert board.take(item, "w", ttl_s=60) is not None
    assert board.items(item.owner, Stage.PLAN)[0].attempts == 2


def test_sending_is_noted_and_forgotten_by_a_reset(board: Board) -> None:
    item = WorkItem(put_up(board), Stage.PLAN, 0)
    board.mark_sent([item])
    sent = board.items(item.owner, Stage.PLAN)[0].sent_s_ago
    assert sent is not None
    assert 0 <= sent < 300
    lease = board.take(item, "w", ttl_s=60)
    assert lease is not None
    board.release(lease, done=True)
    board.reset([item])
    state = board.items(item.owner, Stage.PLAN)[0]
    assert (state.done, state.held_by, state.attempts, state.sent_s_ago) == (False, None, 0, None)
    assert board.job(item.owner).stages[Stage.PLAN] == StageCount(0, 1)  # type: ignore[union-attr]


def test_a_job_shows_and_hears_of_the_collection_it_shares(board: Board) -> None:
    jobs = [put_up(board, number) for number in (1, 2)]
    board.set_items("col_a", Stage.COLLECT, 4)
    for job in jobs:
        board.put_note(job, COLLECTION, "col_a")
    lease = board.take(WorkItem("col_a", Stage.COLLECT, 3), "w", ttl_s=60)
    assert lease is not None
    board.release(lease, done=True)
    for job in jobs:
        assert board.job(job).stages[Stage.COLLECT] == StageCount(1, 4)  # type: ignore[union-attr]
        assert board.events(job)[-1].data["stage"] == "collect"
    assert board.jobs()[0].stages[Stage.COLLECT] == StageCount(1, 4)


def test_a_label_is_counted_once(board: Board) -> None:
    job = put_up(board)
    board.set_total(job, 3)
    assert commit(board, job, 1)
    assert not commit(board, job, 1)
    assert not commit(board, job, 1, LabelStatus.FAILED)
    assert board.commit(job, make_unit(1), Side.NEGATIVE, LabelStatus.DEAD, summary="{}")
    counts = board.job(job).counts  # type: ignore[union-attr]
    assert (counts.total, counts.ok, counts.dead, counts.failed, counts.done) == (3, 1, 1, 0, 2)
    assert board.committed(job) == {
        (make_unit(1), Side.POSITIVE): LabelStatus.OK,
        (make_unit(1), Side.NEGATIVE): LabelStatus.DEAD,
    }


def test_of_many_workers_one_gets_the_item(board: Board) -> None:
    item = WorkItem(put_up(board), Stage.PLAN, 0)
    with ThreadPoolExecutor(8) as pool:
        leases = list(pool.map(lambda n: board.take(item, f"w{n}", ttl_s=60), range(32)))
    assert sum(lease is not None for lease in leases) == 1
    assert board.items(item.owner, Stage.PLAN)[0].attempts == 1


numbers = st.integers(0, 9)
statuses = st.sampled_from(LabelStatus)
commits = st.lists(st.tuples(numbers, st.sampled_from(Side), statuses), max_size=60)
job_numbers = iter(range(1_000_000))


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(asked=commits)
def test_whatever_order_threads_commit_in_every_label_counts_once(
    board: Board, asked: list[tuple[int, Side, LabelStatus]]
) -> None:
    job = put_up(board, next(job_numbers))

    def put(one: tuple[int, Side, LabelStatus]) -> bool:
        index, side, status = one
        data = json.dumps({"status": status})
        return board.commit(job, make_unit(index), side, status, summary=data)

    with ThreadPoolExecutor(8) as pool:
        new = sum(pool.map(put, asked))
    committed, found = board.committed(job), board.job(job)
    assert found is not None
    assert set(committed) == {(make_unit(index), side) for index, side, _ in asked}
    assert new == len(committed) == found.counts.done
    counted = Counter(committed.values())
    assert [getattr(found.counts, s) for s in LabelStatus] == [counted[s] for s in LabelStatus]
    told = Counter(e.data["status"] for e in board.events(job) if e.kind == "label")
    assert told == Counter(str(status) for status in committed.values())
