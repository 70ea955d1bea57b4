from __future__ import annotations

from typing import Any

import httpx
import pytest
from api_service import Service, put_labels
from factories import make_label, make_unit
from starlette.testclient import TestClient

PRE = make_unit(3, hook="blocks.5.hook_resid_post")


def sae_lens_reads(server: str, *, feature: int, layer: int, model: str, dataset: str) -> Any:
    """What SAELens' ``get_neuronpedia_feature`` does, with another address."""
    found = httpx.get(f"{server}/api/feature/{model}/{layer}-{dataset}/{feature}").json()
    found["index"] = int(found["index"])
    return found


def test_the_row_has_what_readers_of_neuronpedia_take(client: TestClient) -> None:
    row = client.get("/api/feature/tiny/5/131").json()
    assert (row["modelId"], row["layer"], row["index"]) == ("tiny", "5", "131")
    assert row["explanations"][0]["description"] == "names of rivers"
    assert row["explanations"][0]["typeName"] == "token_activation"
    strongest = row["activations"][0]
    assert strongest["maxValue"] == max(strongest["values"])
    assert strongest["tokens"][strongest["maxValueTokenIndex"]] == " river"
    assert len(strongest["tokens"]) == len(strongest["values"])
    for name in ("pos_str", "neg_str", "pos_values", "neg_values", "maxActApprox", "frac_nonzero"):
        assert name in row


def test_a_reader_that_names_the_dataset_finds_another_hook_point(
    service: Service, url: str
) -> None:
    put_labels(service.stores, [make_label(PRE)])
    row = sae_lens_reads(url, feature=3, layer=5, model="tiny", dataset="hook_resid_post")
    assert (row["index"], row["layer"]) == (3, "5-hook_resid_post")
    assert row["activations"] == []


def test_a_row_that_did_not_change_is_not_sent_again(client: TestClient) -> None:
    etag = client.get("/api/feature/tiny/5/131").headers["etag"]
    again = client.get("/api/feature/tiny/5/131", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("layer", ["x", "-1", "05", "5-", "5-..", "\u0665"])
def test_a_layer_that_is_none_is_404(client: TestClient, layer: str) -> None:
    answer = client.get(f"/api/feature/tiny/{layer}/131999")
    assert (answer.status_code, answer.json()["status"]) == (404, 404)
