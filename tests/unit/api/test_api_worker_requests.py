from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from api_service import (
    HEADERS,
    JOB,
    Service,
    make_service,
    put_labels,
    read_words,
    score_words,
)
from factories import make_label
from starlette.testclient import TestClient

from autointerp.api import ApiLimits
from autointerp.core.ids import Side
from autointerp.store.jobs import COLLECTION

ASKED = {"model": "tiny", "units": "5:1", "text": "The Rhine runs"}
UNIT = "/v1/models/tiny/units/blocks.5.mlp.hook_post/131/explanations"


def test_activations_come_from_a_worker(client: TestClient, service: Service) -> None:
    service.worker.reply = read_words
    found = client.post("/v1/activations", json=ASKED).json()
    assert found["tokens"] == ["The", "Rhine", "runs"]
    assert found["units"][0]["activations"] == [0.5, 0.5, 0.5]
    assert service.worker.asked == [("activations", ASKED)]
    assert found["tokenized"] is True


def test_tokens_stay_tokens(client: TestClient, service: Service) -> None:
    service.worker.reply = read_words
    asked = {"model": "tiny", "units": "5:1", "token_ids": [7, 7, 3]}
    found = client.post("/v1/activations", json=asked).json()
    assert service.worker.asked == [("activations", asked)]
    assert (found["token_ids"], found["tokenized"]) == ([7, 7, 3], False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give a text or token_ids; found neither"),
        ({"text": "a", "token_ids": [1]}, "give a text or token_ids; found both"),
        ({"token_ids": []}, "token_ids"),
        ({"token_ids": [-1]}, "token_ids"),
        ({"token_ids": ["1"]}, "token_ids"),
        ({"token_ids": [True]}, "token_ids"),
        ({"token_ids": [1.5]}, "token_ids"),
        ({"token_ids": [1] * 2_001}, "the text has 2,001 tokens; send at most 2,000"),
    ],
)
def test_tokens_that_cannot_be_are_sent_to_no_worker(
    client: TestClient, service: Service, given: dict[str, Any], message: str
) -> None:
    answer = client.post("/v1/activations", json={"model": "tiny", "units": "5:1", **given})
    assert answer.status_code == 422
    assert message in answer.text
    assert service.worker.asked == []


def test_a_persons_explanation_is_scored_on_the_labelled_side(
    client: TestClient, service: Service
) -> None:
    service.worker.reply = score_words
    found = client.post(UNIT, json={"text": "big rivers", "llm": "none"}).json()
    assert (found["side"], found["text"]) == ("positive", "big rivers")
    assert (found["results"][0]["scorer"], found["results"][0]["n_failed"]) == ("simulation", 1)
    kind, payload = service.worker.asked[0]
    assert (kind, payload["unit"]) == ("explanation", "tiny/blocks.5.mlp.hook_post/131")


def test_an_explanation_is_kept_under_the_name_of_the_caller_where_that_is_asked(
    client: TestClient, service: Service
) -> None:
    def keep(asked: dict[str, Any]) -> dict[str, Any]:
        return {**score_words(asked), "kept_as": asked.get("keep_as")}

    service.worker.reply = keep
    found = client.post(UNIT, json={"text": "rivers", "llm": "none", "keep": True}).json()
    assert found["kept_as"] == "person:local"
    assert client.post(UNIT, json={"text": "rivers", "llm": "none"}).json()["kept_as"] is None
    assert [asked.get("keep_as") for _, asked in service.worker.asked] == ["person:local", None]
    assert all("keep" not in asked for _, asked in service.worker.asked)


def test_a_persons_program_is_sent_as_it_is_and_comes_back_readable(
    client: TestClient, service: Service
) -> None:
    service.worker.reply = score_words
    program = '# places\n10: token = " York"\n3: position < 2\n'
    found = client.post(UNIT, json={"program": program, "llm": "none"}).json()
    assert found["text"] == '10: token = " York"; 3: position < 2'
    assert found["program"] == '10: token = " York"\n3: position < 2'
    [(_, payload)] = service.worker.asked
    assert (payload["program"], payload["text"], payload["n_heldout"]) == (program, None, None)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "give an explanation in words or a program; found neither"),
        ({"text": "a", "program": "1: position < 2"}, "in words or a program; found both"),
        ({"program": "eleven"}, "line 1: a rule begins with a number from 0 to 10"),
        ({"program": "1: token ~ /(a+)+/"}, "line 1: "),
        ({"program": "1" * 4_001}, "4000"),
        ({"text": "a", "n_heldout": 1}, "n_heldout"),
        ({"text": "a", "windows_per_call": 51}, "windows_per_call"),
        ({"text": "a", "scorers": ["tarot"]}, "unknown scorer 'tarot'"),
    ],
)
def test_an_explanation_that_is_none_is_422_and_sent_to_no_worker(
    client: TestClient, service: Service, body: dict[str, Any], message: str
) -> None:
    answer = client.post(UNIT, json=body)
    assert answer.status_code == 422
    assert message in answer.text
    assert service.worker.asked == []


def test_a_side_must_be_named_where_both_are_labelled(client: TestClient, service: Service) -> None:
    put_labels(service.stores, [make_label(side=Side.NEGATIVE)])
    service.worker.reply = score_words
    answer = client.post(UNIT, json={"text": "rivers"})
    assert (answer.status_code, answer.json()["code"]) == (422, "side_missing")
    answer = client.post(UNIT, json={"text": "rivers", "side": "negative"})
    assert answer.json()["side"] == "negative"


def test_no_worker_in_time_is_504(tmp_path: Path) -> None:
    service = make_service(tmp_path, activations_s=0.05)
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        answer = client.post("/v1/activations", json=ASKED)
    assert (answer.status_code, answer.json()["code"]) == (504, "no_answer")
    assert answer.headers["retry-after"]


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        ({"error": "layer 99 does not exist", "code": "input"}, 422, "input_refused"),
        ({"error": "the LLM is away", "code": "busy"}, 503, "upstream_unreachable"),
        ({"error": "the LLM answers nonsense", "code": "upstream"}, 502, "upstream_failed"),
        ({"new": "fields"}, 502, "upstream_failed"),
    ],
)
def test_what_a_worker_could_not_do_is_a_problem(
    client: TestClient, service: Service, reply: dict[str, Any], status: int, code: str
) -> None:
    service.worker.reply = lambda _asked: reply
    answer = client.post("/v1/activations", json=ASKED)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_text_that_is_far_too_long_is_sent_to_no_worker(
    client: TestClient, service: Service
) -> None:
    service.worker.reply = read_words
    body = {"model": "tiny", "units": "5:1", "text": "x" * 16_001}
    answer = client.post("/v1/activations", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "text_too_long")
    assert service.worker.asked == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"model": "gpt-5"}, "model_unknown"),
        ({"text": "word " * 10_000}, "text_too_long"),
        ({"text": "a " * 2_001}, "text_too_long"),
        ({"text": ""}, "invalid_request"),
        ({"units": "5:0-999"}, "too_many_units"),
        ({"units": "sae:/etc:all"}, "input_refused"),
        ({"units": "x"}, "unit_unknown"),
    ],
)
def test_a_question_that_cannot_be_is_refused(
    client: TestClient, service: Service, changes: dict[str, str], code: str
) -> None:
    service.worker.reply = read_words
    answer = client.post("/v1/activations", json={**ASKED, **changes})
    assert (answer.status_code, answer.json()["code"]) == (422, code)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"llm": "http://evil.example"}, 422),
        ({"llm_model": "other"}, 422),
        ({"text": "  "}, 422),
        ({"side": "negative"}, 404),
        ({"scorers": []}, 422),
    ],
)
def test_an_explanation_that_cannot_be_scored_is_refused(
    client: TestClient, service: Service, changes: dict[str, Any], status: int
) -> None:
    answer = client.post(UNIT, json={"text": "rivers", **changes})
    assert answer.status_code == status
    assert service.worker.asked == []


def test_so_many_questions_wait_at_one_time(tmp_path: Path) -> None:
    service = make_service(tmp_path, limits=ApiLimits(worker_calls=0))
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        answer = client.post("/v1/activations", json=ASKED)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_open")


def test_workers_are_listed_with_what_they_do_and_for_which_jobs(
    client: TestClient, service: Service
) -> None:
    assert client.get("/v1/workers").json() == {"workers": []}
    jobs = [client.post("/v1/jobs", json=JOB).json()["id"] for _ in range(2)]
    for job in jobs:
        service.backend.jobs.put_note(job, COLLECTION, "col_1")
    doing = {"a-1": f"{jobs[0]}/records/3", "a-2": "col_1/collect/7", "a-3": "col_2/merge/0"}
    for name, item in doing.items():
        service.backend.workers.heartbeat(name, "activations", item, ttl_s=60)
    two = f"{jobs[0]}/label/0, {jobs[1]}/label/5"
    for name, item in (("l-1", two), ("l-2", None)):
        service.backend.workers.heartbeat(name, "labels", item, ttl_s=60)
    found = client.get("/v1/workers").json()["workers"]
    assert [one["queue"] for one in found] == ["activations"] * 3 + ["labels"] * 2
    held = [[(i["stage"], i["number"], sorted(i["jobs"])) for i in one["doing"]] for one in found]
    assert held == [
        [("records", 3, jobs[:1])],
        [("collect", 7, sorted(jobs))],
        [("merge", 0, [])],
        [("label", 0, jobs[:1]), ("label", 5, jobs[1:])],
        [],
    ]
