"""What the labels of a run together say about the model."""

from __future__ import annotations

import pytest
from tiny import tiny_subject

from autointerp.core.config import JobSpec
from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side, UnitId
from autointerp.jobs.outcome_notes import outcome_notes
from autointerp.jobs.run_totals import LabelOutcome

SUBJECT = tiny_subject()
HOOK = "blocks.1.mlp.hook_post"


def notes(scores: list[float | None], density: list[float], *, units: str = "1:0-5") -> list[str]:
    outcomes = [
        LabelOutcome(UnitId("tiny", HOOK, i), Side.POSITIVE, LabelStatus.OK, s, None, True, None, d)
        for i, (s, d) in enumerate(zip(scores, density, strict=True))
    ]
    return list(outcome_notes(outcomes, JobSpec(subject="./my tiny", units=units), SUBJECT))


def test_dense_units_that_nothing_predicts_are_compared_with_random_weights() -> None:
    [note] = notes([0.05, 0.3, -0.1, 0.02, None, 0.07], [0.5] * 6)
    assert note.startswith("all 5 units of tiny are dense (active at more than 10% of the tokens)")
    assert "their median score, 0.05, is one of a model with random weights" in note
    assert "`autointerp sanity './my tiny' --units 1:0-5` scores the same units" in note
    [long] = notes([0.0] * 6, [0.5] * 6, units=",".join(f"1:{i}" for i in range(40)))
    assert "`autointerp sanity './my tiny'` scores" in long


@pytest.mark.parametrize(
    ("scores", "density"),
    [
        ([0.05] * 6, [0.5] * 5 + [0.09]),
        ([0.05] * 2 + [0.2] * 4, [0.5] * 6),
        ([0.05] * 4 + [None] * 2, [0.5] * 6),
        ([None] * 6, [0.5] * 6),
    ],
    ids=["one is sparse", "some are predicted", "too few", "none has a score"],
)
def test_nothing_is_said_of_units_that_may_mean_something(
    scores: list[float | None], density: list[float]
) -> None:
    assert notes(scores, density) == []
