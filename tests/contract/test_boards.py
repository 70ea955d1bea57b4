"""What every implementation of the Board protocol keeps to."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from factories import make_job, make_unit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autointerp.core.config import Money
from autointerp.core.errors import InputError
from autointerp.core.ids import Side
from autointerp.core.labels import LabelStatus
from autointerp.core.service import Job, JobState, Stage, StageCount, WorkItem
from autointerp.store.board import COLLECTION, Board
from autointerp.store.memory_board import MemoryBoard
from autointerp.store.redis import RedisBoard, RedisLink

OPEN = {JobState.QUEUED, JobState.RUNNING}
POSITIVE = Side.POSITIVE


@pytest.fixture(params=["memory", "redis"])
def board(request: pytest.FixtureRequest) -> Iterator[Board]:
    if request.param == "memory":
        yield MemoryBoard()
        return
    link = RedisLink(request.getfixturevalue("redis_url"))
    yield RedisBoard(link)
    link.close()


def make_service_job(number: int = 1, *, owner: str = "ann", **changes: object) -> Job:
    job = make_job(**changes)
    return Job(f"job_{number:026d}", job, Money(usd=1.5), owner, JobState.QUEUED, 1000.0 + number)


def put_up(board: Board, number: int = 1, **changes: object) -> str:
    return board.submit(make_service_job(number, **changes)).id


def commit(board: Board, job: str, index: int, status: LabelStatus = LabelStatus.OK) -> bool:
    return board.commit(job, make_unit(index), POSITIVE, status, summary=f'{{"index":{index}}}')


def test_a_job_comes_back_as_it_was_put_up(board: Board) -> None:
    job = make_service_job(seed=3)
    submitted = board.submit(job)
    assert board.job(job.id) == submitted
    assert (submitted.spec, submitted.money, submitted.owner) == (job.spec, job.money, "ann")
    assert (submitted.state, submitted.created) == (JobState.QUEUED, 1001.0)
    assert submitted.stages == {Stage.PLAN: StageCount(0, 1)}
    assert board.job("job_other") is None


def test_the_same_key_and_body_give_the_first_job(board: Board) -> None:
    first = board.submit(make_service_job(1), key="k", body="b")
    again = board.submit(make_service_job(2), key="k", body="b")
    assert again.id == first.id
    assert [job.id for job in board.jobs()] == [first.id]
    assert board.n_open() == 1
    assert board.submitted(first.owner, "k") == first.id
    assert board.submitted("bob", "k") is board.submitted(first.owner, "l") is None


def test_the_same_key_with_another_body_is_refused(board: Board) -> None:
    board.submit(make_service_job(1), key="k", body="b")
    with pytest.raises(InputError, match="'k' was used for another job"):
        board.submit(make_service_job(2), key="k", body="c")
    assert board.submit(make_service_job(3, owner="bob"), key="k", body="c").owner == "bob"


def test_submitting_one_job_twice_puts_it_up_once(board: Board) -> None:
    put_up(board)
    put_up(board)
    assert len(board.jobs()) == 1
    assert [event.kind for event in board.events(make_service_job().id)] == ["state"]


def test_jobs_are_listed_newest_first_with_a_cursor(board: Board) -> None:
    ids = [put_up(board, number, owner="ann" if number % 2 else "bob") for number in range(1, 8)]
    assert [job.id for job in board.jobs(limit=3)] == ids[:-4:-1]
    assert [job.id for job in board.jobs(before=ids[2])] == [ids[1], ids[0]]
    assert [job.id for job in board.jobs(owner="bob")] == [ids[5], ids[3], ids[1]]


def test_jobs_are_listed_by_state(board: Board) -> None:
    ids = [put_up(board, number) for number in range(1, 5)]
    board.move(ids[1], JobState.RUNNING, among=OPEN)
    board.move(ids[2], JobState.FAILED, among=OPEN, reason="no")
    assert [job.id for job in board.jobs(states={JobState.RUNNING})] == [ids[1]]
    found = board.jobs(states={JobState.QUEUED, JobState.FAILED}, limit=2)
    assert [job.id for job in found] == [ids[3], ids[2]]
    assert (board.n_open(), board.n_open("ann"), board.n_open("bob")) == (3, 3, 0)


def test_a_job_moves_only_from_the_states_that_are_named(board: Board) -> None:
    job = put_up(board)
    assert not board.move(job, JobState.SUCCEEDED, among={JobState.RUNNING})
    assert board.move(job, JobState.RUNNING, among={JobState.QUEUED})
    assert not board.move(job, JobState.RUNNING, among={JobState.QUEUED})
    assert board.move(job, JobState.FAILED, among=OPEN, reason="the subject is unknown")
    assert not board.move("job_other", JobState.RUNNING, among=OPEN)
    found = board.job(job)
    assert found is not None
    assert (found.state, found.reason) == (JobState.FAILED, "the subject is unknown")
    assert found.started is not None
    assert found.ended is not None
    assert found.started <= found.ended
    states = [event.data["state"] for event in board.events(job)]
    assert states == ["queued", "running", "failed"]


def test_a_job_that_is_moved_out_of_its_end_begins_a_generation(board: Board) -> None:
    job = put_up(board)
    board.move(job, JobState.CANCELLED, among=OPEN, reason="asked")
    assert board.n_open() == 0
    assert board.move(job, JobState.QUEUED, among={JobState.CANCELLED})
    found = board.job(job)
    assert found is not None
    assert (found.generation, found.ended, found.reason) == (1, None, None)
    assert board.n_open() == 1


def test_spending_adds_up(board: Board) -> None:
    job = put_up(board)
    board.spend(job, requests=2, tokens=100, usd=0.25)
    board.spend(job, requests=1, tokens=50, usd=0.5)
    found = board.job(job)
    assert found is not None
    assert (found.requests, found.tokens, found.usd) == (3, 150, 0.75)


def test_a_price_that_is_unknown_once_makes_the_sum_unknown(board: Board) -> None:
    job = put_up(board)
    board.spend(job, requests=0, tokens=0, usd=None)
    board.spend(job, requests=1, tokens=1, usd=0.5)
    assert board.job(job).usd == 0.5  # type: ignore[union-attr]
    board.spend(job, requests=1, tokens=1, usd=None)
    board.spend(job, requests=1, tokens=1, usd=0.5)
    assert board.job(job).usd is None  # type: ignore[union-attr]


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


def test_failed_labels_of_an_ended_job_are_taken_back(board: Board) -> None:
    job = put_up(board)
    board.move(job, JobState.RUNNING, among=OPEN)
    for stage in (Stage.RECORDS, Stage.LABEL):
        board.set_items(job, stage, 2)
        for number in (0, 1):
            lease = board.take(WorkItem(job, stage, number), "w", ttl_s=60)
            assert lease is not None
            board.release(lease, done=True)
    commit(board, job, 0)
    commit(board, job, 64, LabelStatus.FAILED)
    failed = {(make_unit(0), POSITIVE): 0, (make_unit(64), POSITIVE): 1}
    assert board.reopen(job, failed) == 0
    board.move(job, JobState.PARTIAL, among=OPEN, reason="1 failed")
    assert board.reopen(job, failed) == 1
    assert board.reopen(job, failed) == 0
    found = board.job(job)
    assert found is not None
    assert (found.state, found.generation, found.reason) == (JobState.RUNNING, 1, None)
    assert (found.counts.ok, found.counts.failed) == (1, 0)
    assert board.committed(job) == {(make_unit(0), POSITIVE): LabelStatus.OK}
    for stage in (Stage.RECORDS, Stage.LABEL):
        states = board.items(job, stage)
        assert [(state.done, state.attempts) for state in states] == [(True, 1), (False, 0)]


def test_a_job_without_failed_labels_is_not_reopened(board: Board) -> None:
    job = put_up(board)
    commit(board, job, 0)
    board.move(job, JobState.SUCCEEDED, among=OPEN)
    assert board.reopen(job, {(make_unit(0), POSITIVE): 0}) == 0
    assert board.reopen("job_other", {(make_unit(0), POSITIVE): 0}) == 0
    assert board.job(job).state is JobState.SUCCEEDED  # type: ignore[union-attr]


def test_an_ended_job_is_forgotten_with_all_that_was_kept_of_it(board: Board) -> None:
    job = board.submit(make_service_job(1), key="k", body="b").id
    other = put_up(board, 2)
    for owner in (job, other):
        board.put_note(owner, COLLECTION, "col_1")
    board.set_items("col_1", Stage.COLLECT, 2)
    commit(board, job, 0)
    assert not board.forget(job), "it has not ended"
    board.move(job, JobState.SUCCEEDED, among=OPEN)
    assert board.forget(job)
    assert not board.forget(job)
    assert board.job(job) is None
    assert [found.id for found in board.jobs()] == [other]
    assert [found.id for found in board.jobs(owner="ann")] == [other]
    assert (board.committed(job), board.events(job), board.items(job, Stage.PLAN)) == ({}, [], [])
    assert board.note(job, COLLECTION) is None
    assert board.submitted("ann", "k") is None
    assert board.submit(make_service_job(3), key="k", body="another").id != job
    assert not board.forget_collection("col_1"), "another job needs it"
    board.move(other, JobState.CANCELLED, among=OPEN)
    assert board.forget(other)
    assert board.forget_collection("col_1")
    assert board.items("col_1", Stage.COLLECT) == []


def test_events_are_read_from_where_one_was(board: Board) -> None:
    job = put_up(board)
    for index in range(5):
        commit(board, job, index)
    events = board.events(job)
    assert [event.data.get("index") for event in events] == [None, 0, 1, 2, 3, 4]
    assert [e.data["index"] for e in board.events(job, after=events[3].id)] == [3, 4]
    assert len(board.events(job, limit=2)) == 2
    assert board.events(job, after=events[-1].id) == []
    order = [tuple(map(int, event.id.split("-"))) for event in events]
    assert order == sorted(set(order))


@pytest.mark.parametrize("bad", ["x", "1-", "1-x", "-1", "1-2-3", "", "9" * 40])
def test_an_id_that_is_none_of_an_event_is_refused(board: Board, bad: str) -> None:
    job = put_up(board)
    with pytest.raises(InputError, match="is no id of an event"):
        board.events(job, after=bad)


def test_a_reader_waits_for_the_next_event(board: Board) -> None:
    job = put_up(board)
    last = board.events(job)[-1].id
    began = time.monotonic()
    assert board.events(job, after=last, wait_s=0.1) == []
    assert time.monotonic() - began >= 0.09
    later = threading.Timer(0.1, commit, (board, job, 7))
    later.start()
    assert [e.data["index"] for e in board.events(job, after=last, wait_s=600)] == [7]
    assert time.monotonic() - began < 300
    later.join()


def test_workers_are_listed_while_their_sign_of_life_holds(board: Board) -> None:
    assert board.workers() == []
    board.say_alive("b", "labels", None, ttl_s=60)
    board.say_alive("a", "activations", "job_1/plan/0", ttl_s=60)
    board.say_alive("c", "labels", None, ttl_s=0.02)
    time.sleep(0.05)
    found = board.workers()
    assert [(w.name, w.queue, w.doing) for w in found] == [
        ("a", "activations", "job_1/plan/0"),
        ("b", "labels", None),
    ]
    assert all(0 <= worker.seen_s_ago < 300 for worker in found)


def test_one_leads_until_it_is_silent(board: Board) -> None:
    assert board.lead("reconciler", "a", ttl_s=60)
    assert not board.lead("reconciler", "b", ttl_s=60)
    assert board.lead("reconciler", "a", ttl_s=0.05)
    assert board.lead("other", "b", ttl_s=60)
    time.sleep(0.1)
    assert board.lead("reconciler", "b", ttl_s=60)
    assert not board.lead("reconciler", "a", ttl_s=60)


def test_an_answer_reaches_everybody_who_asks(board: Board) -> None:
    assert board.await_answer("q", wait_s=0.02) is None
    later = threading.Timer(0.1, board.answer, ("q", "é 42"))
    later.start()
    with ThreadPoolExecutor(3) as pool:
        answers = pool.map(lambda _: board.await_answer("q", wait_s=300), range(3))
        assert list(answers) == ["é 42"] * 3
    later.join()
    board.answer("q", "late")
    assert board.await_answer("q", wait_s=0) == "é 42"


def test_questions_are_taken_once_oldest_first(board: Board) -> None:
    assert board.next_question("labels") is None
    for name in ("a", "b"):
        board.ask("labels", name, f"{name}?", ttl_s=600)
    board.ask("activations", "c", "c?", ttl_s=60)
    taken = [board.next_question("labels"), board.next_question("labels")]
    assert [(q.id, q.text) for q in taken if q] == [("a", "a?"), ("b", "b?")]
    assert all(300 < q.left_s <= 600 for q in taken if q)
    assert board.next_question("labels", wait_s=0.02) is None
    last = board.next_question("activations")
    assert last is not None
    assert last.text == "c?"


def test_a_question_is_waited_for_and_given_to_one(board: Board) -> None:
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(board.next_question, "labels", wait_s=300) for _ in range(2)]
        time.sleep(0.1)
        for name in ("q", "r"):
            board.ask("labels", name, f"{name} é?", ttl_s=600)
        taken = [one.result() for one in waiting]
    assert sorted(q.text for q in taken if q is not None) == ["q é?", "r é?"]


def test_a_question_that_nobody_waits_for_any_more_is_passed_over(board: Board) -> None:
    board.ask("labels", "old", "old?", ttl_s=0.02)
    board.ask("labels", "new", "new?", ttl_s=60)
    time.sleep(0.05)
    taken = board.next_question("labels")
    assert taken is not None
    assert taken.id == "new"


def test_an_answer_is_forgotten_after_a_while(board: Board) -> None:
    board.answer("q", "42", ttl_s=0.02)
    time.sleep(0.05)
    assert board.await_answer("q", wait_s=0) is None


def test_notes_are_kept_by_owner_and_name(board: Board) -> None:
    board.put_note("models", "tiny", "{}")
    board.put_note("models", "tiny", '{"n": 1}')
    assert board.note("models", "tiny") == '{"n": 1}'
    assert board.note("models", "other") is None
    assert board.note("other", "tiny") is None


def test_a_board_that_answers_has_no_jobs_before_the_first(board: Board) -> None:
    board.ping()
    assert (board.jobs(), board.n_open()) == ([], 0)


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
