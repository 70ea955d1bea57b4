"""Which units fire on a text, asked of the API."""

from __future__ import annotations

from typing import Any

import pytest
from api_service import Service, find_units, put_labels
from factories import make_label, make_unit
from starlette.testclient import TestClient

from autointerp.core.ids import Side

PATH = "/v1/models/tiny/strongest"


def test_units_come_with_their_token_and_what_their_labels_say(
    client: TestClient, service: Service
) -> None:
    service.worker.reply = find_units
    found = client.post(PATH, json={"text": "The Rhine runs", "n": 2}).json()
    labelled, other = found["units"]
    assert (labelled["token"], labelled["description"]) == ("Rhine", "names of rivers")
    assert (labelled["relative"], labelled["score"], labelled["layer"]) == (0.5, 0.42, 5)
    assert (other["description"], other["maximum"], other["index"]) == (None, None, 9)
    assert (found["ranked_by"], found["tokenized"]) == ("relative", True)


def test_a_label_that_is_new_counts_at_once(client: TestClient, service: Service) -> None:
    service.worker.reply = find_units
    client.post(PATH, json={"text": "a b"})
    put_labels(service.stores, [make_label(make_unit(9), text="names of hills")])
    found = client.post(PATH, json={"text": "a b"}).json()
    assert found["units"][1]["description"] == "names of hills"


def test_a_worker_gets_tokens_layers_and_the_maxima_of_these_layers(
    client: TestClient, service: Service
) -> None:
    service.worker.reply = find_units
    put_labels(service.stores, [make_label(make_unit(2), side=Side.NEGATIVE)])
    found = client.post(PATH, json={"token_ids": [4, 5], "layers": [5]}).json()
    assert found["tokenized"] is False
    [(kind, asked)] = service.worker.asked
    assert (kind, asked["token_ids"], asked["layers"], asked["n"]) == ("strongest", [4, 5], [5], 20)
    assert {known["side"] for known in asked["maxima"]} == {"positive", "negative"}
    assert all(known["hook"].startswith("blocks.5.") for known in asked["maxima"])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid_request"),
        ({"text": "a", "token_ids": [1]}, "invalid_request"),
        ({"text": "x" * 16_001}, "text_too_long"),
        ({"token_ids": [1] * 2_001}, "text_too_long"),
        ({"text": "a", "n": 201}, "invalid_request"),
        ({"text": "a", "n": 0}, "invalid_request"),
        ({"text": "a", "layers": []}, "invalid_request"),
        ({"text": "a", "layers": [-1]}, "invalid_request"),
        ({"text": "a", "layers": ["5"]}, "invalid_request"),
    ],
)
def test_what_cannot_be_asked_is_sent_to_no_worker(
    client: TestClient, service: Service, body: dict[str, Any], code: str
) -> None:
    answer = client.post(PATH, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert service.worker.asked == []


def test_a_model_that_the_server_does_not_load_is_told(client: TestClient) -> None:
    answer = client.post("/v1/models/gpt-5/strongest", json={"text": "a"})
    assert (answer.status_code, answer.json()["code"]) == (422, "model_unknown")


def test_a_layer_beyond_the_model_is_told_where_the_model_is_known(
    client: TestClient, service: Service
) -> None:
    note = '{"n_layers": 6, "hooks": []}'
    service.backend.jobs.put_note("models", "tiny", note)
    answer = client.post(PATH, json={"text": "a", "layers": [5, 6]})
    assert answer.status_code == 422
    assert "layer 6: the model has the layers 0 to 5" in answer.text
