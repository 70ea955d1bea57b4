"""Contrast: the own explanation against other units' on the same windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from judged_text import BAD_REPLIES, RIGHT, WRONG, guesses, judge, knows, make_windows, saying
from scripted_logprobs import with_logprobs

from autointerp.core.errors import RequestRefusedError
from autointerp.llm import ChatReply, ChatRequest, ScriptedModel
from autointerp.scorers.contrast import Contrast
from autointerp.scorers.detection import Detection

WINDOWS = make_windows(others=WRONG)
OVER = "balanced_accuracy_over_others"


@pytest.mark.parametrize("per_call", [1, 6])
def test_the_right_explanation_is_above_the_others_and_each_wrong_one_is_not(
    per_call: int,
) -> None:
    scorer = Contrast(ScriptedModel(knows), windows_per_call=per_call)
    low = judge(scorer, RIGHT, WINDOWS).score(OVER).low
    assert low is not None
    assert low > 0
    for text in WRONG:
        others = [other for other in (RIGHT, *WRONG) if other != text]
        wrong = judge(scorer, text, make_windows(others=others)).score(OVER)
        assert wrong.low is not None
        assert wrong.low <= 0
        assert (wrong.value or 0) < low


def test_a_guess_has_an_interval_that_holds_0() -> None:
    held = 0
    for seed in range(20):
        score = judge(Contrast(ScriptedModel(guesses(seed))), RIGHT, WINDOWS).score(OVER)
        held += (score.low or 0.0) <= 0 <= (score.high or 0.0)
    assert held >= 17


def test_the_value_is_the_difference_of_two_detections() -> None:
    windows = make_windows(others=("rivers",))
    own = judge(Detection(ScriptedModel(knows)), RIGHT, windows).score("balanced_accuracy").value
    other = judge(Detection(ScriptedModel(knows)), "rivers", windows).score("balanced_accuracy")
    assert own is not None
    assert other.value is not None
    result = judge(Contrast(ScriptedModel(knows)), RIGHT, windows)
    assert result.score(OVER).value == pytest.approx(own - other.value, abs=1e-12)
    assert result.n_asked == 2 * len(windows.records)


def test_auroc_is_compared_where_probabilities_come() -> None:
    def handler(request: ChatRequest) -> ChatReply:
        word = knows(request)
        share = 0.9 if word == "yes" else 0.2
        return with_logprobs(word, [(word, {"yes": share, "no": 1 - share})])

    windows = make_windows(others=("nothing",))
    score = judge(Contrast(ScriptedModel(handler)), RIGHT, windows).score("auroc_over_others")
    assert score.value == pytest.approx(1.0 - 0.5, abs=1e-12)
    assert score.low is not None
    assert score.low < 0.5 <= (score.high or 0)


def test_detection_is_asked_the_very_same_questions() -> None:
    alone, contrast = ScriptedModel(knows), ScriptedModel(knows)
    judge(Detection(alone), RIGHT, WINDOWS)
    judge(Contrast(contrast), RIGHT, WINDOWS)
    assert set(alone.requests) <= set(contrast.requests)
    told = [r.messages[-1].content.split("\n")[0] for r in contrast.requests]
    counts = np.array([told.count(f"Neuron: {text}") for text in WRONG])
    assert counts.sum() == len(WINDOWS.records)
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("others", [(), (RIGHT,)])
def test_without_another_explanation_nothing_is_asked_and_the_score_says_why(
    others: tuple[str, ...],
) -> None:
    model = ScriptedModel(knows)
    result = judge(Contrast(model), RIGHT, make_windows(others=others))
    assert model.requests == ()
    assert {score.reason for score in result.scores} == {
        "there is no other unit's explanation to compare with"
    }


@pytest.mark.parametrize("reply", BAD_REPLIES)
def test_replies_that_are_neither_yes_nor_no_leave_it_undefined(reply: str) -> None:
    result = judge(Contrast(ScriptedModel(lambda _: reply)), RIGHT, WINDOWS)
    assert result.n_failed == result.n_asked
    assert all(score.value is None and score.n_windows == 0 for score in result.scores)


def test_a_window_that_failed_with_either_is_in_neither() -> None:
    asked: list[int] = []

    def handler(request: ChatRequest) -> str | Exception:
        asked.append(1)
        return RequestRefusedError("no") if len(asked) == 1 else knows(request)

    result = judge(Contrast(ScriptedModel(handler)), RIGHT, WINDOWS)
    assert result.n_failed == 1
    assert result.score(OVER).n_windows == len(WINDOWS.records) - 1


def test_one_class_alone_leaves_it_undefined() -> None:
    silent = tuple(r for r in WINDOWS.records if r.stratum == "silent")
    windows = replace(WINDOWS, records=silent, others=(saying("rivers"),))
    score = judge(Contrast(ScriptedModel(knows)), RIGHT, windows).score(OVER)
    assert score.reason == "no window that truly activates was judged twice"
