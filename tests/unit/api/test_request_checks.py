"""Units that a request names, counted and checked by what a worker noted about the model."""

from __future__ import annotations

import json

import pytest
from memory_jobs import MemoryJobs

from autointerp.api import ApiConfig
from autointerp.api.problems import Problem
from autointerp.api.request_checks import (
    ModelFacts,
    check_llm_model,
    check_units,
    facts_of,
    read_units,
)

NOTE = {
    "n_layers": 3,
    "hooks": [
        {"hook": "blocks.0.mlp.hook_post", "width": 8},
        {"hook": "blocks.1.mlp.hook_post", "width": 6},
        {"hook": "blocks.1.hook_resid_post", "width": 4},
    ],
}
FACTS = ModelFacts.model_validate(NOTE)


def is_let_through(units: str, facts: ModelFacts | None, limit: int) -> bool:
    try:
        check_units(read_units(units), facts, limit=limit)
    except Problem as problem:
        return problem.code != "too_many_units"
    return True


@pytest.mark.parametrize(
    ("units", "with_facts", "without"),
    [
        ("0:0-7", 8, 8),
        ("0:3", 1, 1),
        ("0:3,1:0-1", 3, 3),
        ("layer:0", 8, 0),
        ("layer:2", 0, 0),
        ("layer:0,layer:1", 14, 0),
        ("all", 14, 0),
        ("random:5", 5, 5),
        ("sae:a.safetensors:0-9", 10, 10),
        ("sae:a.safetensors:all", 0, 0),
        ("dirs:a.safetensors", 0, 0),
        ("blocks.2.hook_resid_post:0-99", 100, 100),
    ],
)
def test_units_are_counted_as_far_as_they_are_known(
    units: str, with_facts: int, without: int
) -> None:
    for facts, n in ((FACTS, with_facts), (None, without)):
        assert is_let_through(units, facts, n)
        assert not is_let_through(units, facts, n - 1)


@pytest.mark.parametrize(
    ("units", "said"),
    [
        ("0:8", "has the units 0 to 7"),
        ("0:0-8", "has the units 0 to 7"),
        ("blocks.1.hook_resid_post:4", "has the units 0 to 3"),
        ("3:0", "the model has the layers 0 to 2"),
        ("layer:3", "the model has the layers 0 to 2"),
    ],
)
def test_units_that_the_model_does_not_have_are_refused(units: str, said: str) -> None:
    with pytest.raises(Problem, match=said) as refused:
        check_units(read_units(units), FACTS, limit=100)
    assert (refused.value.status, refused.value.code) == (422, "unit_unknown")


def test_a_number_of_units_is_named_up_to_a_million_millions() -> None:
    for n, named in ((10**12 - 1, "999,999,999,999 units"), (10**12, "too many units")):
        with pytest.raises(Problem, match=f"{named} were asked for, at most 7$"):
            check_units(read_units(f"random:{n}"), None, limit=7)


def test_units_out_of_the_grammar_are_422() -> None:
    with pytest.raises(Problem) as refused:
        read_units("neurons, please")
    assert (refused.value.status, refused.value.code) == (422, "unit_unknown")


def test_a_note_of_another_version_is_as_none() -> None:
    jobs = MemoryJobs().backend.jobs
    assert facts_of(jobs, "tiny") is None
    jobs.put_note("models", "tiny", json.dumps({"layers": 3}))
    assert facts_of(jobs, "tiny") is None
    jobs.put_note("models", "tiny", json.dumps(NOTE))
    assert facts_of(jobs, "tiny") == FACTS


def test_a_model_of_an_llm_is_refused_where_the_alias_leads_to_none() -> None:
    check_llm_model(ApiConfig(), "none", None)
    with pytest.raises(Problem, match="llm 'none' takes no llm_model") as refused:
        check_llm_model(ApiConfig(), "none", "gpt-5")
    assert (refused.value.status, refused.value.code) == (422, "llm_model_unknown")
