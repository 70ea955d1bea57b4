"""Search by meaning, with a worker whose vectors count letters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from api_service import HEADERS, Service, embed_letters, make_service, put_labels
from factories import make_label, make_unit
from starlette.testclient import TestClient

LABELS = "/v1/models/tiny/labels"


def asked(service: Service) -> list[list[str]]:
    return [payload["texts"] for kind, payload in service.worker.asked if kind == "embed"]


def test_the_nearest_explanation_comes_first(client: TestClient, service: Service) -> None:
    service.worker.reply = embed_letters
    found = client.get(LABELS, params={"meaning": "seas of names"}).json()
    assert found["items"][0]["description"] == "names of seas"
    assert found["likeness"][0] == pytest.approx(1, abs=0.01)
    assert found["likeness"] == sorted(found["likeness"], reverse=True)
    # A label without an explanation means nothing.
    assert (len(found["items"]), found["next"]) == (2, None)


def test_filters_and_limits_hold(client: TestClient, service: Service) -> None:
    service.worker.reply = embed_letters
    few = client.get(LABELS, params={"meaning": "seas", "limit": 1}).json()
    assert [row["index"] for row in few["items"]] == [132]
    best = client.get(LABELS, params={"meaning": "rivers", "score_min": 0.8}).json()
    assert [row["index"] for row in best["items"]] == [132]
    assert client.get(LABELS, params={"meaning": "seas", "layer": 9}).json()["items"] == []


def test_an_explanation_is_embedded_once(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    for turn, new in enumerate(([], ["names of brooks"])):
        service = make_service(tmp_path, stores=service.stores)
        service.worker.reply = embed_letters
        labels = [make_label(make_unit(200 + i), text=text) for i, text in enumerate(new)]
        put_labels(service.stores, labels)
        with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
            assert client.get(LABELS, params={"meaning": "brooks"}).status_code == 200
            assert client.get(LABELS, params={"meaning": "brooks"}).status_code == 200
        # The second server finds on disk what the first one had made.
        made = [texts for texts in asked(service) if texts != ["brooks"]]
        assert [len(texts) for texts in made] == ([2] if turn == 0 else [1])


def test_workers_without_the_model_say_how_to_get_it(client: TestClient, service: Service) -> None:
    service.worker.reply = lambda _: {"error": "run `pip install it`", "code": "input"}
    answer = client.get(LABELS, params={"meaning": "seas"})
    assert (answer.status_code, answer.json()["detail"]) == (422, "run `pip install it`")


@pytest.mark.parametrize(
    ("reply", "status"), [({"error": "run `pip install it`", "code": "input"}, 422), ({}, 502)]
)
def test_a_failure_is_told_each_time_until_a_worker_can(
    client: TestClient, service: Service, reply: dict[str, Any], status: int
) -> None:
    service.worker.reply = lambda _: reply
    for _ in range(3):
        assert client.get(LABELS, params={"meaning": "seas"}).status_code == status
    service.worker.reply = embed_letters
    found = client.get(LABELS, params={"meaning": "seas"}).json()
    assert len(found["items"]) == 2


@pytest.mark.parametrize("reply", [{}, {"width": 3, "vectors": "AAAA"}, {"width": 1, "vectors": 7}])
def test_a_reply_that_is_none_is_502(
    client: TestClient, service: Service, reply: dict[str, Any]
) -> None:
    service.worker.reply = lambda _: reply
    assert client.get(LABELS, params={"meaning": "seas"}).status_code == 502


def test_no_worker_in_time_is_504(tmp_path: Path) -> None:
    service = make_service(tmp_path, activations_s=0.05)
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        answer = client.get(LABELS, params={"meaning": "seas"})
    assert (answer.status_code, answer.json()["code"]) == (504, "no_answer")


@pytest.mark.parametrize("other", [{"q": "sea"}, {"sort": "unit"}, {"cursor": "abcd"}])
def test_meaning_stands_alone(client: TestClient, other: dict[str, str]) -> None:
    answer = client.get(LABELS, params={"meaning": "seas", **other})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
