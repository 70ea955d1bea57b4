"""Fuzzing: half of the windows have the right tokens marked, half as many wrong ones."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from factories import make_sets
from hypothesis import given
from hypothesis import strategies as st
from judged_text import BAD_REPLIES, RIGHT, WRONG, guesses, judge, knows, make_windows, rendered
from scripted_logprobs import with_logprobs

from autointerp.core.errors import RequestRefusedError
from autointerp.llm import ChatRequest, ScriptedModel
from autointerp.scorers import ScoringSet
from autointerp.scorers.fuzzing import Fuzzing, choose_markings, choose_marks, mark_tokens

GOLDEN = Path(__file__).parents[2] / "golden"
WINDOWS = make_windows()
SMALL = ScoringSet.of(make_sets().held_out, seed=0, n_bootstrap=200, confidence=0.95)


def test_the_right_explanation_beats_each_wrong_one() -> None:
    right = judge(Fuzzing(ScriptedModel(knows)), RIGHT, WINDOWS).score("balanced_accuracy")
    assert right.value == 1.0
    assert right.low is not None
    for text in WRONG:
        wrong = judge(Fuzzing(ScriptedModel(knows)), text, WINDOWS).score("balanced_accuracy")
        assert wrong.value is not None
        assert wrong.value < right.low


def test_a_guess_has_an_interval_that_holds_one_half() -> None:
    held = 0
    for seed in range(20):
        windows = make_windows(seed=seed)
        score = judge(Fuzzing(ScriptedModel(guesses(seed))), RIGHT, windows)
        low, high = score.scores[0].low or 0.0, score.scores[0].high or 0.0
        held += low <= 0.5 <= high
    assert held >= 17


def test_half_of_each_stratum_is_marked_rightly_and_the_rest_on_silent_tokens() -> None:
    markings = choose_markings(WINDOWS)
    counts = Counter((m.record.stratum, m.right) for m in markings)
    assert counts == {
        ("top", True): 6,
        ("top", False): 6,
        ("band0", True): 5,
        ("band0", False): 5,
    }
    for m in markings:
        active = {i for i, a in enumerate(m.record.activations) if a > 0}
        assert len(m.marked) == len(active)
        assert (set(m.marked) == active) if m.right else not set(m.marked) & active
    assert markings == choose_markings(WINDOWS) != choose_markings(replace(WINDOWS, seed=1))


def test_windows_without_an_active_or_without_a_silent_token_are_left_out_with_a_note() -> None:
    full = replace(SMALL.records[0], window=30, activations=(4.0, 3.0, 4.0, 2.0))
    result = judge(
        Fuzzing(ScriptedModel(knows)), RIGHT, replace(SMALL, records=(*SMALL.records, full))
    )
    assert [trial.window for trial in result.trials] == [20, 21]
    assert sorted(bool(trial.truth) for trial in result.trials) == [False, True]
    assert result.notes[0].startswith("2 of 4 windows were left out")


def test_where_most_tokens_are_active_the_strongest_are_marked() -> None:
    dense = replace(SMALL.records[0], activations=(1.0, 3.0, 4.0, 0.0))
    found = {
        m.right: m.marked
        for seed in range(20)
        for m in choose_markings(replace(SMALL, records=(dense,), seed=seed))
    }
    assert found == {True: (2,), False: (3,)}


@pytest.mark.parametrize("reply", BAD_REPLIES)
def test_replies_that_are_neither_yes_nor_no_are_failed_trials(reply: str) -> None:
    result = judge(Fuzzing(ScriptedModel(lambda _: reply)), RIGHT, WINDOWS)
    assert result.n_failed == result.n_asked == 22
    assert all(score.value is None for score in result.scores)


def test_a_refused_question_fails_alone() -> None:
    asked: list[int] = []

    def handler(request: ChatRequest) -> str | Exception:
        asked.append(1)
        return RequestRefusedError("content policy") if len(asked) == 1 else knows(request)

    result = judge(Fuzzing(ScriptedModel(handler)), RIGHT, WINDOWS)
    assert result.n_failed == 1
    assert result.score("balanced_accuracy").value == 1.0
    assert result.score("auroc").reason == "the endpoint gives no log-probabilities"


def test_probabilities_rank_right_marks_above_wrong_ones() -> None:
    def handler(request: ChatRequest) -> object:
        word = knows(request)
        return with_logprobs(word, [(word, {"yes": 0.7 if word == "yes" else 0.6, "no": 0.3})])

    result = judge(Fuzzing(ScriptedModel(handler)), RIGHT, WINDOWS)  # type: ignore[arg-type]
    assert result.score("auroc").value == 1.0


@given(st.lists(st.text(alphabet="<>[]{}«» ab", max_size=4), min_size=1, max_size=8), st.data())
def test_marks_cannot_be_taken_for_the_text(tokens: list[str], data: st.DataObject) -> None:
    left, right = choose_marks(tokens)
    assert left not in "".join(tokens)
    assert right not in "".join(tokens)
    marked = data.draw(st.sets(st.integers(0, len(tokens) - 1)))
    shown = mark_tokens(tokens, marked, (left, right))
    assert len(shown) == len("".join(tokens)) + len(marked) * len(left + right)
    if left[0] not in "".join(tokens):
        assert shown.replace(left, "").replace(right, "") == "".join(tokens)


def test_text_with_the_usual_marks_in_it_gets_others() -> None:
    assert choose_marks(("a", "b")) == ("<<", ">>")
    assert choose_marks(("a <<", " b>>")) == ("[[", "]]")
    assert choose_marks(("<", "[", "}", "»>>>")) == ("<<<<<", ">>>>>")


def test_the_whole_prompt_is_the_golden_file() -> None:
    model = ScriptedModel(lambda _: "yes")
    judge(Fuzzing(model), "cats", SMALL)
    assert rendered(model.requests[0]) == (GOLDEN / "fuzz_v2.txt").read_text("utf-8")
    text = model.requests[0].messages[-1].content.split(">>: ")[1].split("\n")[0]
    assert json.loads(text).replace("<<", "").replace(">>", "") == " the river runs\n"
