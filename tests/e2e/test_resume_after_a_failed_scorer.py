"""A run one of whose scorers failed is resumed: that scorer is asked again, and nothing else."""

from __future__ import annotations

import json

import pytest
from fake_endpoint import FakeEndpoint, Fault, completion, status
from labelling import Ended, Labelling
from planted_llm import noise

JOB = ("--units", "0:0-2", "--heldout", "4", "--samples", "1", "--explainer", "contrastive")
SCORERS = ("--scorer", "simulation", "--scorer", "detection", "--receipts", "0", "--json")
FAULTS = {
    "unreadable": completion({"content": "perhaps"}),
    "thoughts": completion({"content": "<think>yes</think>"}),
    "refused": status(400, "nein", code="content_filter"),
}


def is_detection(body: dict[str, object]) -> bool:
    return "yes or no" in str(body["messages"])


def found(ended: Ended) -> dict[str, dict[str, object]]:
    return {f"{one['unit']} {one['side']}": one for one in json.loads(ended.out)["labels"]}


@pytest.mark.parametrize("name", FAULTS)
def test_a_scorer_that_failed_is_asked_again_with_resume_and_nothing_else_is(
    labelling: Labelling, endpoint: FakeEndpoint, name: str
) -> None:
    judge, fault = noise(0), FAULTS[name]
    endpoint.handler = lambda request: (
        "yes" if "yes or no" in str(request.messages) else judge(request)
    )

    def failing(body: dict[str, object], good: Fault) -> Fault:
        return fault if is_detection(body) else good

    endpoint.disturb = failing
    arguments = labelling.arguments("a", *JOB, *SCORERS, llm=endpoint.base_url)
    first = labelling(arguments)
    assert first.code == 1, first.err
    labels = found(first)
    failed = [label for label in labels.values() if label["status"] == "failed"]
    assert failed
    assert all("detection" in str(label["reason"]) for label in failed)
    assert all(label["refused"] == (name == "refused") for label in failed)
    assert "--resume tries again" in first.err

    endpoint.disturb = lambda _, good: good
    n_before = len(endpoint.bodies)
    second = labelling([*arguments, "--resume"])
    assert second.code == 0, second.err
    asked = endpoint.bodies[n_before:]
    assert asked
    assert all(map(is_detection, asked))
    after = found(second)
    assert all(label["status"] in {"ok", "no_signal", "dead"} for label in after.values())
    assert {unit: label["explanation"] for unit, label in after.items()} == {
        unit: label["explanation"] for unit, label in labels.items()
    }

    third = labelling([*arguments, "--resume"])
    assert third.code == 0, third.err
    assert len(endpoint.bodies) == n_before + len(asked)
