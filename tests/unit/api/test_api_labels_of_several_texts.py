"""Labels of one unit from several texts, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_service import HEADERS, Service, put_labels
from factories import make_label, make_sets
from starlette.testclient import TestClient
from two_texts import service_of_two_texts

from autointerp.core.ids import Side

LABELS = "/v1/models/tiny/labels"
PAGE = "/v1/models/tiny/units/blocks.5.mlp.hook_post/131"
DICTIONARY = "/v1/models/tiny/dictionary"


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return service_of_two_texts(tmp_path)


@pytest.fixture
def client(service: Service) -> Iterator[TestClient]:
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        yield client


def listed(client: TestClient, **query: str) -> list[tuple[int, str, str | None]]:
    answer = client.get(LABELS, params=query)
    assert answer.status_code == 200, answer.text
    return [(r["index"], r["corpus"], r["explainer"]) for r in answer.json()["items"]]


def test_a_list_has_the_newest_and_says_from_which_text_and_by_which_explainer(
    client: TestClient,
) -> None:
    assert (131, "python", "senses") in listed(client)
    assert [row[0] for row in listed(client)].count(131) == 1


def test_a_list_of_one_text_has_labels_that_gave_way(client: TestClient) -> None:
    assert (131, "wiki", "token_activation") in listed(client, corpus="wiki")
    assert listed(client, corpus="python") == [(131, "python", "senses")]
    assert listed(client, explainer="senses") == [(131, "python", "senses")]
    assert listed(client, corpus="code") == []
    assert listed(client, corpus="wiki", q="rivers")[0][1] == "wiki"
    assert listed(client, q="rivers") == []


def test_a_page_shows_the_newest_and_names_the_other(client: TestClient) -> None:
    page = client.get(PAGE).json()
    assert [(s["explanation"]["text"], s["peak"]) for s in page["sides"]] == [
        ("names of functions", 77.0)
    ]
    [other] = page["others"]
    assert (other["corpus"], other["explainer"]) == ("wiki", "token_activation")
    assert (other["description"], other["score"]) == ("names of rivers", 0.42)


def test_a_page_of_one_text_shows_its_label_and_records(client: TestClient) -> None:
    page = client.get(PAGE, params={"corpus": "wiki", "trials": True}).json()
    [side] = page["sides"]
    assert (side["explanation"]["text"], side["peak"] < 77) == ("names of rivers", True)
    assert side["results"][0]["trials"] is not None
    assert [other["corpus"] for other in page["others"]] == ["python"]


def test_a_text_without_a_label_is_told_with_those_that_there_are(client: TestClient) -> None:
    answer = client.get(PAGE, params={"corpus": "code"})
    assert (answer.status_code, answer.json()["code"]) == (404, "label_unknown")
    for origin in ("corpus=python explainer=senses", "corpus=wiki explainer=token_activation"):
        assert origin in answer.json()["detail"]


def test_neuronpedia_s_row_says_the_text_of_each_side(service: Service, client: TestClient) -> None:
    label = make_label(side=Side.NEGATIVE)
    service.stores.of("tiny").put_sets(make_sets(side=Side.NEGATIVE), label.origin)
    put_labels(service.stores, [label])
    rows = client.get("/api/feature/tiny/5/131").json()["activations"]
    assert {(row["polarity"], row["dataSource"]) for row in rows} == {
        ("positive", "python"),
        ("negative", "wiki"),
    }


def test_a_table_is_of_the_newest_or_of_one_text(client: TestClient) -> None:
    def rows(**query: str) -> list[tuple[int, str]]:
        text = client.get(DICTIONARY, params={"format": "jsonl", **query}).text
        return [(row["index"], row["corpus"]) for row in map(json.loads, text.splitlines())]

    assert rows().count((131, "python")) == 1
    assert (131, "wiki") not in rows()
    assert (131, "wiki") in rows(corpus="wiki")
    assert rows(explainer="senses") == [(131, "python")]
    refused = client.get(DICTIONARY, params={"format": "archive", "corpus": "wiki"})
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_request")
