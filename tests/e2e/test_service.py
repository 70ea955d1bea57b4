"""Jobs through real Celery workers and a real Valkey: done, killed, tried again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_endpoint import FakeEndpoint, Fault, status
from held_requests import HeldRequests
from labelling import wait_until
from planted_llm import noise
from service import Service
from service_jobs import SEVERAL_CHUNKS, has_labels, paid_twice, slowly
from worker_in_process import tiny_spec

from autointerp.core.config import JobSpec
from autointerp.core.explanations import Label
from autointerp.core.job_state import JobState, Stage, WorkItem
from autointerp.core.progress import SilentProgress
from autointerp.llm import ChatReply, ChatRequest
from autointerp.settings import Settings
from autointerp.wiring.runs import run_job

AT_ONCE = 4


@pytest.fixture(scope="module")
def llm() -> Iterator[FakeEndpoint]:
    with FakeEndpoint(noise(0)) as running:
        yield running


@pytest.fixture(scope="module")
def service(
    model_folder: Path, texts: Path, llm: FakeEndpoint, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    settings = {
        "models": f"tiny={model_folder}",
        "folders": texts.parent,
        "llm_base_url": llm.base_url,
        "llm_model": "fake",
        "llm_max_in_flight": AT_ONCE,
    }
    with Service(tmp_path_factory.mktemp("service"), settings) as running:
        yield running


def in_process(spec: JobSpec, model: Path, llm: str, folder: Path) -> tuple[Label, ...]:
    named = spec.model_copy(update={"subject": str(model), "llm": llm, "llm_model": "fake"})
    settings = Settings(cache_dir=folder / "cache")
    outcome = run_job(
        named, out=folder / "run", resume=False, settings=settings, progress=SilentProgress()
    )
    return outcome.labels


@pytest.mark.parametrize("llm_name", ["none", "default"])
def test_a_job_gives_the_labels_of_a_run_in_one_process(
    service: Service,
    llm: FakeEndpoint,
    model_folder: Path,
    texts: Path,
    tmp_path: Path,
    llm_name: str,
) -> None:
    spec = tiny_spec(texts, llm=llm_name)
    job = service.ended(service.submit(spec).id)
    assert (job.state, job.counts.done) == (JobState.SUCCEEDED, 6), job.reason
    url = "none" if llm_name == "none" else llm.base_url
    labels = in_process(spec, model_folder, url, tmp_path)
    store = service.backends.stores.of("tiny")
    assert [store.get_label(label.unit, label.side) for label in labels] == list(labels)


def test_windows_that_a_worker_held_when_it_died_are_run_by_another_and_labels_are_the_same(
    service: Service, model_folder: Path, texts: Path, tmp_path: Path
) -> None:
    spec = tiny_spec(texts, units=SEVERAL_CHUNKS, seed=11, collect={"batch_windows": 8})
    service.kill("activations")
    job = service.submit(spec)
    queue = service.backend.queue
    # Whoever creates items first decides how many there are.
    queue.set_items(job.id, Stage.WINDOWS, 3)
    assert queue.take(WorkItem(job.id, Stage.WINDOWS, 1), "one that is dead", ttl_s=8)
    service.start("activations")
    ended = service.ended(job.id)
    assert (ended.state, ended.counts.done) == (JobState.SUCCEEDED, 66), ended.reason
    assert [state.attempts for state in queue.items(job.id, Stage.WINDOWS)] == [1, 2, 1]
    labels = in_process(spec, model_folder, "none", tmp_path)
    store = service.backends.stores.of("tiny")
    assert [store.get_label(label.unit, label.side) for label in labels] == list(labels)
    left = (service.folder / "artifacts" / "jobs" / job.id).iterdir()
    assert [path.name for path in left] == ["plan.json"]


def test_killed_workers_lose_nothing_and_no_reply_is_paid_twice(
    service: Service, llm: FakeEndpoint, texts: Path
) -> None:
    llm.answered.clear()
    slowly(llm, 0.02)
    jobs: list[str] = []
    held = HeldRequests(llm, hold_when=lambda: any(has_labels(service, job_id) for job_id in jobs))
    spec = tiny_spec(texts, llm="default", units=SEVERAL_CHUNKS, seed=7)
    job = service.submit(spec)
    jobs.append(job.id)
    wait_until(
        lambda: service.is_held(job.id, Stage.PLAN) or has_labels(service, job.id),
        said=service.said,
    )
    service.kill("activations")
    service.start("activations")
    wait_until(lambda: has_labels(service, job.id), said=service.said)
    # As many as may be are on their way, and every reply that came before them is kept.
    wait_until(lambda: llm.in_flight == AT_ONCE, said=service.said)
    service.kill("labels")
    llm.handler = noise(0)
    held.release()
    llm.until_quiet()
    service.start("labels")
    ended = service.ended(job.id)
    assert (ended.state, ended.counts.done) == (JobState.SUCCEEDED, 66), service.said()
    events = [e for e in service.backend.jobs.events(job.id) if e.kind == "label"]
    assert len({(e.data["unit"], e.data["side"]) for e in events}) == len(events) == 66
    # What was on its way when whoever asked died was answered to nobody.
    assert paid_twice(llm) <= AT_ONCE
    assert not list((service.folder / "artifacts" / "jobs" / job.id).glob("chunk-*"))


def test_questions_are_answered_while_a_chunk_is_labelled(
    service: Service, llm: FakeEndpoint, texts: Path
) -> None:
    first = service.ended(service.submit(tiny_spec(texts)).id)
    unit, side = next(iter(service.backend.jobs.committed(first.id)))
    guess, are_answered = noise(0), threading.Event()

    def answer(request: ChatRequest) -> str | ChatReply | Exception:
        # The chunk takes its time until the questions are answered, and moves all the same.
        if "words of water" not in str(request.messages):
            are_answered.wait(0.5)
        return guess(request)

    llm.handler = answer
    job = service.submit(tiny_spec(texts, llm="default", units="0:0-11,1:0-11", seed=10))
    wait_until(lambda: service.is_held(job.id, Stage.LABEL), said=service.said)
    asked = {"unit": str(unit), "side": side.value, "text": "words of water", "llm": "default"}
    reply = service.job_service.call_worker("explanation", asked, wait_s=60)
    text = {"model": "tiny", "units": "0:0", "text": "the river"}
    activations = service.job_service.call_worker("activations", text, wait_s=60)
    assert not service.job(job.id).state.is_final
    assert reply is not None, service.said()
    assert [result["scorer"] for result in reply["results"]] == ["simulation_senses"]
    assert activations is not None, service.said()
    assert activations["tokens"] == ["the", " river"]
    llm.handler = noise(0)
    assert service.ended(job.id).state is JobState.SUCCEEDED


def test_units_that_failed_are_tried_again_and_only_they(
    service: Service, llm: FakeEndpoint, texts: Path
) -> None:
    def refuse_some(body: dict[str, object], good: Fault) -> Fault:
        return status(400, "no") if "numbers" not in str(body) and len(str(body)) % 3 else good

    llm.handler, llm.disturb = noise(0), refuse_some
    more = {"explain": {"explainers": ["token_activation"]}, "seed": 9}
    job = service.ended(service.submit(tiny_spec(texts, llm="default", **more)).id)
    assert job.state is JobState.PARTIAL
    assert job.counts.failed > 0
    assert job.reason is not None
    assert "labels failed" in job.reason
    llm.disturb = lambda _, good: good
    assert service.job_service.retry(job.id) == job.counts.failed
    again = service.ended(job.id)
    assert (again.state, again.counts.failed, again.generation) == (JobState.SUCCEEDED, 0, 1)
    assert again.counts.done == 6
    assert service.job_service.retry(job.id) == 0


def test_a_job_that_cannot_be_done_fails_with_the_sentence(service: Service, texts: Path) -> None:
    job = service.ended(service.submit(tiny_spec(texts, units="7:0")).id)
    assert job.state is JobState.FAILED
    assert job.reason == "tiny has layers 0 to 2; there is no layer 7 for blocks.7.mlp.hook_post"
