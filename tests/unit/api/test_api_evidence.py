"""Causal evidence asked of the API: what a worker is sent, and what is refused before."""

from __future__ import annotations

import asyncio
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from api_service import HEADERS, Service, listening, make_service
from causal_replies import NOT_SAID, find_evidence, kept_evidence
from factories import make_label, make_unit
from memory_store import MemoryLabelStores
from starlette.testclient import TestClient
from typing_extensions import override

from autointerp.api.schemas import evidence_results
from autointerp.api.schemas import evidence_schemas as schemas
from autointerp.client import Client
from autointerp.core import causal_evidence as found_types
from autointerp.core import own_label_rank, unit_sites
from autointerp.core.causal_request import CausalRequest
from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side
from autointerp.core.kept_evidence import label_digest
from autointerp.dictionary import row_json
from autointerp.jobs.worker.asked_evidence import EvidenceAsked
from autointerp.store.packed_causal import read_kept

_ABLATION = found_types.EvidenceKind.ABLATION
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


@pytest.mark.parametrize("kind", list(found_types.EvidenceKind))
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
        ({"units": "5:1", "corpus": "wiki"}, "invalid_request", "corpus: kind sites alone"),
        ({"units": "5:1", "kind": "sites", "corpus": "/etc/x.txt"}, "input_refused", "/etc/x.txt"),
        ({"units": "5:1", "kind": "sites", "tokens": 1}, "invalid_request", "tokens"),
        ({"units": "5:1", "keep": True, "together": True}, "invalid_request", "leave out together"),
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


def test_a_worker_is_told_the_text_of_sites_the_dtype_and_whether_answers_are_kept(
    client: TestClient, service: Service
) -> None:
    service.worker.reply = find_evidence
    text = {"kind": "sites", "corpus": "python", "tokens": 2048}
    found = client.post(PATH, json={"units": "5:131", **text, "dtype": "bfloat16", "keep": True})
    assert found.status_code == 200, found.text
    [(_, asked)] = service.worker.asked
    assert (asked["text"]["corpus"], asked["text"]["n_tokens"]) == ("python", 2048)
    assert (asked["dtype"], asked["keep"]) == ("bfloat16", True)
    assert not {"corpus", "tokens"} & set(asked)
    EvidenceAsked.model_validate(asked)


def test_what_is_kept_of_a_unit_is_listed_and_shown_on_its_page_without_a_worker(
    client: TestClient, service: Service
) -> None:
    store, unit = service.stores.of("tiny"), make_unit()
    for kind in ("ablation", "steering", "sites", "attribution"):
        store.put_evidence(kept_evidence(unit, CausalRequest(found_types.EvidenceKind(kind))))
    path = f"/models/tiny/units/{unit.hook}/{unit.index}"
    found = client.get(f"/v1{path}/evidence").json()["items"]
    assert [one["request"]["kind"] for one in found] == [
        *("ablation", "attribution", "steering", "sites")
    ]
    assert (found[0]["source"]["job"], found[0]["evidence"]["dtype"]) == ("job_1", "float32")
    page = client.get(path).text
    assert "What was found with it held, put back or pushed" in page
    assert "+250 (+100 to +400)" in page
    assert "rank 2 of 20, p\u00a0=\u00a00.1" in page
    assert "<b>of rivers</b>" not in page
    assert "Between hook_pre and hook_post its activations correlate by 0.42" in page
    assert "2026-11-01 00:00 UTC, float32, wiki, job_1" in page
    assert "measured with another label" not in page
    store.put_evidence(kept_evidence(unit, CausalRequest(_ABLATION), label="0123456789ab"))
    assert "wiki, job_1, measured with another label" in client.get(path).text
    assert service.worker.asked == []
    other = client.get("/v1/models/tiny/units/blocks.5.mlp.hook_post/99/evidence")
    assert other.json() == {"items": [], "unreadable": []}
    assert client.get("/v1/models/no/units/blocks.5.mlp.hook_post/9/evidence").status_code == 404


def test_a_rank_for_its_own_label_stands_on_the_page_of_a_unit_and_is_listed(
    client: TestClient, service: Service
) -> None:
    unit = make_unit()
    asked = CausalRequest(found_types.EvidenceKind.RANK)
    service.stores.of("tiny").put_evidence(kept_evidence(unit, asked))
    path = f"/models/tiny/units/{unit.hook}/{unit.index}"
    [found] = client.get(f"/v1{path}/evidence").json()["items"]
    first, second = found["evidence"]["ranks"]
    assert (first["rank"], first["margin"], first["rivals"][0]) == (2, -0.21, str(make_unit(7)))
    assert (second["rank"], second["reason"][:24]) == (None, "fewer than 2 windows hav")
    page = client.get(path).text
    assert "What else was found of it" in page
    assert (
        "Positive side: rank 2 of 1,536 units of its layer for its own label: 5:7 follows" in page
    )
    assert "-0.21 (-0.30 to -0.10) over 5:7 and 5:9" in page
    assert "none: fewer than 2 windows have predictions that fit the text" in page
    # Beside the label itself stands what was measured with this very label.
    beside = '<p class="facts">Rank 2 of 1,536 units of its layer for its own label: 5:7 follows'
    assert beside not in page
    label = service.stores.of("tiny").get_label(unit, Side.POSITIVE)
    assert label is not None
    now = kept_evidence(unit, asked, day=2, label=f"0123456789ab+{label_digest(label)}")
    service.stores.of("tiny").put_evidence(now)
    assert beside in client.get(path).text


def test_what_is_kept_is_downloaded_as_lines(service: Service, tmp_path: Path) -> None:
    store = service.stores.of("tiny")
    for index in (131, 7):
        store.put_evidence(kept_evidence(make_unit(index), CausalRequest(_ABLATION)))
    with listening(service.app) as url, Client(url) as client:
        path = client.download("tiny", tmp_path / "evidence.jsonl", format="evidence")
        [kept] = client.kept_evidence("tiny", make_unit().hook, 131)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["unit"] for line in lines] == [str(make_unit(7)), str(make_unit(131))]
    assert lines[1] == kept
    assert read_kept(kept) == kept_evidence(make_unit(), CausalRequest(_ABLATION))


def test_a_job_asks_for_evidence_of_many_units(client: TestClient, service: Service) -> None:
    asked = {"kind": "patching", **TWO}
    job = client.post("/v1/jobs", json={"subject": "tiny", "units": "layer:5", "evidence": asked})
    assert job.status_code == 202, job.text
    found = job.json()
    assert (found["evidence"], found["spec"]["llm"]) == ("patching", "none")
    stored = service.backend.jobs.get(found["id"])
    assert stored is not None
    assert stored.spec.evidence == CausalRequest(found_types.EvidenceKind.PATCHING, **TWO)
    listed = client.get("/v1/jobs", params={"short": True}).json()["items"]
    assert [one["evidence"] for one in listed] == ["patching"]
    labels = client.post("/v1/jobs", json={"subject": "tiny", "units": "5:1", "llm": "none"})
    assert "evidence" not in labels.json()["spec"]
    page = client.get(f"/jobs/{found['id']}").text
    assert "0 answers" not in page
    assert "patching" in page


def test_answers_of_a_model_without_labels_are_reached_from_their_job(tmp_path: Path) -> None:
    service, unit = make_service(tmp_path, fill=False), make_unit()
    service.stores.of("tiny").put_evidence(kept_evidence(unit, CausalRequest(_ABLATION)))
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        body = {"subject": "tiny", "units": "5:131", "evidence": {"kind": "steering"}}
        job = client.post("/v1/jobs", json=body).json()["id"]
        summary = json.dumps({"unit": str(unit), "status": "ok", "description": "no more"})
        jobs = service.backend.jobs
        jobs.commit(job, unit, Side.POSITIVE, LabelStatus.OK, summary=summary)
        page = client.get(f"/jobs/{job}").text
        kept = f"/v1/models/tiny/units/{unit.hook}/131/evidence"
        assert f'href="{kept}"' in page
        assert "whole on the pages of units" not in page
        assert len(client.get(kept).json()["items"]) == 1
        assert client.get("/v1/models/tiny/labels").json()["items"] == []
        assert client.get("/models/tiny").status_code == client.get("/").status_code == 200
        [listed] = [m for m in client.get("/v1/models").json()["items"] if m["model"] == "tiny"]
        assert (listed["n_labels"], listed["problem"]) == (0, None)
        service.stores.of("tiny").put_label(make_label())
        assert "whole on the pages of units" in client.get(f"/jobs/{job}").text


@pytest.mark.parametrize(
    ("asked", "more", "said"),
    [
        ({"kind": "guess"}, {}, "kind"),
        ({"kind": "patching"}, {}, "There is no prompt and no counterfactual"),
        ({"kind": "ablation", "prompt": "a"}, {}, "kind patching alone takes this"),
        ({"together": True}, {}, "together"),
        ({}, {"corpus": "wiki", "explainer": "senses"}, "corpus, explain: a job that asks for"),
        ({}, {"budget_usd": 1}, "budget: a job that asks for evidence takes dtype, evidence"),
        ({}, {"llm": "embedded"}, "llm: a job that asks for evidence takes"),
    ],
)
def test_a_job_for_evidence_that_cannot_be_is_one_sentence(
    client: TestClient, service: Service, asked: dict[str, Any], more: dict[str, Any], said: str
) -> None:
    body = {"subject": "tiny", "units": "5:1", "evidence": asked, **more}
    answer = client.post("/v1/jobs", json=body)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert service.sent == []


def test_what_evidence_of_many_units_will_cost_is_told_before(client: TestClient) -> None:
    body = {"subject": "tiny", "units": "5:0-9", "evidence": {"n_controls": 9, "texts": ["all"]}}
    found = client.post("/v1/estimates", json=body).json()
    # 32 windows of 65 tokens, in 2 + 2 * 9 rows, of ten units.
    assert found["text"].startswith("ablation of 10 units; at most about 416,000 tokens in forward")
    assert (found["n_units"], found["n_labels"], found["llm"]) == (10, 0, None)


def test_the_client_asks_for_it(service: Service) -> None:
    service.worker.reply = find_evidence
    with listening(service.app) as url, Client(url) as client:
        found = client.evidence("tiny", "5:131", "steering", prompts=["I once heard that"])
    assert found["steerings"][0]["strength"] == 8.0
    assert service.worker.asked[0][1]["prompts"] == ["I once heard that"]


@pytest.mark.parametrize(
    "name",
    ["Standing", "LossChange", "Ablation", "Patching", "AttributedText", "Attribution"]
    + ["SteeredWriting", "UnitSites", "UnitSite", "SitePair", "SiteText", "CausalEvidence"]
    + ["OwnLabelRank"],
)
def test_results_travel_with_all_their_fields(name: str) -> None:
    travels = getattr(evidence_results, f"{name}Out").model_fields
    places = found_types, unit_sites, own_label_rank
    found = next(getattr(place, name) for place in places if hasattr(place, name))
    assert list(travels) == [field.name for field in fields(found)]


def test_a_request_has_the_fields_and_defaults_of_the_command() -> None:
    here = {"units", "dtype", "corpus", "tokens", "keep"}
    asked = schemas.EvidenceRequest(units="5:1").model_dump(exclude=here)
    plain = {name: tuple(v) if isinstance(v, list) else v for name, v in asked.items()}
    assert CausalRequest(**plain) == CausalRequest(found_types.EvidenceKind.ABLATION)
    assert set(plain) == {field.name for field in fields(CausalRequest)}


def test_what_is_kept_is_read_beside_the_event_loop(tmp_path: Path) -> None:
    on_loop: list[bool] = []

    class Watched(MemoryLabelStores):
        @override
        def models(self) -> list[str]:
            on_loop.append(_is_event_loop())
            return super().models()

    service = make_service(tmp_path, stores=Watched(row_json))
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        on_loop.clear()
        unit = make_unit()
        path = f"/v1/models/no/units/{unit.hook}/{unit.index}/evidence"
        assert client.get(path).status_code == 404
    assert on_loop
    assert not any(on_loop)


def _is_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
