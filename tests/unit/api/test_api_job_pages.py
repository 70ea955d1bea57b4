"""The start and the page of a job: what they show of jobs, and what to do where nothing goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from api_service import HEADERS, JOB, READ, Service, make_service, say_alive
from factories import make_unit
from memory_jobs import MemoryJobs
from starlette.testclient import TestClient
from typing_extensions import override

from autointerp.api import KeyRing
from autointerp.api.routes.html_pages import HTML
from autointerp.core.config import Budget, JobSpec
from autointerp.core.errors import UpstreamError
from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side
from autointerp.core.job_state import Job, JobState
from autointerp.core.llm_providers import Provider
from autointerp.orchestration.schedule import LLM_AWAITED

SPEC = JobSpec(subject="tiny", units="5:0-9", llm="none")
REASON = "refused: <b>the filter</b> would not answer"


@pytest.fixture
def client(service: Service) -> Iterator[TestClient]:
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        yield client


def submitted(client: TestClient, **further: object) -> str:
    return str(client.post("/v1/jobs", json={**JOB, **further}).json()["id"])


def run(service: Service, job: str, *, n_failed: int = 2, n: int = 7, total: int = 10) -> None:
    """Labels of the first units of a job, of which some failed."""
    jobs = service.backend.jobs
    jobs.transition(job, JobState.RUNNING, among={JobState.QUEUED})
    jobs.set_total(job, total)
    for i in range(n):
        unit, failed = make_unit(i), i < n_failed
        status = LabelStatus.FAILED if failed else LabelStatus.OK
        told = {"unit": str(unit), "side": "positive", "status": status.value}
        told |= {"reason": REASON if failed else None, "score": None if failed else 0.4}
        told["description"] = None if failed else f"names of <i>rivers</i> {i}"
        jobs.commit(job, unit, Side.POSITIVE, status, summary=json.dumps(told))


def test_the_start_lists_jobs_with_progress_and_money(service: Service, client: TestClient) -> None:
    job = submitted(client, llm="embedded", budget_usd=2)
    run(service, job)
    service.backend.jobs.spend(job, requests=3, tokens=900, usd=0.0123)
    text = client.get("/").text
    assert f'href="/jobs/{job}"' in text
    for part in ("running", 'value="70"', "7 of 10", "$0.0123 of $2"):
        assert part in text


def test_the_form_offers_what_the_server_allows(tmp_path: Path) -> None:
    provider = Provider(base_url="https://secret.example/v1", models=("big-model",))
    service = make_service(tmp_path, providers={"embedded": provider})
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        text = client.get("/").text
    for part in (
        "<option>smollm2-135m</option>",
        "<option>wiki</option>",
        'value="none"',
        "senses",
    ):
        assert part in text
    assert "secret.example" not in text


def test_where_no_worker_is_connected_the_commands_that_start_them_are_told(
    service: Service, client: TestClient
) -> None:
    command = "python -m autointerp.workers labels"
    assert command not in client.get("/").text
    job = submitted(client)
    assert command in client.get("/").text
    assert command in client.get(f"/jobs/{job}").text
    say_alive(service.backend)
    assert command not in client.get("/").text
    assert command not in client.get(f"/jobs/{job}").text


def test_a_job_is_shown_with_its_counts_labels_and_failures_by_sentence(
    service: Service, client: TestClient
) -> None:
    job = submitted(client)
    run(service, job)
    text = client.get(f"/jobs/{job}").text
    assert "7 of 10 labels" in text
    assert "2 labels: refused: &lt;b&gt;the filter" in text
    assert 'href="/models/tiny/units/blocks.5.mlp.hook_post/0"' in text
    assert "names of &lt;i&gt;rivers&lt;/i&gt; 6" in text
    assert 'href="/models/tiny"' in text
    assert f'data-post="/v1/jobs/{job}/cancel"' in text
    assert "/retry" not in text.partition("noscript")[0]


def test_an_ended_job_says_why_and_can_be_run_again(service: Service, client: TestClient) -> None:
    job = submitted(client)
    run(service, job, n=10)
    service.backend.jobs.transition(
        job, JobState.PARTIAL, among={JobState.RUNNING}, reason="2 of 10 labels failed"
    )
    text = client.get(f"/jobs/{job}").text
    assert "done in part" in text
    assert "2 of 10 labels failed" in text
    assert f'data-post="/v1/jobs/{job}/retry"' in text
    assert "data-open" not in text


def test_a_label_that_was_made_again_counts_as_it_ended(
    service: Service, client: TestClient
) -> None:
    job = submitted(client)
    run(service, job, n_failed=1, n=1, total=1)
    jobs = service.backend.jobs
    jobs.transition(job, JobState.PARTIAL, among={JobState.RUNNING}, reason="1 of 1 failed")
    jobs.reopen(job, {(make_unit(0), Side.POSITIVE): 0}, among={LabelStatus.FAILED})
    jobs.transition(job, JobState.RUNNING, among={JobState.PARTIAL})
    run(service, job, n_failed=0, n=1, total=1)
    text = client.get(f"/jobs/{job}").text
    assert "What failed" not in text
    assert "rivers" in text


def test_why_the_llm_is_waited_for_is_told(service: Service, client: TestClient) -> None:
    job = submitted(client, llm="embedded")
    service.backend.jobs.put_note(job, LLM_AWAITED, "it answers 429 until 12:00")
    assert "it answers 429 until 12:00" in client.get(f"/jobs/{job}").text


@pytest.mark.parametrize("job", ["job_none", "x", "job_%3Cb%3E"])
def test_a_job_that_is_not_there_is_told_on_a_page(client: TestClient, job: str) -> None:
    answer = client.get(f"/jobs/{job}")
    assert answer.status_code == 404
    assert "There is no job of that id." in answer.text


def test_who_may_only_read_sees_jobs_and_no_buttons(tmp_path: Path) -> None:
    keys = KeyRing.of([f"viewer:read:{hashlib.sha256(READ.encode()).hexdigest()}"])
    service = make_service(tmp_path, keys=keys)
    job = service.app.state.app_state.job_service.submit(SPEC, Budget(), owner="somebody")
    with TestClient(service.app, headers={"x-api-key": READ}) as client:
        start, page = client.get("/").text, client.get(f"/jobs/{job.id}").text
    assert "lacks the scope <code>submit</code>" in start
    assert 'id="job-form"' not in start
    assert "data-post" not in page
    assert "sign out" not in start


class AwayJobs(MemoryJobs):
    """Jobs in a Redis that does not answer."""

    @override
    def find(self, **_asked: object) -> list[Job]:
        raise UpstreamError("Redis at redis:6379 cannot be reached", retryable=True)

    @override
    def get(self, job_id: str) -> Job:
        raise UpstreamError("Redis at redis:6379 cannot be reached", retryable=True)


@pytest.fixture
def away(tmp_path: Path) -> Iterator[TestClient]:
    """A client of a server whose labels can be read and whose jobs cannot."""
    backend = replace(MemoryJobs().backend, jobs=AwayJobs())
    app = make_service(tmp_path, backend=backend).app
    with TestClient(app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        yield client


def test_the_start_shows_models_though_jobs_cannot_be_read(away: TestClient) -> None:
    page = away.get("/")
    assert page.status_code == 200
    assert 'href="/models/tiny"' in page.text
    assert "The jobs cannot be read: Redis at redis:6379 cannot be reached." in page.text
    assert "No job was submitted yet" not in page.text


def test_a_page_that_needs_what_is_away_is_a_page_with_the_sentence(away: TestClient) -> None:
    answer = away.get("/jobs/job_01")
    assert (answer.status_code, answer.headers["content-type"]) == (503, HTML)
    assert "<p>Redis at redis:6379 cannot be reached.</p>" in answer.text
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/nothing", 404, "There is nothing"),
        (
            "/models/tiny/units/blocks.5.mlp.hook_post/x",
            422,
            "index: Input should be a valid integer",
        ),
        ("/compare?index=x", 422, "index: Input should be a valid integer"),
    ],
)
def test_a_browser_is_told_what_is_wrong_with_an_address_on_a_page(
    client: TestClient, path: str, status: int, words: str
) -> None:
    browser = client.get(path, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (browser.status_code, browser.headers["content-type"]) == (status, HTML)
    assert words in browser.text
    assert client.get(path).json()["status"] == status
    rest = client.get("/v1/nothing", headers={"Accept": "text/html"})
    assert rest.json()["status"] == 404
