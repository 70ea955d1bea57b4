"""Scores as they stand in labels: ends of six decimals, no interval narrower than it was."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from autointerp.core.scores import Score, ScorerResult

ENDS = st.floats(-2, 2)


@given(ends=st.tuples(ENDS, ENDS, ENDS).map(sorted))
@example(ends=[-1.0, -1.0, 1.0])
@example(ends=[0.1 + 0.2, 0.1 + 0.2, 0.1 + 0.2])
@example(ends=[0.3, 0.7, 0.29999999999999999 + 0.4])
def test_ends_are_rounded_outward_to_six_decimals_and_the_value_is_kept(ends: list[float]) -> None:
    low, value, high = ends
    kept = Score("population", value, low, high, 40, None).as_kept
    assert kept.low is not None
    assert kept.high is not None
    assert low - 1.0001e-6 < kept.low <= low
    assert high <= kept.high < high + 1.0001e-6
    assert kept.value == value
    assert (kept.low, kept.high) == (round(kept.low, 6), round(kept.high, 6))
    assert kept.as_kept == kept


def test_ends_that_are_not_there_stay_so_and_trials_of_a_result_stay() -> None:
    alone = Score("chance_p", 0.012345678912, None, None, 40, None)
    assert alone.as_kept == alone
    undefined = Score.undefined("top", "no window was judged")
    inside = Score("population", 0.5, 0.1234567, 0.7654321, 40, None)
    result = ScorerResult("rules", "the tokens", (alone, undefined, inside), (), ("a note",))
    kept = result.as_kept
    assert kept.scores == (alone, undefined, Score("population", 0.5, 0.123456, 0.765433, 40, None))
    assert (kept.scorer, kept.explanation, kept.notes) == ("rules", "the tokens", ("a note",))
