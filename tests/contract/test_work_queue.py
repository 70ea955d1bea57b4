"""What every implementation of WorkQueue keeps to, and of JobStore with labels."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from factories import make_unit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stored_jobs import commit, put_up

from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side
from autointerp.core.job_state import Stage, StageCount, WorkItem
from autointerp.store.jobs import COLLECTION, JobBackend


def test_the_number_of_items_is_said_once(backend: JobBackend) -> None:
    assert backend.queue.items("col_a", Stage.COLLECT) == []
    assert backend.queue.set_items("col_a", Stage.COLLECT, 3)
    assert not backend.queue.set_items("col_a", Stage.COLLECT, 4)
    states = backend.queue.items("col_a", Stage.COLLECT)
    assert [state.item.number for state in states] == [0, 1, 2]
    assert {(s.done, s.held_by, s.attempts, s.sent_s_ago) for s in states} == {
        (False, None, 0, None)
    }


def test_one_worker_at_a_time_has_an_item(backend: JobBackend) -> None:
    item = WorkItem(put_up(backend), Stage.PLAN, 0)
    lease = backend.queue.take(item, "w 1", ttl_s=60)
    assert lease is not None
    assert backend.queue.take(item, "w 2", ttl_s=60) is None
    state = backend.queue.items(item.owner, Stage.PLAN)[0]
    assert (state.held_by, state.attempts) == ("w 1", 1)
    assert backend.queue.renew(lease, ttl_s=60)


def test_an_item_that_does_not_exist_cannot_be_taken(backend: JobBackend) -> None:
    job = put_up(backend)
    assert backend.queue.take(WorkItem(job, Stage.PLAN, 1), "w", ttl_s=60) is None
    assert backend.queue.take(WorkItem(job, Stage.LABEL, 0), "w", ttl_s=60) is None


def test_a_lease_that_is_not_renewed_ends(backend: JobBackend) -> None:
    item = WorkItem(put_up(backend), Stage.PLAN, 0)
    lost = backend.queue.take(item, "w1", ttl_s=0.05)
    assert lost is not None
    time.sleep(0.1)
    taken = backend.queue.take(item, "w2", ttl_s=60)
    assert taken is not None
    assert not backend.queue.renew(lost, ttl_s=60)
    assert not backend.queue.release(lost, done=True)
    state = backend.queue.items(item.owner, Stage.PLAN)[0]
    assert (state.done, state.held_by, state.attempts) == (False, "w2", 2)


def test_an_item_is_done_once_and_says_so(backend: JobBackend) -> None:
    job = put_up(backend)
    backend.queue.set_items(job, Stage.LABEL, 2)
    lease = backend.queue.take(WorkItem(job, Stage.LABEL, 1), "w", ttl_s=60)
    assert lease is not None
    assert backend.queue.release(lease, done=True)
    assert backend.queue.take(lease.item, "w", ttl_s=60) is None
    assert [state.done for state in backend.queue.items(job, Stage.LABEL)] == [False, True]
    assert backend.jobs.get(job).stages[Stage.LABEL] == StageCount(1, 2)  # type: ignore[union-attr]
    event = backend.jobs.events(job)[-1]
    assert (event.kind, dict(event.data)) == (
        "stage",
        {"stage": "label", "number": 1, "done": 1, "total": 2},
    )


def test_an_item_that_is_given_back_can_be_taken_again(
    backend: JobBackend, request: pytest.FixtureRequest
) -> None:
    item = WorkItem(put_up(backend), Stage.PLAN, 0)
    lease = backend.queue.take(item, "w", ttl_s=60)
    assert lease is not None
    held = backend.queue.release(lease, done=False)
    # Nothing stays that could tell a second call of the first.
    assert held or "twice" in request.node.name
    assert not backend.queue.renew(lease, ttl_s=60)
    assert backend.queue.take(item, "w", ttl_s=60) is not None
    assert backend.queue.items(item.owner, Stage.PLAN)[0].attempts == 2


def test_sending_is_noted_and_forgotten_by_a_reset(backend: JobBackend) -> None:
    item = WorkItem(put_up(backend), Stage.PLAN, 0)
    backend.queue.mark_sent([item])
    sent = backend.queue.items(item.owner, Stage.PLAN)[0].sent_s_ago
    assert sent is not None
    assert 0 <= sent < 300
    lease = backend.queue.take(item, "w", ttl_s=60)
    assert lease is not None
    backend.queue.release(lease, done=True)
    backend.queue.reset([item])
    state = backend.queue.items(item.owner, Stage.PLAN)[0]
    assert (state.done, state.held_by, state.attempts, state.sent_s_ago) == (False, None, 0, None)
    assert backend.jobs.get(item.owner).stages[Stage.PLAN] == StageCount(0, 1)  # type: ignore[union-attr]


def test_a_job_shows_and_hears_of_the_collection_it_shares(backend: JobBackend) -> None:
    jobs = [put_up(backend, number) for number in (1, 2)]
    backend.queue.set_items("col_a", Stage.COLLECT, 4)
    for job in jobs:
        backend.jobs.put_note(job, COLLECTION, "col_a")
    lease = backend.queue.take(WorkItem("col_a", Stage.COLLECT, 3), "w", ttl_s=60)
    assert lease is not None
    backend.queue.release(lease, done=True)
    for job in jobs:
        assert backend.jobs.get(job).stages[Stage.COLLECT] == StageCount(1, 4)  # type: ignore[union-attr]
        assert backend.jobs.events(job)[-1].data["stage"] == "collect"
    assert backend.jobs.find()[0].stages[Stage.COLLECT] == StageCount(1, 4)


def test_a_label_is_counted_once(backend: JobBackend) -> None:
    job = put_up(backend)
    backend.jobs.set_total(job, 3)
    assert commit(backend, job, 1)
    assert not commit(backend, job, 1)
    assert not commit(backend, job, 1, LabelStatus.FAILED)
    assert backend.jobs.commit(job, make_unit(1), Side.NEGATIVE, LabelStatus.DEAD, summary="{}")
    counts = backend.jobs.get(job).counts  # type: ignore[union-attr]
    assert (counts.total, counts.ok, counts.dead, counts.failed, counts.done) == (3, 1, 1, 0, 2)
    assert backend.jobs.committed(job) == {
        (make_unit(1), Side.POSITIVE): LabelStatus.OK,
        (make_unit(1), Side.NEGATIVE): LabelStatus.DEAD,
    }


def test_of_many_workers_one_gets_the_item(backend: JobBackend) -> None:
    item = WorkItem(put_up(backend), Stage.PLAN, 0)
    with ThreadPoolExecutor(8) as pool:
        leases = list(pool.map(lambda n: backend.queue.take(item, f"w{n}", ttl_s=60), range(32)))
    assert sum(lease is not None for lease in leases) == 1
    assert backend.queue.items(item.owner, Stage.PLAN)[0].attempts == 1


numbers = st.integers(0, 9)
statuses = st.sampled_from(LabelStatus)
commits = st.lists(st.tuples(numbers, st.sampled_from(Side), statuses), max_size=60)
job_numbers = iter(range(1_000_000))


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(asked=commits)
def test_whatever_order_threads_commit_in_every_label_counts_once(
    backend: JobBackend, asked: list[tuple[int, Side, LabelStatus]]
) -> None:
    job = put_up(backend, next(job_numbers))

    def put(one: tuple[int, Side, LabelStatus]) -> bool:
        index, side, status = one
        data = json.dumps({"status": status})
        return backend.jobs.commit(job, make_unit(index), side, status, summary=data)

    with ThreadPoolExecutor(8) as pool:
        new = sum(pool.map(put, asked))
    committed, found = backend.jobs.committed(job), backend.jobs.get(job)
    assert found is not None
    assert set(committed) == {(make_unit(index), side) for index, side, _ in asked}
    assert new == len(committed) == found.counts.done
    counted = Counter(committed.values())
    assert [getattr(found.counts, s) for s in LabelStatus] == [counted[s] for s in LabelStatus]
    told = Counter(e.data["status"] for e in backend.jobs.events(job) if e.kind == "label")
    assert told == Counter(str(status) for status in committed.values())


def test_a_reset_ends_the_lease_of_whoever_holds_the_item(backend: JobBackend) -> None:
    item = WorkItem(put_up(backend), Stage.PLAN, 0)
    lost = backend.queue.take(item, "w 1", ttl_s=60)
    assert lost is not None
    backend.queue.reset([item])
    assert not backend.queue.renew(lost, ttl_s=60)
    assert backend.queue.take(item, "w 2", ttl_s=60) is not None


def test_an_item_that_another_worker_did_was_not_done_by_a_lost_lease(backend: JobBackend) -> None:
    item = WorkItem(put_up(backend), Stage.PLAN, 0)
    lost = backend.queue.take(item, "w 1", ttl_s=0.02)
    assert lost is not None
    time.sleep(0.05)
    taken = backend.queue.take(item, "w 2", ttl_s=60)
    assert taken is not None
    assert backend.queue.release(taken, done=True)
    assert not backend.queue.release(lost, done=True)
