"""One damaged file costs itself only, on every route that reads labels, and is told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from api_service import HEADERS, make_service, say_alive
from damaged_files import DAMAGES
from damaged_rows import (
    LABELS_FILE,
    RECORDS_FILE,
    ROW_DAMAGES,
    StoredRow,
    stored_label,
    stored_sets,
)
from factories import make_label, make_sets, make_unit
from starlette.testclient import TestClient

from autointerp.core.ids import Side
from autointerp.dictionary import row_json
from autointerp.store.labels import LabelStores
from autointerp.store.labels.folder_stores import FolderLabelStores

TINY = "labels/tiny"
UNITS = "/v1/models/tiny/units/blocks.5.mlp.hook_post"
FORMATS = ("parquet", "jsonl", "neuronpedia", "archive")


def filled(folder: Path, *, has_rows: bool = True) -> FolderLabelStores:
    """Labels of the model ``tiny`` and of another one, each side with its row or none."""
    stores = FolderLabelStores(folder / "labels", row_json if has_rows else None)
    make_service(folder, stores=stores)
    stores.of("tiny").put_label(make_label(side=Side.NEGATIVE, text="the other side"))
    other = make_unit(3, subject="other")
    stores.of("other").put_label(make_label(other))
    return stores


@contextmanager
def opened(folder: Path, stores: LabelStores | None = None) -> Iterator[TestClient]:
    """A service that finds those files."""
    stores = stores or FolderLabelStores(folder / "labels", row_json)
    service = make_service(folder, stores=stores, fill=False)
    say_alive(service.backend)
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        yield client


def listed(client: TestClient, model: str = "tiny", **query: object) -> list[tuple[str, str]]:
    answer = client.get(f"/v1/models/{model}/labels", params=query)
    assert answer.status_code == 200, answer.text
    return [(str(row["index"]), row["polarity"]) for row in answer.json()["items"]]


def models(client: TestClient) -> dict[str, dict[str, Any]]:
    answer = client.get("/v1/models")
    assert answer.status_code == 200, answer.text
    return {model["model"]: model for model in answer.json()["items"]}


def check_the_others(client: TestClient) -> None:
    """Everything but what was damaged is there."""
    assert models(client)["other"]["n_labels"] == 1
    for query in ({}, {"sort": "-score"}, {"q": "seas"}, {"layer": 5}, {"status": "ok"}):
        assert ("132", "positive") in listed(client, **query)
    assert listed(client, "other") == [("3", "positive")]
    assert client.get(f"{UNITS}/132").json()["unreadable"] == []
    assert client.get("/api/feature/tiny/5/132").status_code == 200
    for fmt in FORMATS:
        answer = client.get("/v1/models/tiny/dictionary", params={"format": fmt})
        assert answer.status_code == 200, answer.text
        assert answer.content
    lines = client.get("/v1/models/tiny/dictionary", params={"format": "jsonl"}).text.splitlines()
    assert 132 in [json.loads(line)["index"] for line in lines]


@pytest.mark.parametrize("damage", ROW_DAMAGES)
@pytest.mark.parametrize("has_rows", [True, False])
def test_a_damaged_label_costs_itself_only(tmp_path: Path, damage: str, has_rows: bool) -> None:
    filled(tmp_path, has_rows=has_rows)
    stored_label(tmp_path / TINY).damage(ROW_DAMAGES[damage])
    with opened(tmp_path) as client:
        check_the_others(client)
        page = client.get(f"{UNITS}/131")
        assert page.status_code == 200
        assert [side["side"] for side in page.json()["sides"]] == ["negative"]
        assert "131 (positive) in" in page.json()["unreadable"][0]
        assert client.get("/api/feature/tiny/5/131").status_code == 200
        tiny = models(client)["tiny"]
        assert tiny["n_labels"] == 3 + has_rows
        if not has_rows:
            assert "131 (positive) in" in tiny["problem"]
            assert (
                "a label cannot be read" in client.get("/readyz").json()["parts"]["store"]["detail"]
            )
        assert client.get("/readyz").status_code == 200


def test_a_label_whose_content_is_put_back_is_listed_again(tmp_path: Path) -> None:
    filled(tmp_path, has_rows=False)
    row = stored_label(tmp_path / TINY)
    before = row.content
    row.put(b"{half")
    with opened(tmp_path) as client:
        assert models(client)["tiny"]["n_labels"] == 3
        row.put(before)
        assert models(client)["tiny"]["problem"] is None
        assert ("131", "positive") in listed(client)
        row.put(b"{half")
        assert ("131", "positive") in listed(client)


@pytest.mark.parametrize("damage", ROW_DAMAGES)
def test_a_label_that_is_made_again_is_listed_again(tmp_path: Path, damage: str) -> None:
    stores = filled(tmp_path, has_rows=False)
    stored_label(tmp_path / TINY).damage(ROW_DAMAGES[damage])
    with opened(tmp_path) as client:
        assert ("131", "positive") not in listed(client)
        stores.of("tiny").put_label(make_label())
        assert ("131", "positive") in listed(client)
        assert models(client)["tiny"]["problem"] is None
        assert client.get(f"{UNITS}/131").json()["unreadable"] == []


def test_the_only_label_of_a_unit_that_is_damaged_is_503_with_its_name(tmp_path: Path) -> None:
    filled(tmp_path)
    stored_label(tmp_path / TINY, 132).put(b"{half")
    with opened(tmp_path) as client:
        for url in (f"{UNITS}/132", "/api/feature/tiny/5/132"):
            answer = client.get(url)
            assert (answer.status_code, answer.json()["code"]) == (503, "storage_refused")
            assert "132 (positive) in" in answer.json()["detail"]


@pytest.mark.parametrize("damage", ROW_DAMAGES)
def test_damaged_records_cost_themselves_only(tmp_path: Path, damage: str) -> None:
    stores = filled(tmp_path)
    stored_sets(tmp_path / TINY).damage(ROW_DAMAGES[damage])
    with opened(tmp_path) as client:
        check_the_others(client)
        page = client.get(f"{UNITS}/131").json()
        assert [side["exemplars"] for side in page["sides"]] == [[], []]
        assert "the records of 131 (positive) in" in page["unreadable"][0]
        assert client.get("/api/feature/tiny/5/131").json()["activations"] == []
        stores.of("tiny").put_sets(make_sets())
        assert client.get(f"{UNITS}/131").json()["sides"][0]["exemplars"]
        assert client.get("/api/feature/tiny/5/131").json()["activations"]


@pytest.mark.parametrize("damage", ["cut", "zeros", "folder", "unreadable", "pipe"])
def test_a_file_of_records_that_cannot_be_opened_costs_records_only(
    tmp_path: Path, damage: str
) -> None:
    filled(tmp_path)
    path = tmp_path / TINY / RECORDS_FILE
    DAMAGES[damage](path)
    with opened(tmp_path) as client:
        assert ("131", "positive") in listed(client)
        page = client.get(f"{UNITS}/131").json()
        assert len(page["sides"]) == 2
        assert all(str(path) in sentence for sentence in page["unreadable"])
        for fmt in FORMATS:
            answer = client.get("/v1/models/tiny/dictionary", params={"format": fmt})
            assert (answer.status_code, bool(answer.content)) == (200, True)


@pytest.mark.parametrize("damage", ["cut", "zeros", "folder", "unreadable", "pipe", "newer"])
def test_a_file_of_labels_that_cannot_be_opened_costs_its_model_only(
    tmp_path: Path, damage: str
) -> None:
    filled(tmp_path)
    path = tmp_path / TINY / LABELS_FILE
    if damage == "newer":
        # The version that a program gives its tables lies at this place of every such file.
        path.write_bytes(path.read_bytes()[:60] + b"\0\0\0\x09" + path.read_bytes()[64:])
    else:
        DAMAGES[damage](path)
    with opened(tmp_path) as client:
        found = models(client)
        assert found["other"]["n_labels"] == 1
        assert str(path) in found["tiny"]["problem"]
        assert ("upgrade autointerp" in found["tiny"]["problem"]) == (damage == "newer")
        for url in ("/v1/models/tiny/labels", f"{UNITS}/131"):
            answer = client.get(url)
            assert answer.status_code in {422, 503}
            assert str(path) in answer.json()["detail"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_vectors_of_explanations_are_made_anew(tmp_path: Path, damage: str) -> None:
    """Those of search by meaning."""
    from api_service import embed_letters

    filled(tmp_path)

    def found() -> list[str]:
        service = make_service(
            tmp_path, stores=FolderLabelStores(tmp_path / "labels", row_json), fill=False
        )
        service.worker.reply = embed_letters
        with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
            answer = client.get("/v1/models/tiny/labels", params={"meaning": "names of seas"})
            assert answer.status_code == 200, answer.text
            return [str(row["index"]) for row in answer.json()["items"]]

    assert found()[0] == "132"
    path = next((tmp_path / "downloads" / "meaning").glob("*.npz"))
    DAMAGES[damage](path)
    assert found()[0] == "132"


@pytest.mark.parametrize("damage", ROW_DAMAGES)
def test_what_is_left_out_of_a_dictionary_comes_back_with_it(tmp_path: Path, damage: str) -> None:
    """A file that lacks something is not kept for later readers."""
    stores = filled(tmp_path)
    row = stored_label(tmp_path / TINY)
    before = row.content
    with opened(tmp_path, stores) as client:
        asked = {"format": "neuronpedia"}
        row.damage(ROW_DAMAGES[damage])
        without = client.get("/v1/models/tiny/dictionary", params=asked).content
        stores.of("tiny").put_label(make_label())
        assert row.content == before
        assert client.get("/v1/models/tiny/dictionary", params=asked).content != without


@pytest.mark.parametrize("fmt", ["neuronpedia", "archive"])
@pytest.mark.parametrize("what", [stored_label, stored_sets])
def test_a_dictionary_that_lacks_something_is_not_taken_for_the_whole_one(
    tmp_path: Path, fmt: str, what: Callable[[Path], StoredRow]
) -> None:
    """Also where the file is mended without a put, and a cut download is gone on with."""
    stores = filled(tmp_path)
    row = what(tmp_path / TINY)
    before = row.content
    asked: dict[str, Any] = {"url": "/v1/models/tiny/dictionary", "params": {"format": fmt}}
    with opened(tmp_path, stores) as client:
        row.put(b"{half")
        without = client.get(**asked)
        tag = without.headers["etag"]
        again = client.get(**asked, headers={"If-None-Match": tag})
        assert (again.status_code, again.headers["etag"] != tag) == (200, True)
        row.put(before)
        resumed = client.get(**asked, headers={"Range": "bytes=100-", "If-Range": tag})
        whole = client.get(**asked)
        assert resumed.status_code == 200
        assert resumed.content == whole.content != without.content
        assert whole.headers["etag"] not in {tag, again.headers["etag"]}


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_dictionary_that_a_server_finds_made_is_known_by_its_tag(
    tmp_path: Path, fmt: str
) -> None:
    stores = filled(tmp_path)
    asked: dict[str, Any] = {"url": "/v1/models/tiny/dictionary", "params": {"format": fmt}}
    with opened(tmp_path, stores) as client:
        made = client.get(**asked)
        headers = {"If-None-Match": made.headers["etag"]}
        assert client.get(**asked, headers=headers).status_code == 304
        assert client.head(**asked).headers["etag"] == made.headers["etag"]
        # Clients keep so much of it in the name of a part.
        assert re.fullmatch('"[0-9a-f]{32,40}"', made.headers["etag"])
    with opened(tmp_path, stores) as client:
        found = client.get(**asked)
        headers = {"If-None-Match": found.headers["etag"]}
        assert found.content == made.content
        assert client.get(**asked, headers=headers).status_code == 304
    with opened(tmp_path, stores) as client:
        assert client.get(**asked, headers=headers).status_code == 304


def test_a_label_that_changes_while_its_row_does_not_makes_another_archive(tmp_path: Path) -> None:
    stores, sets = filled(tmp_path), make_sets()
    other = replace(sets, explain=replace(sets.explain, records=sets.explain.records[:1]))
    asked: dict[str, Any] = {"url": "/v1/models/tiny/dictionary", "params": {"format": "archive"}}
    with opened(tmp_path, stores) as client:
        before = client.get(**asked)
        stores.of("tiny").put_sets(other)
        stores.of("tiny").put_label(make_label())
        after = client.get(**asked)
        assert after.headers["etag"] != before.headers["etag"]
        assert after.content != before.content
