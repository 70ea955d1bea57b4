"""The generative score: written texts against natural windows, with the windows' weights."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from texts_by_explanation import CATS, DOGS, WINDOWS, writer

from autointerp.core.explanations import Explanation
from autointerp.core.scores import ScorerResult
from autointerp.llm import Handler, ScriptedModel
from autointerp.scorers import ScoringSet
from autointerp.scorers.generative import Generative
from autointerp.statistics.closed_form_intervals import weighted_quantile

GOLDEN = Path(__file__).parents[2] / "golden"
WEIGHTED = replace(
    WINDOWS,
    records=tuple(
        replace(record, weight=weight)
        for record, weight in zip(WINDOWS.records, (2.0, 8.0, 30.0), strict=True)
    ),
)


def scored(
    explanation: Explanation, windows: ScoringSet = WEIGHTED, handler: Handler = writer
) -> ScorerResult:
    return asyncio.run(Generative(ScriptedModel(handler)).score(explanation, windows))


def test_texts_by_the_right_explanation_are_above_natural_text_and_near_misses() -> None:
    right, wrong = scored(CATS), scored(DOGS)
    # Natural peaks are 3.5, 1.25 and 0 with weights 2, 8 and 30; "cats" is 3.0, the rest 0.4.
    assert right.score("clarity").value == pytest.approx(2 * 38 / 40 - 1, abs=1e-9)
    assert right.score("against_near_misses").value == pytest.approx(1.0, abs=1e-9)
    assert right.score("share_above_q90").value == 1.0
    assert wrong.score("clarity").value == pytest.approx(2 * 30 / 40 - 1, abs=1e-9)
    assert wrong.score("near_miss_clarity").value == wrong.score("clarity").value
    assert wrong.score("against_near_misses").value == pytest.approx(0.0, abs=1e-9)
    assert wrong.score("share_above_q90").value == 0.0
    for score in (*right.scores, *wrong.scores):
        assert score.low is not None
        assert score.high is not None
        assert -1 <= score.low <= (score.value or 0.0) <= score.high <= 1


def test_long_texts_are_read_as_far_as_the_longest_window() -> None:
    def long(request: object) -> str:
        return writer(request).replace("sat", "a a a a a cats")  # type: ignore[arg-type]

    assert scored(DOGS, handler=long).score("share_above_q90").value == 0.0


def test_what_cannot_be_compared_is_undefined_and_counted() -> None:
    failed = scored(CATS, handler=lambda _: "no")
    assert failed.n_failed == failed.n_asked == 20
    assert all(score.value is None for score in failed.scores)
    bare = scored(CATS, replace(WEIGHTED, records=()))
    assert bare.n_judged == 20
    assert bare.score("clarity").reason == "there is no natural window to compare to"
    assert "not at hand" in (scored(CATS, replace(WEIGHTED, probe=None)).scores[0].reason or "")


@given(
    st.lists(st.tuples(st.integers(-5, 5), st.integers(1, 9)), min_size=1, max_size=20),
    st.floats(0.01, 1.0),
)
def test_a_weighted_quantile_is_that_of_repeated_values(
    pairs: list[tuple[int, int]], q: float
) -> None:
    values, weights = [float(v) for v, _ in pairs], [float(w) for _, w in pairs]
    repeated = sorted(v for v, w in pairs for _ in range(w))
    place = next(i for i in range(len(repeated)) if i + 1 >= q * len(repeated) * (1 - 1e-12))
    assert weighted_quantile(values, weights, q) == repeated[place]


def test_the_whole_prompt_is_the_golden_file() -> None:
    model = ScriptedModel(writer)
    asyncio.run(Generative(model).score(CATS, WINDOWS))
    text = "\n".join(f"=== {m.role}\n{m.content}" for m in model.requests[0].messages) + "\n"
    assert text == (GOLDEN / "generate_texts_v1.txt").read_text(encoding="utf-8")
