"""A feature looked for over REST: what a worker is sent, what is refused, what comes back."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from api_service import HEADERS, Service, listening, make_service
from find_replies import find_feature
from starlette.testclient import TestClient

from autointerp.api.schemas import find_schemas as schemas
from autointerp.client import Client
from autointerp.core import feature_probes, feature_search
from autointerp.core.errors import InputError
from autointerp.jobs.worker.asked_find import FindAsked

PATH = "/v1/models/tiny/find"
TEXTS = {
    "positive": [f"in the year {year}" for year in range(1900, 1910)],
    "negative": [f"in the house {number}" for number in range(10)],
}
ONE = "TEXT"


def test_units_come_with_their_labels_their_intervals_and_the_command(
    client: TestClient, service: Service
) -> None:
    service.worker.reply = find_feature
    answer = client.post(PATH, json=TEXTS)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    first, second = found["units"]
    assert (first["layer"], first["index"], first["has_label"]) == (5, 131, True)
    assert first["label"]
    assert first["score"] is not None
    assert (second["has_label"], second["label"], second["score"]) == (False, None, None)
    assert first["tested_low"] < first["tested"] < first["tested_high"]
    assert found["probes"]["verdict"]["carrier"] == "one unit"
    assert found["command"] == "autointerp find tiny --positive WITH.txt --negative WITHOUT.txt"


def test_a_worker_gets_what_it_reads(client: TestClient, service: Service) -> None:
    service.worker.reply = find_feature
    body = {"regex": r"\bRh\w{1,9}", "corpus": "python", "units": "layer:5", "k": []}
    answer = client.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    [(kind, asked)] = service.worker.asked
    assert (kind, asked["model"], asked["corpus"]) == ("find", "tiny", "python")
    assert FindAsked.model_validate(asked).k == ()
    assert answer.json()["probes"] is None
    assert answer.json()["command"] == (
        r"autointerp find tiny --regex '\bRh\w{1,9}' --corpus python --units layer:5"
    )


def test_examples_may_mark_spans_or_tokens(client: TestClient, service: Service) -> None:
    service.worker.reply = find_feature
    spans = [{"text": f"the river {n}", "spans": [[4, 9]]} for n in range(8)]
    tokens = [{"tokens": ["a", " cat", str(n)], "labels": [0, 1, None]} for n in range(8)]
    answer = client.post(PATH, json={"examples": [*spans, *tokens]})
    assert answer.status_code == 200, answer.text
    [(_, asked)] = service.worker.asked
    assert FindAsked.model_validate(asked).examples == (*spans, *tokens)


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        ({}, "invalid_request", "what is looked for? Give one of positive with negative"),
        ({"feature": "years", "regex": "a"}, "invalid_request", "found feature and regex"),
        ({"positive": TEXTS["positive"]}, "input_refused", "at least 12 are needed"),
        ({"positive": [f"a {n}" for n in range(20)]}, "input_refused", "there is one class only"),
        ({"positive": ["a"], "negative": ["b"]}, "input_refused", "2 texts, and at least 12"),
        (
            {"positive": [*TEXTS["positive"], ONE], "negative": [*TEXTS["negative"], ONE]},
            "input_refused",
            "negative text 11 and positive text 11 are the same text",
        ),
        ({"positive": ["x" * 20_001], "negative": ["b"]}, "invalid_request", "positive"),
        ({"positive": ["x" * 9_999] * 21, "negative": ["b"]}, "text_too_long", "at most 200,000"),
        ({"examples": [{"text": "a", "spans": [[0, 9]]}]}, "input_refused", "not within the text"),
        ({"examples": [{"text": "a"}]}, "input_refused", "example 1 has no label, not 0 or 1"),
        ({"feature": "yeers"}, "input_refused", "did you mean years"),
        ({"feature": "yeers"}, "input_refused", "There are digits, years"),
        ({"feature": "corpus:/etc/passwd"}, "input_refused", "/etc/passwd"),
        ({"feature": "years", "corpus": "/etc/x.txt"}, "input_refused", "/etc/x.txt"),
        ({**TEXTS, "corpus": "wiki"}, "invalid_request", "leave corpus out"),
        ({"regex": "("}, "input_refused", "is not a regular expression"),
        ({"regex": "(a+)+b"}, "input_refused", "a repeat inside a repeat"),
        ({"regex": "a.*b.*c.*d"}, "invalid_request", "bound its repeats"),
        ({"feature": "years", "units": "5-"}, "unit_unknown", "5-"),
        ({"feature": "years", "units": "sae:/etc:0"}, "input_refused", "/etc"),
        ({"feature": "years", "tokens": 65_537}, "invalid_request", "tokens"),
        ({"feature": "years", "rank_by": "chance"}, "invalid_request", "rank_by"),
        ({"feature": "years", "k": [257]}, "invalid_request", "k"),
    ],
)
def test_what_cannot_be_looked_for_is_told_and_no_worker_asked(
    client: TestClient, service: Service, asked: dict[str, Any], code: str, said: str
) -> None:
    answer = client.post(PATH, json=asked)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert said in answer.json()["detail"]
    assert service.worker.asked == []


def test_workers_that_do_not_answer_and_searches_that_take_too_long_are_told(
    tmp_path: Path,
) -> None:
    service = make_service(tmp_path, find_s=0.05)
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        answer = client.post(PATH, json=TEXTS)
        assert (answer.status_code, answer.json()["code"]) == (504, "no_answer")
        service.worker.reply = lambda _: {"error": "it was not done in 90 s", "code": "busy"}
        answer = client.post(PATH, json=TEXTS)
        assert (answer.status_code, answer.json()["detail"]) == (503, "it was not done in 90 s")
        assert client.post("/v1/models/huge/find", json=TEXTS).status_code == 422


def test_the_client_asks_for_it(service: Service) -> None:
    service.worker.reply = find_feature
    with listening(service.app) as url, Client(url) as client:
        found = client.find("tiny", "years", k=[])
        with pytest.raises(InputError, match="did you mean years"):
            client.find("tiny", "yeers")
    assert found["units"][0]["index"] == 131
    assert service.worker.asked[0][1]["feature"] == "years"


@pytest.mark.parametrize(
    ("wire", "value"),
    [
        (schemas.ClassCountsOut, feature_search.ClassCounts),
        (schemas.FeatureUnitAlone, feature_search.FeatureUnit),
        (schemas.FoundLayerOut, feature_search.FoundLayer),
        (schemas.FoundFeature, feature_search.FindReport),
        (schemas.ProbeLineOut, feature_probes.ProbeLine),
        (schemas.BaselineLineOut, feature_probes.BaselineLine),
        (schemas.FeatureVerdictOut, feature_probes.FeatureVerdict),
        (schemas.FeatureProbesOut, feature_probes.FeatureProbes),
    ],
)
def test_results_travel_with_all_their_fields(wire: Any, value: Any) -> None:
    assert set(wire.model_fields) == {field.name for field in fields(value)}
