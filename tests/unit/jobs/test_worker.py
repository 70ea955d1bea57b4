from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from damaged_rows import ROW_DAMAGES, all_stored_sets, stored_labels
from fake_endpoint import FakeEndpoint, Fault
from faulty import fail_at_first
from labelling import wait_until
from memory_jobs import MemoryJobs
from native_models import native_config, native_model, write_tl_folder
from worker_in_process import QUICK, WorkerInProcess, tiny_spec

from autointerp.core.config import Budget
from autointerp.core.errors import AutointerpError, StorageError, UpstreamError
from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side, UnitId
from autointerp.core.job_state import JobState, Stage, WorkItem
from autointerp.core.records import UnitSets
from autointerp.dictionary import row_json
from autointerp.jobs.worker import Worker
from autointerp.jobs.worker.attempt import Attempt, WorkAbandonedError
from autointerp.jobs.worker.chunk_file import ChunkRecords
from autointerp.jobs.worker.shared_cost_log import SharedCostLog
from autointerp.llm import ChatRequest
from autointerp.llm.cost_log import Spent
from autointerp.orchestration.plan import chunk_name, plan_name, required, summary_name
from autointerp.orchestration.schedule import ASKED_WITHOUT, LLM_AWAITED
from autointerp.store.artifacts import Artifacts
from autointerp.store.jobs import COLLECTION, Lease, WorkerRequest, WorkQueue
from autointerp.store.labels import LabelStores
from autointerp.store.labels.folder_stores import FolderLabelStores
from autointerp.subjects import SubjectModel


def yes(_request: ChatRequest) -> str:
    return "yes"


def words_of_water(request: ChatRequest) -> str:
    """An explanation where one is asked for, else that no word is active."""
    n = request.messages[-1].content.count("\n") - 1
    if "explanation" in request.messages[-1].content:
        return '{"explanation": "words of water"}'
    return json.dumps({"windows": [[] for _ in range(n)]})


OF_WATER = {
    "explain": {"explainers": ["token_activation"]},
    "score": {"scorers": ["simulation_words"]},
}


def test_two_jobs_on_the_same_text_share_a_collection(room: WorkerInProcess, texts: Path) -> None:
    first, second = room.submit(tiny_spec(texts)), room.submit(tiny_spec(texts, seed=5))
    done = room.work()
    assert [item.stage for item in done].count(Stage.COLLECT) == 1
    jobs = [room.backend.jobs.get(job.id) for job in (first, second)]
    assert {job.state for job in jobs if job} == {JobState.SUCCEEDED}
    third = room.finished(tiny_spec(texts, seed=6))
    assert third.state is JobState.SUCCEEDED


def test_a_summary_that_was_removed_is_collected_again(room: WorkerInProcess, texts: Path) -> None:
    first = room.finished(tiny_spec(texts))
    collection = room.backend.jobs.note(first.id, COLLECTION)
    assert collection is not None
    room.artifacts.delete(summary_name(collection))
    again = room.finished(tiny_spec(texts, seed=1))
    assert again.state is JobState.SUCCEEDED
    assert room.backend.jobs.note(again.id, COLLECTION) == f"{collection}.1"


def test_a_collection_is_read_at_the_hook_points_it_was_planned_for(
    tmp_path: Path, texts: Path
) -> None:
    """As when an earlier version, which read all models at hook_post, has planned it."""
    model = write_tl_folder(tmp_path / "solu", native_config(), native_model())
    room = WorkerInProcess(tmp_path, model, texts)
    job = room.submit(tiny_spec(texts, units="blocks.0.mlp.hook_post:0-2"))
    room.work(most=1)
    collection = room.backend.jobs.note(job.id, COLLECTION)
    assert collection is not None
    asked = json.loads(required(room.artifacts, plan_name(collection)))
    asked["units"] = "0:0-2"
    room.artifacts.put_bytes(plan_name(collection), json.dumps(asked).encode())
    room.work()
    assert room.found(job.id).state is JobState.SUCCEEDED
    usual = room.finished(tiny_spec(texts, units="0:0-2"))
    assert usual.state is JobState.SUCCEEDED
    hooks = {label.unit.hook for label in room.stores.of("tiny").labels()}
    assert hooks == {"blocks.0.mlp.hook_post", "blocks.0.mlp.hook_mid"}


@pytest.mark.parametrize(("reply", "state"), [(yes, "failed"), (words_of_water, "succeeded")])
def test_a_job_says_that_every_question_failed_though_rules_stand_in(
    tmp_path: Path,
    model_folder: Path,
    texts: Path,
    reply: Callable[[ChatRequest], str],
    state: str,
) -> None:
    with FakeEndpoint(reply) as endpoint:
        endpoint.dress = lambda body: Fault(400) if "seed" in body else None
        llm = {"llm_base_url": endpoint.base_url, "llm_model": "fake"}
        room = WorkerInProcess(tmp_path, model_folder, texts, **llm)
        explainers = ["token_activation", "token_lookup"]
        more = {"explain": {"explainers": explainers}, "score": {"scorers": ["simulation_words"]}}
        job = room.finished(tiny_spec(texts, llm="default", **more))
        assert job.state == state
        assert (job.reason or "").startswith(
            "every question to the LLM failed; the first: token_activation answer 0: "
        ) == (state == "failed")
        assert room.backend.jobs.note(job.id, ASKED_WITHOUT) == '["seed"]'
        n_ok = job.counts.ok
        assert n_ok
        # What rules stand in for is asked again, and nothing else.
        endpoint.handler = words_of_water
        assert room.job_service.retry(job.id) == (n_ok if state == "failed" else 0)
        room.work()
        assert room.found(job.id).state is JobState.SUCCEEDED
        assert room.found(job.id).counts.ok == n_ok


def test_a_try_that_failed_leaves_a_label_of_a_newer_version_and_its_records(
    tmp_path: Path, model_folder: Path, texts: Path
) -> None:
    def in_files(_artifacts: Artifacts) -> LabelStores:
        return FolderLabelStores(tmp_path / "labels", row_json)

    with FakeEndpoint(yes) as endpoint:
        llm = {"llm_base_url": endpoint.base_url, "llm_model": "fake"}
        room = WorkerInProcess(tmp_path, model_folder, texts, stores=in_files, **llm)
        assert room.finished(tiny_spec(texts)).state is JobState.SUCCEEDED
        labels = stored_labels(tmp_path / "labels" / "tiny")
        for row in labels:
            row.damage(ROW_DAMAGES["newer"])
        before = {r: r.content for r in (*labels, *all_stored_sets(tmp_path / "labels" / "tiny"))}
        job = room.finished(tiny_spec(texts, llm="default", **OF_WATER))
    assert (job.counts.failed, len(before)) == (6, 12)
    assert {row: row.content for row in before} == before


class ForgetfulJobs(MemoryJobs):
    """A store that is away whenever the worker would note what the LLM did not take."""

    def __init__(self, error: AutointerpError, *, most: int) -> None:
        super().__init__()
        self._error, self._left = error, most

    def put_note(self, owner: str, name: str, text: str) -> None:
        if name == ASKED_WITHOUT and self._left:
            self._left -= 1
            raise self._error
        super().put_note(owner, name, text)


@pytest.mark.parametrize(
    "error", [UpstreamError("Redis is away", retryable=True), StorageError("the disk is full")]
)
@pytest.mark.parametrize("most", [1, 100])
def test_a_note_of_what_the_llm_took_that_cannot_be_stored_loses_no_label(
    tmp_path: Path, model_folder: Path, texts: Path, error: AutointerpError, most: int
) -> None:
    with FakeEndpoint(words_of_water) as endpoint:
        endpoint.dress = lambda body: Fault(400) if "seed" in body else None
        jobs = ForgetfulJobs(error, most=most)
        llm = {"llm_base_url": endpoint.base_url, "llm_model": "fake"}
        room = WorkerInProcess(tmp_path, model_folder, texts, backend=jobs.backend, **llm)
        job = room.finished(tiny_spec(texts, llm="default", **OF_WATER))
        asked = [json.dumps(body) for body in endpoint.bodies]
    assert (job.state, job.counts.total) == (JobState.SUCCEEDED, 6), job.reason
    assert len(asked) == len(set(asked))


def test_what_the_llm_was_asked_without_is_remembered_where_no_file_can_be(
    tmp_path: Path, model_folder: Path, texts: Path
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "capabilities").write_text("a file where the folder should be")
    with FakeEndpoint(words_of_water) as endpoint:
        endpoint.dress = lambda body: Fault(400) if "seed" in body else None
        llm = {"llm_base_url": endpoint.base_url, "llm_model": "fake"}
        room = WorkerInProcess(tmp_path, model_folder, texts, **llm)
        job = room.finished(tiny_spec(texts, llm="default", **OF_WATER))
        n_probes = len(endpoint.probes)
    assert job.state is JobState.SUCCEEDED, job.reason
    assert room.backend.jobs.note(job.id, ASKED_WITHOUT) == '["seed"]'
    assert 0 < n_probes <= 10


def test_a_job_notes_that_the_llm_was_waited_for(
    tmp_path: Path, model_folder: Path, texts: Path
) -> None:
    with FakeEndpoint(words_of_water) as endpoint:
        fail_at_first(endpoint, Fault(500), times=2)
        llm = {"llm_base_url": endpoint.base_url, "llm_model": "fake"}
        room = WorkerInProcess(tmp_path, model_folder, texts, **llm)
        job = room.finished(tiny_spec(texts, llm="default", **OF_WATER))
    assert job.state is JobState.SUCCEEDED, job.reason
    said = room.backend.jobs.note(job.id, LLM_AWAITED)
    assert said is not None
    assert said.startswith(f"the LLM at {endpoint.base_url} answered 500; it is asked again, for")


@pytest.mark.parametrize("sides", ["stronger", "both"])
def test_a_chunk_is_the_same_behind_its_file(
    room: WorkerInProcess, texts: Path, sides: str
) -> None:
    explain = {"explainers": ["contrastive", "clusters", "token_lookup"]}
    more = {"explain": explain, "sides": sides, "llm": "embedded"}
    job = room.submit(tiny_spec(texts, **more))
    wait = {Stage.PLAN, Stage.COLLECT, Stage.MERGE, Stage.RECORDS}
    while room.sent[0].stage in wait:
        room.work(most=1)
    name = chunk_name(job.id, 0)
    data = room.artifacts.get_bytes(name)
    assert data is not None
    chunk = ChunkRecords.from_bytes(data, where=name)
    assert chunk.to_bytes() == data
    assert len(chunk.units) == (6 if sides == "stronger" else 12)
    assert all(case.negatives for case in chunk.units if case.dead is None)
    assert all(case.sets.explain.contexts for case in chunk.units if case.dead is None)
    with pytest.raises(StorageError, match="is damaged"):
        ChunkRecords.from_bytes(data[:-100], where=name)


def test_a_lost_chunk_is_read_again(room: WorkerInProcess, texts: Path) -> None:
    job = room.submit(tiny_spec(texts))
    while room.sent[0].stage is not Stage.LABEL:
        room.work(most=1)
    room.artifacts.delete(chunk_name(job.id, 0))
    room.work()
    found = room.backend.jobs.get(job.id)
    assert found is not None
    assert found.state is JobState.SUCCEEDED


@pytest.mark.parametrize("stage", [Stage.COLLECT, Stage.LABEL])
def test_what_fails_each_time_is_parked_after_three_tries(
    room: WorkerInProcess, texts: Path, stage: Stage
) -> None:
    job = room.submit(tiny_spec(texts))
    while room.sent[0].stage is not stage:
        room.work(most=1)
    item = room.sent[0]
    for _ in range(3):
        lease = room.backend.queue.take(item, "one that dies", ttl_s=60)
        assert lease is not None
        room.backend.queue.release(lease, done=False)
    room.work()
    found = room.backend.jobs.get(job.id)
    assert found is not None
    if stage is Stage.COLLECT:
        assert found.state is JobState.FAILED
        assert found.reason == ("collect 0 was tried 3 times; its worker died or hung each time")
    else:
        assert (found.state, found.counts.failed) == (JobState.FAILED, 6)
        assert found.reason == (
            f"6 of 6 labels failed: {stage} 0 was tried 3 times; its worker died or hung each time"
        )
    assert room.job_service.retry(job.id) == 6
    room.work()
    again = room.backend.jobs.get(job.id)
    assert again is not None
    assert (again.state, again.counts.ok) == (JobState.SUCCEEDED, 6), again.reason


def test_a_job_of_too_many_units_fails_with_the_sentence(
    tmp_path: Path, model_folder: Path, texts: Path
) -> None:
    room = WorkerInProcess(tmp_path, model_folder, texts, limits_units=5)
    job = room.finished(tiny_spec(texts))
    assert job.state is JobState.FAILED
    assert job.reason is not None
    assert "are 6; a job here has at most 5" in job.reason


def test_a_budget_holds_over_all_workers(room: WorkerInProcess, texts: Path) -> None:
    job = room.submit(tiny_spec(texts))
    cost_log = SharedCostLog(room.backend.jobs, job, moved=lambda: None)
    other = SharedCostLog(room.backend.jobs, job, moved=lambda: None)
    worst = Spent(1, 0, 40, 0, 20, Decimal("0.1"))
    first = cost_log.begin_within("a", worst, tokens=100, usd=1.0)
    assert first is not None
    assert other.begin_within("b", worst, tokens=100, usd=1.0) is None
    cost_log.end_call(first, Spent(1, 0, 10, 0, 5, Decimal("0.01")))
    assert other.begin_within("b", worst, tokens=100, usd=1.0) is not None
    found = room.backend.jobs.get(job.id)
    assert found is not None
    assert (found.requests, found.tokens, found.usd) == (2, 75, pytest.approx(0.11))


def test_many_threads_that_spend_stay_within_the_limit(room: WorkerInProcess, texts: Path) -> None:
    job = room.submit(tiny_spec(texts), Budget(tokens=1000))
    worst = Spent(1, 0, 90, 0, 10, Decimal(0))
    passed: list[int] = []

    def spend() -> None:
        cost_log = SharedCostLog(room.backend.jobs, job, moved=lambda: None)
        for number in range(20):
            if cost_log.begin_within(str(number), worst, tokens=1000, usd=None) is not None:
                passed.append(number)

    threads = [threading.Thread(target=spend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = room.backend.jobs.get(job.id)
    assert found is not None
    assert found.tokens == 100 * len(passed) <= 1000


def test_work_that_does_not_move_is_let_go_of(room: WorkerInProcess, texts: Path) -> None:
    job = room.submit(tiny_spec(texts))
    item = WorkItem(job.id, Stage.PLAN, 0)
    lease = room.backend.queue.take(item, "one", ttl_s=60)
    assert lease is not None
    times = replace(QUICK, stall_s=0.2)
    with Attempt(
        room.backend.queue, lease, times=times, should_stop=lambda: None, between_steps=list
    ) as attempt:
        wait_until(lambda: attempt.stop_reason is not None)
        assert attempt.stalled
        with pytest.raises(WorkAbandonedError, match="nothing was finished"):
            attempt.step()


class Patient:
    """Leases that hold longer than is asked for; notes when they were renewed."""

    def __init__(self, queue: WorkQueue) -> None:
        self._queue = queue
        self.renewed: list[tuple[float, float]] = []

    def renew(self, lease: Lease, *, ttl_s: float) -> bool:
        self.renewed.append((time.monotonic(), ttl_s))
        return self._queue.renew(lease, ttl_s=60)


def test_a_lease_is_kept_while_work_moves_and_lost_work_stops(
    room: WorkerInProcess, texts: Path
) -> None:
    job = room.submit(tiny_spec(texts))
    item = WorkItem(job.id, Stage.PLAN, 0)
    lease = room.backend.queue.take(item, "one", ttl_s=60)
    assert lease is not None
    times, patient = replace(QUICK, lease_s=0.5), Patient(room.backend.queue)
    with Attempt(
        patient, lease, times=times, should_stop=lambda: None, between_steps=list
    ) as attempt:
        while len(patient.renewed) < 8:
            attempt.step()
            time.sleep(0.02)
        assert room.backend.queue.items(job.id, Stage.PLAN)[0].held_by == "one"
        room.backend.queue.reset([item])
        wait_until(lambda: attempt.stop_reason is not None)
    assert attempt.stop_reason == "its lease was lost"
    moments = [moment for moment, _ in patient.renewed]
    # In time each time, but for moments in which the machine stands still.
    assert min(later - one for one, later in pairwise(moments)) < 0.5 / 2
    assert {ttl_s for _, ttl_s in patient.renewed} == {0.5}


def test_workers_that_were_asked_to_stop_do_not_count_as_tries_in_vain(
    room: WorkerInProcess, texts: Path
) -> None:
    job = room.submit(tiny_spec(texts))
    for number in range(5):
        stopping = Worker(room.dependencies, name=f"stopping {number}")
        stopping.close()
        stopping.do(WorkItem(job.id, Stage.PLAN, 0))
        assert not room.backend.queue.items(job.id, Stage.PLAN)[0].done
    room.work()
    found = room.backend.jobs.get(job.id)
    assert found is not None
    assert found.state is JobState.SUCCEEDED


def ask(room: WorkerInProcess, question: str, kind: str, **payload: str) -> None:
    text = json.dumps([kind, json.dumps(payload)])
    room.backend.mailbox.send("activations", question, text, ttl_s=60)


def reply_to(room: WorkerInProcess, question: str) -> str | None:
    return room.backend.mailbox.await_reply(question, wait_s=0)


def test_questions_are_answered_and_wrong_ones_say_why(room: WorkerInProcess) -> None:
    ask(room, "q1", "activations", model="tiny", units="0:0", text="the river")
    ask(room, "q2", "activations", model="tiny", units="9:0", text="the river")
    ask(room, "q3", "activations", model="/etc", units="0:0", text="the river")
    ask(room, "q4", "nothing")
    room.worker.reply_to_waiting("activations")
    assert '"tokens": ["the", " river"]' in str(reply_to(room, "q1"))
    replies = [str(reply_to(room, q)) for q in ("q2", "q3", "q4")]
    assert all('"code": "input"' in reply for reply in replies)
    assert "there is no layer 9" in replies[0]


def test_more_units_than_an_answer_may_hold_are_refused_where_they_are_counted(
    room: WorkerInProcess,
) -> None:
    widths = {"hook_resid_pre": 16, "hook_resid_mid": 16, "hook_resid_post": 16}
    widths |= {"hook_mlp_out": 16, "mlp.hook_pre": 24, "mlp.hook_post": 24}
    hooks = [f"blocks.{i}.{hook}:0-{n - 1}" for i in range(3) for hook, n in widths.items()]
    ask(room, "few", "activations", model="tiny", units=",".join(hooks[:12]), text="the river")
    ask(room, "many", "activations", model="tiny", units=",".join(hooks), text="the river")
    room.worker.reply_to_waiting("activations")
    assert '"tokens"' in str(reply_to(room, "few"))
    assert "336 units were asked for, at most 256" in str(reply_to(room, "many"))


def test_questions_are_answered_between_two_steps_of_work(
    room: WorkerInProcess, texts: Path
) -> None:
    room.submit(tiny_spec(texts))
    ask(room, "same", "activations", model="tiny", units="0:0", text="the river")
    ask(room, "other", "activations", model="tiny", dtype="bfloat16", units="0:0", text="the river")
    assert room.work(most=1)[0].stage is Stage.PLAN
    assert '"tokens"' in str(reply_to(room, "same"))
    # It would have cost the job its model.
    assert reply_to(room, "other") is None
    room.work()
    assert reply_to(room, "other") is None
    room.worker.reply_to_waiting("activations")
    assert '"tokens"' in str(reply_to(room, "other"))


@pytest.mark.parametrize("error", [UpstreamError("away", retryable=True), StorageError("full")])
def test_work_goes_on_where_no_question_can_be_taken(
    tmp_path: Path, model_folder: Path, texts: Path, error: AutointerpError
) -> None:
    class Away(MemoryJobs):
        n_asked = 0

        def next_request(self, queue: str, *, wait_s: float = 0) -> WorkerRequest | None:
            self.n_asked += 1
            raise error

    memory = Away()
    room = WorkerInProcess(tmp_path / "room", model_folder, texts, backend=memory.backend)
    job = room.finished(tiny_spec(texts))
    assert (job.state, job.counts.ok) == (JobState.SUCCEEDED, 6), job.reason
    assert memory.n_asked > 0
    states = [s for stage in Stage for s in memory.items(job.id, stage)]
    assert {state.attempts for state in states} == {1}


def test_a_question_that_breaks_a_worker_is_answered_too(
    room: WorkerInProcess, tmp_path: Path
) -> None:
    def broken(name: str, dtype: str) -> SubjectModel:
        raise ZeroDivisionError(name + dtype)

    worker = Worker(replace(room.dependencies, load_subject=broken), name="broken")
    ask(room, "q", "activations", model="tiny", units="0:0", text="the river")
    worker.reply_to_waiting("activations")
    assert "a worker failed: ZeroDivisionError" in str(reply_to(room, "q"))


def test_labels_of_a_job_have_their_records_in_the_store(
    room: WorkerInProcess, texts: Path
) -> None:
    job = room.finished(tiny_spec(texts))
    store = room.stores.of("tiny")
    assert job.counts.ok == 6
    for (unit, side), status in room.backend.jobs.committed(job.id).items():
        assert status is LabelStatus.OK
        assert isinstance(store.get_sets(unit, side), UnitSets)
    assert store.count() == 6
    assert store.get_label(UnitId("tiny", "blocks.2.mlp.hook_post", 0), Side.POSITIVE) is None
