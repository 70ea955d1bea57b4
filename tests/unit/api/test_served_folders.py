"""Dictionaries in folders that are not named after their subject model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from api_service import HEADERS, Service, find_units, make_service, score_words
from factories import make_label, make_sets, make_unit
from starlette.testclient import TestClient
from two_texts import of_python

from autointerp.dictionary import row_json
from autointerp.store.labels.folder_store import FolderLabelStore
from autointerp.store.labels.folder_stores import FolderLabelStores

UNIT = "units/blocks.5.mlp.hook_post/131"


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """A run of ``tiny`` whose folder was put there as ``second run``."""
    run = FolderLabelStore(tmp_path / "labels" / "second%20run", row_json)
    for label in (make_label(make_unit(130)), of_python(make_label()), make_label()):
        run.put_sets(make_sets(label.unit), label.origin)
        run.put_label(label)
    return make_service(tmp_path, stores=FolderLabelStores(tmp_path / "labels", row_json))


@pytest.fixture
def client(service: Service) -> Iterator[TestClient]:
    with TestClient(service.app, headers=HEADERS, client=("127.0.0.1", 5)) as client:
        yield client


def test_pages_of_such_a_folder_lead_to_each_other(client: TestClient) -> None:
    model = client.get("/models/second%20run").text
    assert f'href="/models/second%20run/{UNIT}"' in model
    assert "/models/tiny" not in model
    page = client.get(f"/models/second%20run/{UNIT}")
    assert page.status_code == 200
    assert "Where it is active" in page.text
    assert 'href="/models/second%20run/units/blocks.5.mlp.hook_post/130"' in page.text
    # The editor reads the model that the labels are of.
    assert 'data-model="tiny"' in page.text


def test_rest_reads_its_labels_and_those_beside_them(client: TestClient) -> None:
    page = client.get(f"/v1/models/second%20run/{UNIT}").json()
    assert (page["model"], len(page["sides"][0]["exemplars"])) == ("tiny", 2)
    assert [other["corpus"] for other in page["others"]] == ["python"]
    older = client.get(f"/v1/models/second%20run/{UNIT}", params={"corpus": "python"}).json()
    assert older["sides"][0]["explanation"]["text"] == "names of functions"


def test_workers_are_asked_for_the_model_of_the_labels(
    client: TestClient, service: Service
) -> None:
    service.worker.reply = find_units
    found = client.post("/v1/models/second%20run/strongest", json={"text": "a b"}).json()
    assert found["units"][0]["description"] == "names of rivers"
    service.worker.reply = score_words
    path = f"/v1/models/second%20run/{UNIT}/explanations"
    assert client.post(path, json={"program": '10: token = " a"'}).status_code == 200
    [(_, text), (_, explanation)] = service.worker.asked
    assert text["model"] == "tiny"
    assert explanation["unit"] == "second run/blocks.5.mlp.hook_post/131"
