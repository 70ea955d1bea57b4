"""Discrimination: the judge names the phrase that fits the exemplars."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from factories import make_sets
from hypothesis import given
from hypothesis import strategies as st
from judged_text import (
    BAD_REPLIES,
    RIGHT,
    WRONG,
    guesses,
    judge,
    knows,
    make_windows,
    rendered,
    saying,
)

from autointerp.core.errors import RequestRefusedError
from autointerp.llm import ChatRequest, ScriptedModel
from autointerp.scorers import ScoringSet
from autointerp.scorers.discrimination import Discrimination
from autointerp.statistics.closed_form_intervals import wilson_interval

GOLDEN = Path(__file__).parents[2] / "golden"
WINDOWS = make_windows(others=WRONG)
SMALL = replace(
    ScoringSet.of(make_sets().held_out, seed=0, n_bootstrap=200, confidence=0.95),
    others=(saying("dogs"), saying('"x"')),
)


def test_the_right_explanation_beats_each_wrong_one() -> None:
    right = judge(Discrimination(ScriptedModel(knows)), RIGHT, WINDOWS).score("accuracy")
    assert (right.value, right.high, right.n_windows) == (1.0, 1.0, 6)
    assert right.low == pytest.approx(6 / (6 + 1.959964**2), abs=1e-6)
    for text in WRONG:
        others = [other for other in (RIGHT, *WRONG) if other != text]
        windows = make_windows(others=others)
        wrong = judge(Discrimination(ScriptedModel(knows)), text, windows).score("accuracy")
        assert wrong.value == 0.0


def test_a_guess_has_an_interval_that_holds_chance() -> None:
    held = 0
    for seed in range(20):
        windows = make_windows(seed=seed, others=WRONG)
        result = judge(Discrimination(ScriptedModel(guesses(seed)), n_repeats=12), RIGHT, windows)
        score = result.score("accuracy")
        held += (score.low or 0.0) <= 1 / 4 <= (score.high or 0.0)
        assert result.notes[0] == "chance is 1 of 4, 25.0%"
    assert held >= 17


def test_repeats_show_other_exemplars_in_another_order() -> None:
    model, again = ScriptedModel(knows), ScriptedModel(knows)
    judge(Discrimination(model), RIGHT, WINDOWS)
    judge(Discrimination(again), RIGHT, WINDOWS)
    prompts = [request.messages[-1].content for request in model.requests]
    assert model.requests == again.requests
    assert len({prompt.split("Texts,")[0] for prompt in prompts}) > 1
    assert len({prompt.split("Texts,")[1] for prompt in prompts}) == 6


def test_at_most_ten_nearest_others_are_shown() -> None:
    model = ScriptedModel(lambda _: "1")
    others = tuple(saying(f"unit {i}") for i in range(15))
    judge(Discrimination(model, n_repeats=1), RIGHT, replace(WINDOWS, others=others))
    shown = model.requests[0].messages[-1].content
    assert '"unit 9"' in shown
    assert '"unit 10"' not in shown
    assert "\n11: " in shown


def test_texts_are_cut_around_the_peak() -> None:
    tokens = tuple(f" w{i}" for i in range(60))
    real = tuple(4.0 if i == 30 else 0.0 for i in range(60))
    record = replace(WINDOWS.records[0], tokens=tokens, activations=real)
    model = ScriptedModel(lambda _: "1")
    judge(Discrimination(model, n_repeats=1), RIGHT, replace(WINDOWS, records=(record,)))
    text = model.requests[0].messages[-1].content
    assert " w13" not in text
    assert " w14 " in text
    assert "<< w30>>" in text
    assert " w46" in text
    assert " w47" not in text


@pytest.mark.parametrize(
    ("windows", "reason"),
    [
        (make_windows(), "there is no other unit's explanation to tell it from"),
        (
            replace(WINDOWS, records=WINDOWS.records[12:]),
            "no window of the top stratum activates at a tenth of the peak",
        ),
    ],
)
def test_what_it_needs_and_lacks_is_told_and_nothing_asked(
    windows: ScoringSet, reason: str
) -> None:
    model = ScriptedModel(knows)
    assert judge(Discrimination(model), RIGHT, windows).score("accuracy").reason == reason
    assert model.requests == ()


@pytest.mark.parametrize(
    "reply", [*BAD_REPLIES[:3], "0", "5", "1 or 2", "-1", "1.5", "³", "9" * 99]
)
def test_replies_without_one_number_of_the_list_are_failed_trials(reply: str) -> None:
    result = judge(Discrimination(ScriptedModel(lambda _: reply)), RIGHT, WINDOWS)
    assert result.n_failed == result.n_asked == 6
    assert result.score("accuracy").reason == "no question was answered readably"


def test_a_refused_question_fails_alone() -> None:
    asked: list[int] = []

    def handler(request: ChatRequest) -> str | Exception:
        asked.append(1)
        return RequestRefusedError("no") if len(asked) == 1 else f"**{knows(request)}**."

    result = judge(Discrimination(ScriptedModel(handler)), RIGHT, WINDOWS)
    assert result.trials[0].failure == "refused: no"
    assert result.score("accuracy").n_windows == 5
    assert result.score("accuracy").value == 1.0


@given(st.integers(1, 200), st.data())
def test_wilsons_interval_holds_the_rate_and_solves_its_equation(
    n: int, data: st.DataObject
) -> None:
    right = data.draw(st.integers(0, n))
    low, high = wilson_interval(right, n, confidence=0.95)
    assert 0 <= low <= right / n <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            z = abs(right / n - end) / (end * (1 - end) / n) ** 0.5
            assert z == pytest.approx(1.959964, abs=1e-4)


def test_the_whole_prompt_is_the_golden_file() -> None:
    model = ScriptedModel(lambda _: "1")
    judge(Discrimination(model, n_repeats=1), "cats", SMALL)
    assert rendered(model.requests[0]) == (GOLDEN / "discriminate_v1.txt").read_text("utf-8")
