"""Two dictionaries of a server: what moved between them, and one unit in both."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from api_service import HEADERS, Service, make_service
from factories import make_label, make_sets, make_unit
from starlette.testclient import TestClient
from two_texts import of_python

from autointerp.core.explanations import Label, LabelStatus
from autointerp.core.ids import Side
from autointerp.core.unit_spec import HookItem, IndexRange, parse_unit_spec
from autointerp.dictionary import row_json
from autointerp.store.labels import FolderLabelStore, LabelStore
from autointerp.store.labels.folder_stores import FolderLabelStores

DIFF = "/v1/diff"
WIKI, PYTHON = "tiny?corpus=wiki", "tiny?corpus=python"
UNIT = {"model": "tiny", "hook": "blocks.5.mlp.hook_post", "index": 131}


def scored(index: int, value: float | None, hook: str = "blocks.5.mlp.hook_post") -> Label:
    """A label whose score has an interval of 0.1 to either side, or no score."""
    unit = make_unit(index, hook=hook)
    if value is None:
        return make_label(unit, status=LabelStatus.DEAD)
    return make_label(unit, score=value)


def put(store: LabelStore, *labels: Label) -> None:
    for label in labels:
        store.put_sets(make_sets(label.unit), label.origin)
        store.put_label(label)


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """Of ``tiny`` labels from two texts and at two hook points, and a second run of it."""
    stores = FolderLabelStores(tmp_path / "labels", row_json)
    service = make_service(tmp_path, stores=stores)
    now = {131: 0.4, 132: 0.9, 133: 0.5, 134: None}
    put(stores.of("tiny"), *(of_python(scored(i, v)) for i, v in now.items() if v))
    put(stores.of("tiny"), *(scored(i, v) for i, v in now.items()))
    put(stores.of("tiny"), scored(131, 0.7, "blocks.5.mlp.hook_pre"))
    other = {131: 0.9, 132: 0.2, 133: 0.52, 140: 0.3}
    run = FolderLabelStore(tmp_path / "labels" / "rerun", row_json)
    put(run, *(scored(i, v) for i, v in other.items()))
    put(FolderLabelStore(tmp_path / "labels" / "apart", row_json), scored(900, 0.3))
    return service


@pytest.fixture
def client(service: Service) -> Iterator[TestClient]:
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        yield client


def test_what_moved_comes_with_the_greatest_change_first(client: TestClient) -> None:
    found = client.get(DIFF, params={"a": "tiny", "b": "rerun"}).json()
    assert [one["index"] for one in found["units"]] == [132, 131]
    assert (found["n_common"], found["n_scored"], found["n_moved"]) == (3, 3, 2)
    assert (found["n_only_a"], found["n_only_b"], found["next"]) == (3, 1, None)
    first = found["units"][0]["difference"]
    assert (first["value"], first["method"]) == (pytest.approx(-0.7), "intervals")
    assert first["low"] < first["value"] < first["high"] < 0


@pytest.mark.parametrize(
    ("sort", "order"),
    [("-change", [131, 133, 132]), ("change", [132, 133, 131]), ("unit", [131, 132, 133])],
)
def test_all_units_come_in_any_order_a_page_at_a_time(
    client: TestClient, sort: str, order: list[int]
) -> None:
    asked = {"a": "tiny", "b": "rerun", "only": "all", "sort": sort, "limit": "2"}
    first = client.get(DIFF, params=asked).json()
    rest = client.get(DIFF, params={**asked, "cursor": first["next"]}).json()
    assert [one["index"] for one in (*first["units"], *rest["units"])] == order
    assert (first["n_listed"], rest["next"]) == (3, None)
    wrong = client.get(DIFF, params={**asked, "sort": "size", "cursor": first["next"]})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "bad_cursor")


def test_labels_of_two_texts_and_explainers_are_dictionaries_too(client: TestClient) -> None:
    found = client.get(DIFF, params={"a": PYTHON, "b": WIKI, "only": "changed"}).json()
    assert found["differing_inputs"] == ["corpus is python in A and wiki in B"]
    assert {tuple(one["changed"]) for one in found["units"]} == {("text", "explainer")}
    assert found["units"][0]["a"]["text"] == "names of functions"
    by = client.get(DIFF, params={"a": "tiny?explainer=senses", "b": "tiny"}).json()
    assert by["n_common"] == 3


def test_hook_points_of_one_layer_are_matched_by_index(client: TestClient) -> None:
    asked = {"a": "tiny?site=mlp.hook_pre", "b": "tiny?site=mlp.hook_post", "only": "all"}
    [one] = client.get(DIFF, params=asked).json()["units"]
    assert (one["hook"], one["index"]) == ("blocks.5.mlp.hook_pre", 131)
    assert one["difference"]["value"] == pytest.approx(-0.3)


@pytest.mark.parametrize(
    ("a", "status", "code"),
    [
        ("nothing", 404, "model_unknown"),
        ("tiny?corpus=code", 404, "label_unknown"),
        ("tiny?colour=red", 422, "dictionary_unknown"),
        ("tiny?corpus=a&corpus=b", 422, "dictionary_unknown"),
        ("?corpus=wiki", 422, "dictionary_unknown"),
        ("tiny?site=mlp.hook_mid", 404, "label_unknown"),
        ("apart", 404, "nothing_in_common"),
    ],
)
def test_a_dictionary_that_is_not_there_is_told(
    client: TestClient, a: str, status: int, code: str
) -> None:
    answer = client.get(DIFF, params={"a": a, "b": "rerun"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_labels_that_come_later_are_compared(client: TestClient, service: Service) -> None:
    asked = {"a": "tiny", "b": "rerun", "only": "all"}
    assert client.get(DIFF, params=asked).json()["n_common"] == 3
    put(service.stores.of("rerun"), scored(134, 0.3))
    found = client.get(DIFF, params={**asked, "sort": "unit"}).json()
    assert [one["difference"] for one in found["units"]][3] is None
    assert found["n_common"] == 4


def test_while_many_labels_are_compared_the_page_says_so_and_looks_again(
    client: TestClient, service: Service
) -> None:
    both, done = {"a": "tiny", "b": "rerun"}, threading.Event()
    service.app.state.app_state.comparisons._pool.submit(done.wait, 60)
    for path in ("/moved", DIFF):
        answer = client.get(path, params=both)
        assert (answer.status_code, answer.headers["refresh"]) == (503, "3")
        assert "iny and rerun are being compared" in answer.text
    done.set()
    assert client.get(DIFF, params=both).json()["n_common"] == 3
    # While it is compared anew what is known is shown.
    done.clear()
    service.app.state.app_state.comparisons._pool.submit(done.wait, 60)
    put(service.stores.of("tiny"), scored(140, 0.9))
    assert client.get("/moved", params=both).status_code == 200
    done.set()


def test_the_page_leads_from_what_moved_to_the_unit_in_both(client: TestClient) -> None:
    assert "/moved?a=tiny" in client.get("/models/tiny").text
    client.get("/models/rerun")
    page = client.get("/moved", params={"a": "tiny", "b": "rerun"}).text
    assert '<option value="tiny?corpus=wiki">' in page
    assert page.index(">5:132</a>") < page.index(">5:131</a>")
    assert "5:133" not in page
    both = client.get(unescape(re.findall(r'href="(/compare[^"]+)"', page)[0])).text
    assert "A: tiny" in both
    assert 'href="/models/rerun/units/blocks.5.mlp.hook_post/132"' in both
    assert "-0.70" in both
    assert "Where it is active most" in both


def test_the_page_says_what_cannot_be_compared_and_keeps_its_form(client: TestClient) -> None:
    page = client.get("/moved", params={"a": "tiny", "b": "<none>"}).text
    assert "There are no labels of a model of that name." in page
    assert '<option value="&lt;none&gt;" selected>' in page
    assert 'name="a"' in client.get("/moved").text
    wrong = client.get("/moved", params={"a": "tiny", "b": "rerun", "sort": "x"}).text
    assert "Sort: " in wrong


def test_a_unit_is_compared_in_dictionaries_of_two_hook_points(client: TestClient) -> None:
    asked = {**UNIT, "a": "tiny?site=mlp.hook_pre", "b": "tiny"}
    page = client.get("/compare", params=asked).text
    assert 'href="/models/tiny/units/blocks.5.mlp.hook_pre/131"' in page
    assert "hook point" in page.partition("Other than the first")[2]
    missing = client.get("/compare", params={**UNIT, "index": 140, "a": "tiny", "b": "rerun"})
    assert "A has no label of this unit." in missing.text


def test_opposite_sides_of_a_unit_stand_together_and_are_counted(
    client: TestClient, service: Service
) -> None:
    unit = make_unit(133, hook="blocks.5.mlp.hook_pre")
    put(service.stores.of("tiny"), make_label(unit, Side.NEGATIVE, score=0.3))
    asked = {"a": "tiny?site=mlp.hook_pre", "b": "tiny?site=mlp.hook_post"}
    found = client.get(DIFF, params=asked).json()
    assert (found["n_common"], found["n_opposite"]) == (1, 1)
    assert "of these 1 unit is in both on opposite sides" in client.get("/moved", params=asked).text
    both = client.get("/compare", params={**UNIT, "index": 133, **asked}).text
    assert "<h2>Opposite sides: negative in A and positive in B</h2>" in both
    assert "their scores are not compared" in both
    assert "There is one label of this side" not in both


def test_a_side_that_one_dictionary_lacks_is_told(client: TestClient, service: Service) -> None:
    negative = make_label(make_unit(133), Side.NEGATIVE, score=0.3)
    put(service.stores.of("tiny"), negative)
    page = client.get("/compare", params={**UNIT, "index": 133, "a": "tiny", "b": "rerun"}).text
    assert page.count("The other dictionary has no label of this side.") == 1
    assert client.get(DIFF, params={"a": "tiny", "b": "rerun"}).json()["n_opposite"] == 0


def test_the_command_for_a_second_label_names_the_unit_as_label_reads_it(
    client: TestClient,
) -> None:
    page = client.get("/compare", params={**UNIT, "hook": "blocks.5.mlp.hook_pre"}).text
    [units] = re.findall(r"--units (\S+) --explainer", page)
    [item] = parse_unit_spec(units).items
    assert item == HookItem("blocks.5.mlp.hook_pre", IndexRange(131, 131))
