from __future__ import annotations

import pytest
from api_service import Service, put_labels
from factories import make_label, make_sets, make_unit
from pydantic import TypeAdapter
from sense_labels import make_sense_label
from starlette.testclient import TestClient

from autointerp.api.schemas.label_schemas import LabelList
from autointerp.api.schemas.unit_schemas import UnitPage
from autointerp.core.explanations import Label
from autointerp.core.ids import Side
from autointerp.dictionary import COLUMNS

LABELS = "/v1/models/tiny/labels"
UNIT = "/v1/models/tiny/units/blocks.5.mlp.hook_post/131"


def units(client: TestClient, **params: object) -> list[str]:
    answer = client.get(LABELS, params=params)
    assert answer.status_code == 200, answer.text
    return [row["unit"].removeprefix("tiny/blocks.") for row in answer.json()["items"]]


def test_rows_are_those_of_the_feature_dictionary(client: TestClient) -> None:
    body = client.get(LABELS).json()
    assert list(body["items"][0]) == list(COLUMNS)
    LabelList.model_validate(body)


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, ["5.mlp.hook_post/131", "5.mlp.hook_post/132", "12.mlp.hook_post/7"]),
        ({"layer": 12}, ["12.mlp.hook_post/7"]),
        ({"hook": "blocks.12.mlp.hook_post"}, ["12.mlp.hook_post/7"]),
        ({"status": "dead"}, ["12.mlp.hook_post/7"]),
        ({"score_min": 0.5}, ["5.mlp.hook_post/132"]),
        ({"score_max": 0.5}, ["5.mlp.hook_post/131"]),
        ({"q": "names of rivers"}, ["5.mlp.hook_post/131"]),
        ({"q": "nothing"}, []),
        ({"sort": "-score", "limit": 1}, ["5.mlp.hook_post/132"]),
    ],
)
def test_labels_are_filtered_searched_and_sorted(
    client: TestClient, params: dict[str, object], found: list[str]
) -> None:
    assert units(client, **params) == found


@pytest.mark.parametrize("sort", ["llm_score", "-llm_score", "llm_added", "-llm_added"])
def test_labels_are_sorted_by_the_llm_s_scores(
    client: TestClient, service: Service, sort: str
) -> None:
    put_labels(service.stores, [make_sense_label(unit=make_unit(3, hook="blocks.9.x"))])
    assert units(client, sort=sort, limit=1) == ["9.x/3"]
    assert len(units(client, sort=sort)) == 4


def test_pages_go_on_where_they_ended_while_labels_come(
    client: TestClient, service: Service
) -> None:
    page = client.get(LABELS, params={"limit": 1}).json()
    put_labels(service.stores, [make_label(make_unit(1))])
    rest = client.get(LABELS, params={"limit": 9, "cursor": page["next"]}).json()
    assert [row["index"] for row in rest["items"]] == [132, 7]
    assert rest["next"] is None


@pytest.mark.parametrize(
    "params",
    [
        {"cursor": "nonsense"},
        {"cursor": "\u00e9"},
        {"limit": 0},
        {"limit": 501},
        {"layer": -1},
        {"score_min": "nan"},
        {"score_min": 0.5, "score_max": 0.1},
        {"sort": "name"},
        {"unknown": 1},
        {"q": "x" * 501},
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(
    client: TestClient, params: dict[str, object]
) -> None:
    answer = client.get(LABELS, params=params)
    assert (answer.status_code, answer.json()["status"]) == (422, 422)


@pytest.mark.parametrize("model", ["other", "..", "%2e%2e", "a%00b", "tiny%2f..", "x" * 300])
def test_a_model_without_labels_is_404(client: TestClient, model: str) -> None:
    for path in ("labels", "dictionary", "units/blocks.5.mlp.hook_post/131"):
        answer = client.get(f"/v1/models/{model}/{path}")
        assert answer.status_code == 404
    assert client.get(f"/api/feature/{model}/5/131").status_code == 404


def test_models_are_listed_with_what_they_have(client: TestClient) -> None:
    found = client.get("/v1/models").json()["items"]
    assert found == [
        {"model": "smollm2-135m", "n_labels": 0, "takes_jobs": True, "problem": None},
        {"model": "tiny", "n_labels": 3, "takes_jobs": True, "problem": None},
    ]


def test_a_unit_is_shown_with_its_evidence(client: TestClient) -> None:
    page = UnitPage.model_validate(client.get(UNIT).json())
    side = page.sides[0]
    assert (page.layer, page.index, side.side) == (5, 131, Side.POSITIVE)
    assert [band.band for band in side.exemplars] == ["top", "silent"]
    assert [r.predicted for r in side.held_out][0] == [0.0, 9.0, 1.0, 0.0]
    simulation = side.results[0]
    assert (simulation.n_asked, simulation.n_judged, simulation.n_failed) == (3, 2, 1)
    assert simulation.trials is None


def test_a_unit_with_its_trials_is_the_stored_label(client: TestClient) -> None:
    side = client.get(UNIT, params={"trials": True}).json()["sides"][0]
    label = TypeAdapter(Label).validate_python({**side, "unit": make_unit()})
    assert label == make_label()


def test_a_unit_is_shown_with_both_explanations_its_senses_and_receipts(
    client: TestClient, service: Service
) -> None:
    label = make_sense_label()
    put_labels(service.stores, [label])
    answer = client.get(UNIT, params={"trials": True}).json()
    side = UnitPage.model_validate(answer).sides[0]
    assert side.llm is not None
    assert [sense.kind for sense in side.llm.explanation.senses] == ["phrase", "piece", "topic"]
    assert [sense.mass.value for sense in side.sense_scores] == [0.5, 0.2, 0.02]
    assert sum(bool(receipt.as_expected) for receipt in side.receipts) == 17
    assert side.needs == ["needs ' Anglo' before '-'"]
    stored = TypeAdapter(Label).validate_python({**answer["sides"][0], "unit": make_unit()})
    assert stored == label


def test_both_sides_of_a_unit_are_shown(client: TestClient, service: Service) -> None:
    put_labels(service.stores, [make_label(side=Side.NEGATIVE, text="shouting")])
    service.stores.of("tiny").put_sets(make_sets(side=Side.NEGATIVE))
    sides = client.get(UNIT).json()["sides"]
    assert [side["side"] for side in sides] == ["positive", "negative"]
    assert [len(side["held_out"]) for side in sides] == [3, 3]


def test_a_unit_that_did_not_change_is_not_sent_again(client: TestClient, service: Service) -> None:
    etag = client.get(UNIT).headers["etag"]
    for asked in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = client.get(UNIT, headers={"If-None-Match": asked})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    put_labels(service.stores, [make_label(text="names of brooks")])
    changed = client.get(UNIT, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("blocks.5.mlp.hook_post/999", 404),
        ("blocks.5.mlp.hook_post/-1", 422),
        ("blocks.5.mlp.hook_post/1e3", 422),
        ("blocks.5.mlp.hook_post/99999999999999999999", 422),
        ("mlp.hook_post/1", 404),
        ("blocks.5...%2f..%2f/1", 404),
        ("..%2f..%2fetc/1", 404),
    ],
)
def test_a_unit_that_is_not_there_is_a_problem(client: TestClient, path: str, status: int) -> None:
    answer = client.get(f"/v1/models/tiny/units/{path}")
    assert (answer.status_code, answer.json()["status"]) == (status, status)
