from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from api_service import HEADERS, JOB, Service, make_service, read_words
from starlette.testclient import TestClient

from autointerp.api import ApiLimits

ASKED = {"model": "tiny", "units": "5:1", "text": "one two"}
JSON = {"content-type": "application/json"}


def test_a_worker_call_that_fails_frees_its_place(tmp_path: Path) -> None:
    service = make_service(tmp_path, limits=ApiLimits(worker_calls=1))
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        service.worker.reply = lambda _: {"error": "no such text", "code": "input"}
        assert client.post("/v1/activations", json=ASKED).status_code == 422
        service.worker.reply = read_words
        assert client.post("/v1/activations", json=ASKED).status_code == 200


@pytest.mark.parametrize(("n_bytes", "status"), [(1000, 422), (1001, 413)])
def test_parts_of_a_body_are_counted_together(tmp_path: Path, n_bytes: int, status: int) -> None:
    service = make_service(tmp_path, limits=ApiLimits(body_bytes=1000))

    async def parts() -> AsyncIterator[bytes]:
        yield b"{}"
        for _ in range(n_bytes - 2):
            yield b" "

    async def post() -> int:
        transport = httpx.ASGITransport(service.app, client=("127.0.0.1", 5))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            answer = await client.post("/v1/jobs", content=parts(), headers=JSON)
        return answer.status_code

    assert asyncio.run(post()) == status


@pytest.mark.parametrize("number", ["1e999", "-1e999", "Infinity", "-Infinity", "NaN"])
def test_a_number_that_is_not_finite_is_refused_wherever_it_stands(
    client: TestClient, number: str
) -> None:
    body = f'{{"units": "5:1", "score": {{"score_width": {number}}}}}'.encode()
    answer = client.post("/v1/jobs", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_json")


def test_activations_of_units_that_do_not_exist_are_asked_of_no_worker(
    client: TestClient, service: Service
) -> None:
    hooks = [{"hook": "blocks.0.mlp.hook_post", "width": 8, "two_sided": True}]
    note = json.dumps({"n_layers": 1, "hooks": hooks})
    service.backend.jobs.put_note("models", "tiny", note)
    for units in ("0:8", "1:0"):
        answer = client.post("/v1/activations", json={**ASKED, "units": units})
        assert (answer.status_code, answer.json()["code"]) == (422, "unit_unknown")
    assert service.worker.asked == []


def test_activations_of_a_model_that_the_server_has_not_are_asked_of_no_worker(
    client: TestClient, service: Service
) -> None:
    service.worker.reply = read_words
    answer = client.post("/v1/activations", json={**ASKED, "model": "gpt-5"})
    assert answer.json()["code"] == "model_unknown"
    assert "this server has tiny, smollm2-135m" in answer.json()["detail"]
    assert service.worker.asked == []


def test_a_job_that_has_ended_is_not_followed_after_its_last_event(
    client: TestClient, service: Service
) -> None:
    job = client.post("/v1/jobs", json=JOB).json()["id"]
    client.post(f"/v1/jobs/{job}/cancel")
    path = f"/v1/jobs/{job}/events"
    whole = client.get(path)
    assert (whole.status_code, '"state":"cancelled"' in whole.text) == (200, True)
    last = whole.text.rpartition("id: ")[2].partition("\n")[0]
    assert client.get(path, headers={"Last-Event-ID": last}).status_code == 204
