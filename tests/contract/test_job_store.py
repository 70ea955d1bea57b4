"""What every implementation of JobStore keeps to."""

from __future__ import annotations

import time

import pytest
from factories import make_unit
from stored_jobs import OPEN, POSITIVE, commit, make_service_job, put_up

from autointerp.core.errors import InputError
from autointerp.core.explanations import LabelStatus
from autointerp.core.job_state import JobState, JobSummary, Stage, StageCount, WorkItem
from autointerp.store.jobs import COLLECTION, JobBackend, redis_scripts
from autointerp.store.jobs.redis_backend import redis_backend
from autointerp.store.jobs.redis_layout import events_key, job_key
from autointerp.store.redis_connection import RedisConnection


def test_a_job_comes_back_as_it_was_put_up(backend: JobBackend) -> None:
    job = make_service_job(seed=3)
    submitted = backend.jobs.submit(job)
    assert backend.jobs.get(job.id) == submitted
    assert (submitted.spec, submitted.budget, submitted.owner) == (job.spec, job.budget, "ann")
    assert (submitted.state, submitted.created) == (JobState.QUEUED, 1001.0)
    assert submitted.stages == {Stage.PLAN: StageCount(0, 1)}
    assert backend.jobs.get("job_other") is None


def test_the_same_key_and_body_give_the_first_job(backend: JobBackend) -> None:
    first = backend.jobs.submit(make_service_job(1), key="k", body="b")
    again = backend.jobs.submit(make_service_job(2), key="k", body="b")
    assert again.id == first.id
    assert [job.id for job in backend.jobs.find()] == [first.id]
    assert backend.jobs.n_open() == 1
    assert backend.jobs.submitted(first.owner, "k") == first.id
    assert backend.jobs.submitted("bob", "k") is backend.jobs.submitted(first.owner, "l") is None


def test_the_same_key_with_another_body_is_refused(backend: JobBackend) -> None:
    backend.jobs.submit(make_service_job(1), key="k", body="b")
    with pytest.raises(InputError, match="'k' was used for another job"):
        backend.jobs.submit(make_service_job(2), key="k", body="c")
    assert backend.jobs.submit(make_service_job(3, owner="bob"), key="k", body="c").owner == "bob"


def test_submitting_one_job_twice_puts_it_up_once(backend: JobBackend) -> None:
    put_up(backend)
    put_up(backend)
    assert len(backend.jobs.find()) == 1
    assert [event.kind for event in backend.jobs.events(make_service_job().id)] == ["state"]


def test_jobs_are_listed_newest_first_with_a_cursor(backend: JobBackend) -> None:
    ids = [put_up(backend, number, owner="ann" if number % 2 else "bob") for number in range(1, 8)]
    assert [job.id for job in backend.jobs.find(limit=3)] == ids[:-4:-1]
    assert [job.id for job in backend.jobs.find(before=ids[2])] == [ids[1], ids[0]]
    assert [job.id for job in backend.jobs.find(owner="bob")] == [ids[5], ids[3], ids[1]]


def test_jobs_are_listed_by_state(backend: JobBackend) -> None:
    ids = [put_up(backend, number) for number in range(1, 5)]
    backend.jobs.transition(ids[1], JobState.RUNNING, among=OPEN)
    backend.jobs.transition(ids[2], JobState.FAILED, among=OPEN, reason="no")
    assert [job.id for job in backend.jobs.find(states={JobState.RUNNING})] == [ids[1]]
    found = backend.jobs.find(states={JobState.QUEUED, JobState.FAILED}, limit=2)
    assert [job.id for job in found] == [ids[3], ids[2]]
    assert (backend.jobs.n_open(), backend.jobs.n_open("ann"), backend.jobs.n_open("bob")) == (
        3,
        3,
        0,
    )


def test_a_job_moves_only_from_the_states_that_are_named(backend: JobBackend) -> None:
    job = put_up(backend)
    assert not backend.jobs.transition(job, JobState.SUCCEEDED, among={JobState.RUNNING})
    assert backend.jobs.transition(job, JobState.RUNNING, among={JobState.QUEUED})
    assert not backend.jobs.transition(job, JobState.RUNNING, among={JobState.QUEUED})
    assert backend.jobs.transition(
        job, JobState.FAILED, among=OPEN, reason="the subject is unknown"
    )
    assert not backend.jobs.transition("job_other", JobState.RUNNING, among=OPEN)
    found = backend.jobs.get(job)
    assert found is not None
    assert (found.state, found.reason) == (JobState.FAILED, "the subject is unknown")
    assert found.started is not None
    assert found.ended is not None
    assert found.started <= found.ended
    states = [event.data["state"] for event in backend.jobs.events(job)]
    assert states == ["queued", "running", "failed"]


def test_a_job_that_is_moved_out_of_its_end_begins_a_generation(backend: JobBackend) -> None:
    job = put_up(backend)
    backend.jobs.transition(job, JobState.CANCELLED, among=OPEN, reason="asked")
    assert backend.jobs.n_open() == 0
    assert backend.jobs.transition(job, JobState.QUEUED, among={JobState.CANCELLED})
    found = backend.jobs.get(job)
    assert found is not None
    assert (found.generation, found.ended, found.reason) == (1, None, None)
    assert backend.jobs.n_open() == 1
    assert backend.jobs.n_open("ann") == 1


def test_a_job_that_is_tried_again_keeps_when_it_first_started(backend: JobBackend) -> None:
    job = put_up(backend)
    backend.jobs.transition(job, JobState.RUNNING, among=OPEN)
    first = backend.jobs.get(job)
    backend.jobs.transition(job, JobState.FAILED, among=OPEN, reason="no")
    time.sleep(0.01)
    backend.jobs.transition(job, JobState.RUNNING, among={JobState.FAILED})
    again = backend.jobs.get(job)
    assert first is not None
    assert again is not None
    assert again.started == first.started is not None


def test_spending_adds_up(backend: JobBackend) -> None:
    job = put_up(backend)
    backend.jobs.spend(job, requests=2, tokens=100, usd=0.25)
    backend.jobs.spend(job, requests=1, tokens=50, usd=0.5)
    found = backend.jobs.get(job)
    assert found is not None
    assert (found.requests, found.tokens, found.usd) == (3, 150, 0.75)


def test_a_price_that_is_unknown_once_makes_the_sum_unknown(backend: JobBackend) -> None:
    job = put_up(backend)
    backend.jobs.spend(job, requests=0, tokens=0, usd=None)
    backend.jobs.spend(job, requests=1, tokens=1, usd=0.5)
    assert backend.jobs.get(job).usd == 0.5  # type: ignore[union-attr]
    backend.jobs.spend(job, requests=1, tokens=1, usd=None)
    backend.jobs.spend(job, requests=1, tokens=1, usd=0.5)
    assert backend.jobs.get(job).usd is None  # type: ignore[union-attr]


@pytest.mark.parametrize(("requests", "tokens"), [(1, 0), (0, 1)])
def test_anything_that_is_spent_at_an_unknown_price_makes_the_sum_unknown(
    backend: JobBackend, requests: int, tokens: int
) -> None:
    job = put_up(backend)
    backend.jobs.spend(job, requests=requests, tokens=tokens, usd=None)
    backend.jobs.spend(job, requests=1, tokens=1, usd=0.5)
    assert backend.jobs.get(job).usd is None  # type: ignore[union-attr]


def test_failed_labels_of_an_ended_job_are_taken_back(backend: JobBackend) -> None:
    job = put_up(backend)
    backend.jobs.transition(job, JobState.RUNNING, among=OPEN)
    for stage in (Stage.RECORDS, Stage.LABEL):
        backend.queue.set_items(job, stage, 2)
        for number in (0, 1):
            lease = backend.queue.take(WorkItem(job, stage, number), "w", ttl_s=60)
            assert lease is not None
            backend.queue.release(lease, done=True)
    commit(backend, job, 0)
    commit(backend, job, 64, LabelStatus.FAILED)
    failed = {(make_unit(0), POSITIVE): 0, (make_unit(64), POSITIVE): 1}
    assert backend.jobs.reopen(job, failed) == 0
    backend.jobs.transition(job, JobState.PARTIAL, among=OPEN, reason="1 failed")
    assert backend.jobs.reopen(job, failed) == 1
    assert backend.jobs.reopen(job, failed) == 0
    found = backend.jobs.get(job)
    assert found is not None
    assert (found.state, found.generation, found.reason) == (JobState.RUNNING, 1, None)
    assert (found.counts.ok, found.counts.failed) == (1, 0)
    assert backend.jobs.committed(job) == {(make_unit(0), POSITIVE): LabelStatus.OK}
    for stage in (Stage.RECORDS, Stage.LABEL):
        states = backend.queue.items(job, stage)
        assert [(state.done, state.attempts) for state in states] == [(True, 1), (False, 0)]


def test_labels_of_other_states_are_taken_back_where_they_are_asked_for(
    backend: JobBackend,
) -> None:
    job = put_up(backend)
    states = (LabelStatus.OK, LabelStatus.NO_SIGNAL, LabelStatus.DEAD, LabelStatus.FAILED)
    for number, status in enumerate(states):
        commit(backend, job, number, status)
    backend.jobs.transition(job, JobState.PARTIAL, among=OPEN, reason="no LLM")
    labels = {(make_unit(number), POSITIVE): 0 for number in range(4)}
    assert backend.jobs.reopen(job, labels, among=set(states) - {LabelStatus.DEAD}) == 3
    found = backend.jobs.get(job)
    assert found is not None
    assert found.state is JobState.RUNNING
    counts = found.counts
    assert (counts.ok, counts.no_signal, counts.dead, counts.failed) == (0, 0, 1, 0)
    assert backend.jobs.committed(job) == {(make_unit(2), POSITIVE): LabelStatus.DEAD}


def test_a_job_without_failed_labels_is_not_reopened(backend: JobBackend) -> None:
    job = put_up(backend)
    commit(backend, job, 0)
    backend.jobs.transition(job, JobState.SUCCEEDED, among=OPEN)
    assert backend.jobs.reopen(job, {(make_unit(0), POSITIVE): 0}) == 0
    assert backend.jobs.reopen("job_other", {(make_unit(0), POSITIVE): 0}) == 0
    assert backend.jobs.get(job).state is JobState.SUCCEEDED  # type: ignore[union-attr]


def test_an_ended_job_is_forgotten_with_all_that_was_kept_of_it(backend: JobBackend) -> None:
    job = backend.jobs.submit(make_service_job(1), key="k", body="b").id
    other = put_up(backend, 2)
    for owner in (job, other):
        backend.jobs.put_note(owner, COLLECTION, "col_1")
    backend.queue.set_items("col_1", Stage.COLLECT, 2)
    commit(backend, job, 0)
    assert not backend.jobs.forget(job), "it has not ended"
    backend.jobs.transition(job, JobState.SUCCEEDED, among=OPEN)
    assert backend.jobs.forget(job)
    assert not backend.jobs.forget(job)
    assert backend.jobs.get(job) is None
    assert [found.id for found in backend.jobs.find()] == [other]
    assert [found.id for found in backend.jobs.find(owner="ann")] == [other]
    assert (
        backend.jobs.committed(job),
        backend.jobs.events(job),
        backend.queue.items(job, Stage.PLAN),
    ) == ({}, [], [])
    assert backend.jobs.note(job, COLLECTION) is None
    assert backend.jobs.submitted("ann", "k") is None
    assert backend.jobs.submit(make_service_job(3), key="k", body="another").id != job
    assert not backend.jobs.forget_collection("col_1"), "another job needs it"
    backend.jobs.transition(other, JobState.CANCELLED, among=OPEN)
    assert backend.jobs.forget(other)
    assert backend.jobs.forget_collection("col_1")
    assert backend.queue.items("col_1", Stage.COLLECT) == []


def test_a_store_that_answers_has_no_jobs_before_the_first(backend: JobBackend) -> None:
    backend.jobs.ping()
    assert (backend.jobs.find(), backend.jobs.n_open()) == ([], 0)


def test_what_is_spent_in_one_call_counts_once_however_often_it_is_sent(
    redis_url: str,
) -> None:
    connection = RedisConnection(redis_url)
    backend = redis_backend(connection)
    job = put_up(backend)
    for mark, dollars in (("m1", "0.5"), ("m1", "0.5"), ("m2", "0.25")):
        keys = [job_key(job), f"autointerp:1:spent:{mark}"]
        connection.script(redis_scripts.SPEND, keys, [2, 100, dollars])
    found = backend.jobs.get(job)
    connection.close()
    assert found is not None
    assert (found.requests, found.tokens, found.usd) == (4, 200, 0.75)


def test_events_of_an_ended_job_expire_unless_it_is_tried_again(redis_url: str) -> None:
    connection = RedisConnection(redis_url)
    backend = redis_backend(connection)
    job = put_up(backend)

    def ttl() -> int:
        return connection.run(lambda client: client.ttl(events_key(job)))

    backend.jobs.transition(job, JobState.FAILED, among=OPEN, reason="no")
    assert 6 * 24 * 3600 < ttl() <= 7 * 24 * 3600
    backend.jobs.transition(job, JobState.RUNNING, among={JobState.FAILED})
    assert ttl() == -1
    connection.close()


def test_jobs_have_one_score_in_their_lists_as_those_of_earlier_versions(redis_url: str) -> None:
    connection = RedisConnection(redis_url)
    job = put_up(redis_backend(connection))
    lists = ("autointerp:1:jobs", "autointerp:1:jobs:ann")
    scores = [connection.run(lambda client, one=one: client.zscore(one, job)) for one in lists]
    connection.close()
    # A list is read by ids, which needs one score for all.
    assert scores == [0, 0]


def test_a_forgotten_job_leaves_nothing_in_redis(redis_url: str) -> None:
    connection = RedisConnection(redis_url)
    backend = redis_backend(connection)
    before = connection.run(lambda client: set(client.keys("*")))
    job = backend.jobs.submit(make_service_job(1), key="k", body="b").id
    backend.jobs.put_note(job, COLLECTION, "col_1")
    commit(backend, job, 0)
    backend.jobs.transition(job, JobState.CANCELLED, among=OPEN)
    assert backend.jobs.forget(job)
    left = connection.run(lambda client: set(client.keys("*"))) - before
    connection.close()
    # Moving a job leaves no marks but those in its own hash.
    assert left == set()


def test_a_summary_says_what_the_job_says_without_its_specification(backend: JobBackend) -> None:
    job = put_up(backend, units="5:" + "1,5:" * 400 + "7")
    backend.jobs.transition(job, JobState.RUNNING, among=OPEN)
    commit(backend, job, 1)
    backend.jobs.spend(job, requests=1, tokens=2, usd=0.5)
    whole, brief = backend.jobs.get(job), backend.jobs.summary(job)
    assert whole is not None
    assert brief == JobSummary.of(whole) == backend.jobs.find()[0]
    assert len(brief.asked.units) == 200
    assert backend.jobs.summary("job_other") is None


def test_jobs_that_have_not_ended_are_known_by_their_ids(backend: JobBackend) -> None:
    ids = [put_up(backend, number) for number in range(1, 5)]
    backend.jobs.transition(ids[2], JobState.FAILED, among=OPEN)
    assert backend.jobs.open_ids() == [ids[3], ids[1], ids[0]]
    found = backend.jobs.find(states={JobState.QUEUED}, before=ids[3], limit=1, owner="ann")
    assert [job.id for job in found] == [ids[1]]


def test_a_reason_without_end_is_cut(backend: JobBackend) -> None:
    job = put_up(backend)
    backend.jobs.transition(job, JobState.FAILED, among=OPEN, reason="no " * 500_000)
    found = backend.jobs.find()[0]
    assert found.reason is not None
    assert (len(found.reason), found.reason[:6], found.reason[-3:]) == (2_000, "no no ", "...")
