"""A job may be submitted with the names of the command line's options."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

SHORT = {
    "subject": "tiny",
    "units": "5:0-9",
    "llm": "none",
    "corpus": "wiki",
    "tokens": 4000,
    "n_ctx": 32,
    "heldout": 6,
    "explainer": "token_lookup",
    "top": 5,
    "budget_tokens": 1000,
}
FULL = {
    "subject": "tiny",
    "units": "5:0-9",
    "llm": "none",
    "corpus": {"corpus": "wiki", "n_tokens": 4000, "n_ctx": 32},
    "score": {"n_heldout": 6},
    "explain": {"explainers": ["token_lookup"], "n_exemplars": 5},
    "select": {"n_top": 5},
    "budget": {"tokens": 1000},
}


def test_short_names_give_the_job_that_whole_fields_give(client: TestClient) -> None:
    made = [client.post("/v1/jobs", json=body).json() for body in (SHORT, FULL)]
    assert made[0]["spec"] == made[1]["spec"]
    assert made[0]["budget"] == made[1]["budget"]
    assert made[0]["budget"]["tokens"] == 1000


def test_short_names_stand_beside_other_fields(client: TestClient) -> None:
    body = {"units": "5:0", "llm": "none", "tokens": 4000, "corpus": {"n_ctx": 16}}
    spec = client.post("/v1/jobs", json=body).json()["spec"]
    assert (spec["corpus"]["n_tokens"], spec["corpus"]["n_ctx"]) == (4000, 16)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"tokens": 1, "corpus": {"n_tokens": 2}}, "tokens and corpus.n_tokens are the same field"),
        ({"budget_usd": 1, "budget": {"usd": 2}}, "budget_usd and budget.usd are the same field"),
        ({"tokens": "many"}, "corpus.n_tokens"),
        ({"top": 5, "select": 3}, "select"),
        ({"tokns": 5}, "tokns"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(
    client: TestClient, more: dict[str, Any], told: str
) -> None:
    answer = client.post("/v1/jobs", json={"units": "5:0", "llm": "none", **more})
    assert answer.status_code == 422
    assert told in answer.text
