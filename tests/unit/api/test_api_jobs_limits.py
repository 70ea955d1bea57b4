"""How many jobs a caller may have, list and try again; where the limits lie."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from api_service import HEADERS, JOB, Service, make_service
from factories import make_unit
from starlette.testclient import TestClient

from autointerp.api import ApiLimits
from autointerp.api.middleware.request_log import JsonLines
from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side
from autointerp.core.job_state import JobState


def submit(client: TestClient, **changes: object) -> str:
    answer = client.post("/v1/jobs", json={**JOB, **changes})
    assert answer.status_code == 202, answer.text
    found: str = answer.json()["id"]
    return found


def code(answer: object) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]  # type: ignore[attr-defined]


def failed_job(client: TestClient, service: Service, **changes: object) -> str:
    """A job that has ended and whose only label failed."""
    job, jobs = submit(client, **changes), service.backend.jobs
    jobs.transition(job, JobState.RUNNING, among={JobState.QUEUED})
    jobs.set_total(job, 1)
    jobs.commit(job, make_unit(1), Side.POSITIVE, LabelStatus.FAILED, summary="{}")
    jobs.transition(job, JobState.PARTIAL, among={JobState.RUNNING})
    return job


def test_what_failed_is_run_again_where_there_is_room_for_it(tmp_path: Path) -> None:
    service = make_service(tmp_path, limits=ApiLimits(jobs_of_key=1))
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        job = failed_job(client, service)
        other = submit(client, seed=1)
        refused = client.post(f"/v1/jobs/{job}/retry")
        assert code(refused) == (429, "too_many_jobs")
        assert refused.headers["retry-after"] == "30"
        client.post(f"/v1/jobs/{other}/cancel")
        answer = client.post(f"/v1/jobs/{job}/retry")
    assert (answer.status_code, answer.json()["state"]) == (202, "running")


def test_a_retry_counts_among_what_a_key_may_submit(tmp_path: Path) -> None:
    service = make_service(tmp_path, limits=ApiLimits(submits_per_min=1))
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        job = failed_job(client, service)
        assert code(client.post(f"/v1/jobs/{job}/retry")) == (429, "too_many_requests")


def test_what_is_done_to_a_job_is_in_the_audit_log(
    client: TestClient, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="autointerp.audit"):
        job = failed_job(client, service)
        client.post(f"/v1/jobs/{job}/retry")
        assert client.post(f"/v1/jobs/{job}/cancel").status_code == 202
        client.delete(f"/v1/jobs/{job}")
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records]
    done = [(line["event"], line["key"]) for line in lines if line.get("job") == job]
    assert done == [(event, "local") for event in ("submit", "retry", "cancel", "forget")]


def test_the_largest_job_is_taken_and_one_that_is_larger_is_not(tmp_path: Path) -> None:
    service = make_service(tmp_path, limits=ApiLimits(job_units=10, job_tokens=1000))
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        submit(client, units="5:0-9", corpus={"n_tokens": 1000})
        for changes, name in (
            ({"units": "5:0-10", "corpus": {"n_tokens": 1000}}, "too_many_units"),
            ({"corpus": {"n_tokens": 1001}}, "too_many_tokens"),
        ):
            assert code(client.post("/v1/jobs", json={**JOB, **changes})) == (422, name)


def test_a_page_has_50_jobs_and_200_at_most(tmp_path: Path) -> None:
    service = make_service(tmp_path, limits=ApiLimits(jobs_of_key=99))
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        for n in range(51):
            submit(client, seed=n)
        page = client.get("/v1/jobs").json()
        assert (len(page["items"]), page["next"] is None) == (50, False)
        for limit, status in ((0, 422), (1, 200), (51, 200), (200, 200), (201, 422)):
            answer = client.get("/v1/jobs", params={"limit": limit})
            assert answer.status_code == status
            if limit == 51:
                assert (len(answer.json()["items"]), answer.json()["next"]) == (51, None)


def test_a_cursor_holds_nothing_but_the_id_of_a_job(client: TestClient) -> None:
    for n in range(2):
        submit(client, seed=n)
    cursor = client.get("/v1/jobs", params={"limit": 1}).json()["next"]
    for given, status in ((cursor, 200), (f"{cursor[:4]}!{cursor[4:]}", 422), (f"!{cursor}", 422)):
        answer = client.get("/v1/jobs", params={"cursor": given})
        assert answer.status_code == status
    assert code(client.get("/v1/jobs", params={"cursor": "e30="})) == (422, "bad_cursor")


def test_an_idempotency_key_has_1_to_200_characters(client: TestClient) -> None:
    for key, status in (("", 422), ("k", 202), ("k" * 200, 202), ("k" * 201, 422)):
        answer = client.post("/v1/jobs", json=JOB, headers={"Idempotency-Key": key})
        assert answer.status_code == status
