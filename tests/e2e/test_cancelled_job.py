"""A job that is cancelled while it is labelled, where another job failed at some of its units."""

from __future__ import annotations

import time
from pathlib import Path

from fake_endpoint import FakeEndpoint, Fault, status
from held_requests import HeldRequests
from labelling import wait_until
from planted_llm import noise
from service import Service
from service_jobs import SEVERAL_CHUNKS, has_labels, paid_twice, slowly
from worker_in_process import tiny_spec

from autointerp.core.job_state import JobState


def test_a_cancelled_job_stops_soon_keeps_what_is_done_and_goes_on_when_retried(
    model_folder: Path, texts: Path, tmp_path: Path
) -> None:
    with FakeEndpoint(noise(0)) as llm:
        settings = {
            "models": f"tiny={model_folder}",
            "folders": texts.parent,
            "llm_base_url": llm.base_url,
            "llm_model": "fake",
            "llm_max_in_flight": 4,
        }
        with Service(tmp_path / "service", settings) as service:
            _fail_at_some(service, llm, texts)
            _cancel_and_retry(service, llm, texts)


def _fail_at_some(service: Service, llm: FakeEndpoint, texts: Path) -> None:
    """Another job, whose labels say nothing of what this one has asked."""

    def refuse_some(body: dict[str, object], good: Fault) -> Fault:
        return status(400, "no") if "numbers" not in str(body) and len(str(body)) % 3 else good

    llm.disturb = refuse_some
    more = {"explain": {"explainers": ["token_activation"]}, "seed": 9}
    job = service.ended(service.submit(tiny_spec(texts, llm="default", **more)).id)
    assert job.counts.failed > 0
    llm.disturb = lambda _, good: good


def _cancel_and_retry(service: Service, llm: FakeEndpoint, texts: Path) -> None:
    llm.answered.clear()
    slowly(llm, 0.1)
    jobs: list[str] = []
    held = HeldRequests(llm, hold_when=lambda: any(has_labels(service, job_id) for job_id in jobs))
    # More units than one chunk: the requests of the second come when the first has its labels.
    spec = tiny_spec(texts, llm="default", units=SEVERAL_CHUNKS, seed=8)
    job = service.submit(spec)
    jobs.append(job.id)
    wait_until(lambda: has_labels(service, job.id), said=service.said)
    service.job_service.cancel(job.id)
    # The worker asks 1.6 times a second whether it should go on; the last units wait for longer.
    time.sleep(2)
    held.release()
    ended = service.ended(job.id)
    assert ended.state is JobState.CANCELLED
    assert 0 < ended.counts.done < 66
    assert service.job_service.cancel(job.id).state is JobState.CANCELLED
    llm.handler = noise(0)
    assert service.job_service.retry(job.id) == 66 - ended.counts.done
    again = service.ended(job.id)
    assert (again.state, again.counts.done) == (JobState.SUCCEEDED, 66), again.reason
    assert paid_twice(llm) == 0
