"""A submitted job whose budget does not reach all units: rules label what the LLM does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from fake_endpoint import FakeEndpoint
from faulty import answering
from memory_jobs import MemoryJobs
from worker_in_process import WorkerInProcess, tiny_spec

from autointerp.core.config import Budget
from autointerp.core.explanations import Label
from autointerp.core.job_state import JobCounts, JobState
from autointerp.jobs.worker.shared_budget import share_of
from autointerp.orchestration.schedule import STOPPED


def labels(room: WorkerInProcess) -> list[Label]:
    return list(room.stores.of("tiny").labels())


def test_what_the_budget_does_not_reach_is_labelled_by_rules(
    tmp_path: Path, model_folder: Path, texts: Path
) -> None:
    with FakeEndpoint(answering(0)) as endpoint:
        llm = {"llm_base_url": endpoint.base_url, "llm_model": "fake"}
        room = WorkerInProcess(tmp_path, model_folder, texts, **llm)
        job = room.submit(tiny_spec(texts, llm="default"), Budget(tokens=20_000))
        room.work()
        spent = sum(prompt + written for prompt, written in endpoint.charged)
    job = room.found(job.id)
    assert job.state is JobState.PARTIAL
    assert job.reason is not None
    assert "are labelled by rules" in job.reason
    assert job.counts.done == job.counts.total == len(labels(room)) == 6
    by_llm = [one for one in labels(room) if one.provenance.explainer_model]
    assert 0 < len(by_llm) < 6
    assert 0 < spent <= 20_000
    # With the same budget another try would reach no more.
    assert room.job_service.retry(job.id) == 0
    assert room.found(job.id).state is JobState.PARTIAL


class NotesAtLabels:
    """Jobs that keep what was noted of the budget when each label was committed."""

    def __init__(self, jobs: Any) -> None:
        self._jobs = jobs
        self.noted: list[str | None] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)

    def commit(self, job_id: str, *args: Any, **options: Any) -> Any:
        self.noted.append(self._jobs.note(job_id, STOPPED))
        return self._jobs.commit(job_id, *args, **options)


def test_why_rules_label_is_noted_before_they_do(
    tmp_path: Path, model_folder: Path, texts: Path
) -> None:
    """A worker that is killed between its last labels and the note leaves a partial job."""
    backend = MemoryJobs().backend
    jobs = NotesAtLabels(backend.jobs)
    with FakeEndpoint(answering(0)) as endpoint:
        llm = {"llm_base_url": endpoint.base_url, "llm_model": "fake"}
        watched = replace(backend, jobs=cast(Any, jobs))
        room = WorkerInProcess(tmp_path, model_folder, texts, backend=watched, **llm)
        room.submit(tiny_spec(texts, llm="default"), Budget(tokens=20_000))
        room.work()
    assert len(jobs.noted) == 6
    assert jobs.noted[0] is None
    assert "are labelled by rules" in (jobs.noted[-1] or "")


@pytest.mark.parametrize(
    ("order", "share"), [(None, 250), ("lookup", 250), ("random", 250), ("asked", 1000)]
)
def test_a_chunk_gets_its_share_of_what_is_left(
    tmp_path: Path, model_folder: Path, texts: Path, order: str | None, share: int
) -> None:
    room = WorkerInProcess(tmp_path, model_folder, texts)
    budget = Budget.model_validate({"tokens": 1500, "usd": 3.0, "order": order})
    submitted = room.submit(tiny_spec(texts), budget)
    job = replace(submitted, counts=JobCounts(total=256, ok=128), tokens=500, usd=1.0)
    found = share_of(job, 32)
    assert found.tokens == share
    assert found.usd == pytest.approx(2.0 * share / 1000)
    assert share_of(replace(job, tokens=1500), 32).tokens == 1
