"""Causal evidence asked of the API: what a worker is sent, and what is refused before."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
from api_service import HEADERS, Service, listening, make_service
from causal_replies import NOT_SAID, find_evidence
from starlette.testclient import TestClient

from autointerp.api.schemas import evidence_schemas as schemas
from autointerp.client import Client
from autointerp.core import causal_evidence as found_types
from autointerp.core.causal_request import CausalRequest

PATH = "/v1/models/tiny/evidence"
TWO = {"prompt": "He is from Paris", "counterfactual": "He is from Berlin"}


def test_what_is_lost_comes_with_its_controls_and_with_why_there_is_no_value(
    client: TestClient, service: Service
) -> None:
    service.worker.reply = find_evidence
    answer = client.post(PATH, json={"units": "5:131", "holds": ["zero", "resample"]})
    assert answer.status_code == 200, answer.text
    [ablation] = answer.json()["ablations"]
    every, exemplars, predicted = ablation["changes"][:3]
    assert (every["hold"], ablation["changes"][3]["hold"]) == ("zero", "resample")
    assert (exemplars["value"], exemplars["standings"][0]["rank"]) == (0.25, 2)
    assert (predicted["value"], predicted["reason"]) == (None, NOT_SAID)


def test_a_worker_gets_the_request_with_the_names_of_subject_and_labels_and_its_time(
    client: TestClient, service: Service
) -> None:
    service.worker.reply = find_evidence
    client.post(PATH, json={"units": "5:131", "kind": "patching", "position": 2, **TWO})
    [(kind, asked)] = service.worker.asked
    assert (kind, asked["model"], asked["labels"]) == ("evidence", "tiny", "tiny")
    assert (asked["most_units"], asked["most_s"]) == (16, 120.0)
    assert (asked["position"], asked["prompt"]) == (2, TWO["prompt"])
    assert "answers" not in asked


@pytest.mark.parametrize("kind", get_args(schemas.AskedKind))
def test_every_kind_has_an_answer(client: TestClient, service: Service, kind: str) -> None:
    service.worker.reply = find_evidence
    body = {"units": "5:131", "kind": kind, **(TWO if kind == "patching" else {})}
    answer = client.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    parts = {name for name, value in answer.json().items() if name.endswith("s") and value}
    assert len(parts - {"notes", "seconds"}) == 1


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        ({}, "invalid_request", "units"),
        ({"units": "5:0-16"}, "too_many_units", "17 units were asked for, at most 16"),
        ({"units": "5-"}, "unit_unknown", "5-"),
        ({"units": "sae:/etc:0"}, "input_refused", "/etc"),
        ({"units": "5:1", "kind": "guess"}, "invalid_request", "kind"),
        ({"units": "5:1", "kind": "sites"}, "invalid_request", "kind"),
        ({"units": "5:1", "holds": []}, "invalid_request", "holds"),
        ({"units": "5:1", "n_controls": 100}, "invalid_request", "n_controls"),
        ({"units": "5:1", "target_kl": 0}, "invalid_request", "target_kl"),
        ({"units": "5:1", "prompt": "a"}, "invalid_request", "kind patching alone takes this"),
        ({"units": "5:1", "kind": "patching"}, "invalid_request", "no prompt and no counter"),
        (
            {"units": "5:1", "kind": "patching", "prompt": "a"},
            "invalid_request",
            "There is no counterfactual",
        ),
        ({"units": "5:1", "kind": "patching", "answers": ["a"]}, "invalid_request", "answers"),
    ],
)
def test_what_cannot_be_asked_is_told_and_no_worker_asked(
    client: TestClient, service: Service, asked: dict[str, Any], code: str, said: str
) -> None:
    answer = client.post(PATH, json=asked)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert said in answer.json()["detail"]
    assert service.worker.asked == []


def test_units_of_which_no_text_was_kept_are_not_found(
    client: TestClient, service: Service
) -> None:
    why = "there is no label of 5:9, and ablation and attribution take text from labels"
    service.worker.reply = lambda _: {
        "unlabelled": ["tiny/blocks.5.mlp.hook_post/9"],
        "reason": why,
    }
    answer = client.post(PATH, json={"units": "5:9"})
    assert (answer.status_code, answer.json()["code"]) == (404, "label_unknown")
    assert answer.json()["detail"] == why


def test_what_takes_too_long_and_workers_that_do_not_answer_are_told(tmp_path: Path) -> None:
    service = make_service(tmp_path, evidence_s=0.05)
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        answer = client.post(PATH, json={"units": "5:1"})
        assert (answer.status_code, answer.json()["code"]) == (504, "no_answer")
        said = {"error": "this takes about 900 s; what fits is n_controls 4", "code": "input"}
        service.worker.reply = lambda _: said
        answer = client.post(PATH, json={"units": "5:1"})
        assert (answer.status_code, answer.json()["detail"]) == (422, said["error"])
        assert client.post("/v1/models/huge/evidence", json={"units": "5:1"}).status_code == 422


def test_the_client_asks_for_it(service: Service) -> None:
    service.worker.reply = find_evidence
    with listening(service.app) as url, Client(url) as client:
        found = client.evidence("tiny", "5:131", "steering", prompts=["I once heard that"])
    assert found["steerings"][0]["strength"] == 8.0
    assert service.worker.asked[0][1]["prompts"] == ["I once heard that"]


@pytest.mark.parametrize(
    "name",
    ["Standing", "LossChange", "Ablation", "Patching", "AttributedText", "Attribution"]
    + ["SteeredWriting"],
)
def test_results_travel_with_all_their_fields(name: str) -> None:
    travels = getattr(schemas, f"{name}Out").model_fields
    assert list(travels) == [field.name for field in fields(getattr(found_types, name))]


def test_a_request_has_the_fields_and_defaults_of_the_command() -> None:
    asked = schemas.EvidenceRequest(units="5:1").model_dump()
    asked.pop("units")
    plain = {name: tuple(v) if isinstance(v, list) else v for name, v in asked.items()}
    assert CausalRequest(**plain) == CausalRequest(found_types.EvidenceKind.ABLATION)
    assert set(plain) == {field.name for field in fields(CausalRequest)}
