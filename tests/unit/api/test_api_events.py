from __future__ import annotations

import json
import threading
from pathlib import Path

import httpx
import pytest
from api_service import HEADERS, JOB, Service, listening, make_service
from factories import make_unit
from labelling import wait_until
from starlette.testclient import TestClient

from autointerp.api import ApiLimits
from autointerp.client.job_events import Event, read_events
from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side
from autointerp.core.job_state import JobState


def start(url: str) -> str:
    found: str = httpx.post(f"{url}/v1/jobs", json=JOB, timeout=300).json()["id"]
    return found


def work(service: Service, job: str, n: int) -> None:
    """Labels some units and ends the job."""
    service.backend.jobs.transition(job, JobState.RUNNING, among={JobState.QUEUED})
    for index in range(n):
        summary = json.dumps({"unit": f"5:{index}", "status": "ok"})
        service.backend.jobs.commit(
            job, make_unit(index), Side.POSITIVE, LabelStatus.OK, summary=summary
        )
    service.backend.jobs.transition(job, JobState.SUCCEEDED, among={JobState.RUNNING})


def read(url: str, job: str, **options: object) -> list[Event]:
    with httpx.stream("GET", f"{url}/v1/jobs/{job}/events", timeout=300, **options) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        return list(read_events(answer.iter_lines()))


def test_a_job_is_followed_while_it_runs_and_the_stream_ends_with_it(
    service: Service, url: str
) -> None:
    job = start(url)
    later = threading.Timer(0.6, work, (service, job, 3))
    later.start()
    found = read(url, job)
    later.join()
    kinds = [event.kind for event in found if event.kind != "job"]
    assert kinds == ["state", "state", "label", "label", "label", "state"]
    last = [event for event in found if event.kind == "job"][-1]
    assert (last.data["state"], last.data["counts"]["done"], last.id) == ("succeeded", 3, None)
    ids = [event.id for event in found if event.id]
    assert ids == sorted(ids, key=lambda i: [int(part) for part in i.split("-")])


def test_a_stream_goes_on_after_the_last_event(service: Service, url: str) -> None:
    job = start(url)
    work(service, job, 5)
    every = [event for event in read(url, job) if event.id]
    rest = read(url, job, headers={"Last-Event-ID": every[3].id or ""})
    assert [event.id for event in rest if event.id] == [event.id for event in every[4:]]
    last = {"Last-Event-ID": every[-1].id or ""}
    answer = httpx.get(f"{url}/v1/jobs/{job}/events", headers=last, timeout=300)
    assert (answer.status_code, answer.content) == (204, b"")


def test_only_the_kinds_that_were_asked_for_are_sent(service: Service, url: str) -> None:
    job = start(url)
    work(service, job, 2)
    found = read(url, job, params={"kind": ["label"]})
    assert [event.kind for event in found] == ["label", "label"]


def test_a_long_job_is_sent_whole(service: Service, url: str) -> None:
    job = start(url)
    work(service, job, 1234)
    found = read(url, job, params={"kind": ["label"]})
    assert [event.data["unit"] for event in found] == [f"5:{n}" for n in range(1234)]


@pytest.mark.parametrize("last", ["x", "1", "-1-0", "1-", "9" * 40 + "-0", "1-0\u00e9"])
def test_an_id_of_no_event_is_refused(client: TestClient, last: str) -> None:
    job = client.post("/v1/jobs", json=JOB).json()["id"]
    headers = {"Last-Event-ID": last.encode()}
    answer = client.get(f"/v1/jobs/{job}/events", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_event_id")


def test_a_key_keeps_so_many_streams_open(tmp_path: Path) -> None:
    service = make_service(tmp_path, limits=ApiLimits(streams_of_key=1))
    with listening(service.app) as url:
        job = start(url)
        path = f"{url}/v1/jobs/{job}/events"
        with httpx.stream("GET", path, headers=HEADERS, timeout=300) as first:
            lines = first.iter_lines()
            next(lines)
            refused = httpx.get(path, timeout=300)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_open")
        work(service, job, 1)
        # The place is free as soon as the server has noticed that the first one went away.
        wait_until(lambda: httpx.get(path, timeout=300).status_code == 200)
