"""The document around a window, asked of the API."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from api_service import TEXT_AROUND, Service, put_labels
from factories import make_label, make_provenance, make_unit
from starlette.testclient import TestClient

PATH = "/v1/models/tiny/units/blocks.5.mlp.hook_post/131/document"


def found(_: dict[str, Any]) -> dict[str, Any]:
    return TEXT_AROUND


def test_the_text_comes_with_where_the_window_stands(client: TestClient, service: Service) -> None:
    service.worker.reply = found
    answer = client.post(PATH, json={"window": 20})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        **TEXT_AROUND,
        "corpus": "wiki",
        **{name: answer.json()[name] for name in ("source", "document", "offset")},
    }
    [(kind, asked)] = service.worker.asked
    assert (kind, asked["model"], asked["corpus"]) == ("document", "tiny", "wiki")
    assert len(asked["token_ids"]) == 4


@pytest.mark.parametrize(
    ("has_changed", "status", "code"),
    [(True, 409, "document_changed"), (False, 404, "document_gone")],
)
def test_a_text_that_changed_or_is_gone_is_told(
    client: TestClient, service: Service, has_changed: bool, status: int, code: str
) -> None:
    service.worker.reply = lambda _: {"has_changed": has_changed, "reason": "York is another now"}
    answer = client.post(PATH, json={"window": 1, "side": "positive"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["detail"] == "York is another now"


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"window": 999}, 404, "window_unknown"),
        ({"window": 20, "side": "negative"}, 404, "label_unknown"),
        ({"window": 20, "corpus": "code"}, 404, "label_unknown"),
        ({"window": -1}, 422, "invalid_request"),
        ({}, 422, "invalid_request"),
    ],
)
def test_a_window_that_is_not_there_is_told_and_no_worker_asked(
    client: TestClient, service: Service, asked: dict[str, Any], status: int, code: str
) -> None:
    answer = client.post(PATH, json=asked)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert service.worker.asked == []


def test_no_worker_and_records_that_were_not_kept_are_told(client: TestClient) -> None:
    assert client.post(PATH, json={"window": 20}).json()["code"] == "no_answer"
    other = PATH.replace("131", "132")
    assert client.post(other, json={"window": 20}).json()["code"] == "window_unknown"


def test_a_corpus_that_jobs_may_not_name_is_not_read_either(
    client: TestClient, service: Service
) -> None:
    made = replace(make_provenance(), corpus="/etc")
    service.stores.of("tiny").put_sets(
        service.stores.of("tiny").get_sets(make_unit(131), make_label().side)  # type: ignore[arg-type]
    )
    put_labels(service.stores, [make_label(provenance=made)])
    answer = client.post(PATH, json={"window": 20, "corpus": "/etc"})
    assert answer.status_code == 422
    assert "may not read the corpus" in answer.json()["detail"]
    assert service.worker.asked == []
