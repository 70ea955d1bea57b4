"""A failure never becomes a number, and a number never hides a failure."""

from __future__ import annotations

import math

import pytest
from factories import make_label, make_results

from autointerp.core.errors import AutointerpError
from autointerp.core.explanations import LabelStatus
from autointerp.core.scores import Score, Trial


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_score_is_finite(value: float) -> None:
    with pytest.raises(AutointerpError, match="score population is not finite"):
        Score("population", value, None, None, 3, None)


def test_a_score_has_either_a_value_or_a_reason() -> None:
    for value, reason in ((None, None), (0.5, "why")):
        with pytest.raises(AutointerpError, match="needs either a value or a reason"):
            Score("population", value, None, None, 3, reason)


def test_a_trial_is_judged_or_failed() -> None:
    for predicted, failure in ((None, None), ((0.0,), "lost")):
        with pytest.raises(AutointerpError, match="judged or failed, never both: window 7"):
            Trial(7, "top", 1.0, predicted, None, None, failure)


def test_asked_is_judged_and_failed_together() -> None:
    for result in make_results():
        assert result.n_asked == result.n_judged + result.n_failed
        assert result.n_asked == len(result.trials)


def test_a_label_that_is_not_ok_says_why_and_an_ok_one_does_not() -> None:
    assert make_label().status is LabelStatus.OK
    with pytest.raises(AutointerpError, match="a status other than ok needs a reason"):
        make_label(reason="why")
    with pytest.raises(AutointerpError, match="a status other than ok needs a reason"):
        make_label(status=LabelStatus.FAILED, reason=None)


def test_a_scorer_that_did_not_run_has_an_undefined_score_with_that_reason() -> None:
    score = make_label().score("fuzzing")
    assert (score.value, score.reason) == (None, "fuzzing did not run")
