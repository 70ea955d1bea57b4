"""What every implementation of the Board protocol keeps to: jobs."""

from __future__ import annotations

import pytest
from boards import OPEN, POSITIVE, commit, make_service_job, put_up
from factories import make_unit

from autointerp.core.errors import InputError
from autointerp.core.labels import LabelStatus
from autointerp.core.service import JobState, Stage, StageCount, WorkItem
from autointerp.store.board import COLLECTION, Board


def test_a_job_comes_back_as_it_was_put_up(board: Board) -> None:
    job = make_service_job(seed=3)
    submitted = board.submit(job)
    assert board.job(job.id) == submitted
    assert (submitted.spec, submitted.budget, submitted.owner) == (job.spec, job.budget, "ann")
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


def test_a_board_that_answers_has_no_jobs_before_the_first(board: Board) -> None:
    board.ping()
    assert (board.jobs(), board.n_open()) == ([], 0)
