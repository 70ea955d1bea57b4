"""Scores over all tokens: hand-computed cases, undefined ones, invariances."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autointerp.core.errors import InputError
from autointerp.core.scores import Score
from autointerp.statistics.bootstrap import Resampling, named_groups
from autointerp.statistics.intervals import t_interval
from autointerp.statistics.scored_windows import ScoredWindow
from autointerp.statistics.simulation_metrics import SimulationScores, simulation_scores
from autointerp.statistics.sufficient_statistics import (
    absolute_dev_explained,
    centred_rsquared,
    correlation,
    pool_windows,
    rsquared,
)

FIELDS = ("ev_correlation", "rsquared", "r2_centred", "absolute_dev_explained")

levels = st.integers(-40, 40).map(lambda n: n / 4)


@st.composite
def window_pairs(draw):
    lengths = draw(st.lists(st.integers(1, 5), min_size=1, max_size=6))
    real = [draw(st.lists(levels, min_size=n, max_size=n)) for n in lengths]
    predicted = [draw(st.lists(levels, min_size=n, max_size=n)) for n in lengths]
    return real, predicted


def scores_of(real, predicted, **kwargs):
    return simulation_scores(real, predicted, n_bootstrap=20, **kwargs)


def all_scores(scores: SimulationScores) -> list[Score]:
    return [getattr(scores, field) for field in FIELDS]


def test_a_case_computed_by_hand_agrees_to_nine_digits():
    scores = scores_of([[0.0, 1.0], [2.0, 3.0]], [[0.0, 2.0], [1.0, 3.0]])
    # Sums of squares: errors 2, r 14, centred r 5; absolute errors 2, r 6; covariance 4.
    assert scores.ev_correlation.value == pytest.approx(4 / 5, abs=1e-12)
    assert scores.rsquared.value == pytest.approx(1 - 2 / 14, abs=1e-12)
    assert scores.r2_centred.value == pytest.approx(1 - 2 / 5, abs=1e-12)
    assert scores.absolute_dev_explained.value == pytest.approx(1 - 2 / 6, abs=1e-12)


def test_sums_of_some_windows_give_the_scores_of_these_windows_alone():
    rng = np.random.default_rng(0)
    real, predicted = [rng.exponential(size=(6, 5)) * np.arange(1, 7)[:, None] for _ in "xy"]
    windows = [ScoredWindow(x, y, "", 1.0) for x, y in zip(real, predicted, strict=True)]
    pool = pool_windows(windows, [1.0] * 6)
    some, alone = pool.rows[[0, 2]].sum(axis=0), scores_of(real[[0, 2]], predicted[[0, 2]])
    unit = pool.unit_ratio
    assert correlation(some) == pytest.approx(alone.ev_correlation.value)
    assert rsquared(some, unit) == pytest.approx(alone.rsquared.value)
    assert centred_rsquared(some, unit) == pytest.approx(alone.r2_centred.value)
    assert absolute_dev_explained(some, unit) == pytest.approx(alone.absolute_dev_explained.value)


def test_a_weighted_case_computed_by_hand_agrees_to_nine_digits():
    scores = scores_of([[1.0, 0.0], [4.0]], [[2.0, 0.0], [3.0]], weights=[3.0, 1.0])
    # Weights 3, 3, 1: means 1 and 9/7; covariance 18/7 - 9/7; variances 12/7 and 21/7 - 81/49.
    r = (9 / 7) / math.sqrt((12 / 7) * (21 / 7 - 81 / 49))
    assert scores.ev_correlation.value == pytest.approx(r, abs=1e-12)
    assert scores.rsquared.value == pytest.approx(1 - 4 / 19, abs=1e-12)
    assert scores.absolute_dev_explained.value == pytest.approx(1 - 4 / 7, abs=1e-12)


def test_scores_are_over_all_tokens_and_not_a_mean_over_windows():
    real, predicted = [[0.0, 1.0], [10.0, 11.0]], [[1.0, 0.0], [11.0, 10.0]]
    assert scores_of(real, predicted).ev_correlation.value == pytest.approx(99 / 101, abs=1e-12)


def test_a_loud_correct_prediction_has_a_negative_rsquared_and_a_correlation_of_one():
    scores = scores_of([[0.0, 1.0, 2.0]], [[0.0, 10.0, 20.0]])
    assert scores.ev_correlation.value == pytest.approx(1.0, abs=1e-12)
    assert scores.rsquared.value == pytest.approx(1 - 81, abs=1e-9)


@given(window_pairs())
def test_values_equal_brute_force_over_the_tokens(pair):
    real, predicted = pair
    x, y = np.concatenate(real), np.concatenate(predicted)
    scores = scores_of(real, predicted)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert all(score.value is None for score in all_scores(scores))
        return
    expected = (
        np.corrcoef(x, y)[0, 1],
        1 - np.mean((x - y) ** 2) / np.mean(x**2),
        1 - np.mean((x - y) ** 2) / np.var(x),
        1 - np.mean(np.abs(x - y)) / np.mean(np.abs(x)),
    )
    found = [score.value for score in all_scores(scores)]
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(window_pairs())
def test_scores_are_bounded_and_lie_in_their_intervals(pair):
    scores = all_scores(scores_of(*pair))
    for score in scores:
        if score.value is None:
            assert score.low is None
            assert score.reason
        else:
            assert score.value <= 1 + 1e-12
            assert score.low is None or score.low <= score.value <= score.high <= 1 + 1e-12
    correlation = scores[0]
    if correlation.low is not None:
        assert -1 <= correlation.low <= correlation.high <= 1


@given(window_pairs(), st.randoms(use_true_random=False))
def test_the_order_of_windows_changes_no_bit_of_value_or_interval(pair, random):
    order = list(range(len(pair[0])))
    random.shuffle(order)
    shuffled = [[part[i] for i in order] for part in pair]
    assert scores_of(*pair) == scores_of(*shuffled)


@given(window_pairs(), st.floats(0.01, 100), st.floats(-100, 100))
def test_correlation_does_not_see_a_positive_affine_map_of_the_prediction(pair, scale, shift):
    real, predicted = pair
    mapped = [[scale * p + shift for p in window] for window in predicted]
    before = scores_of(real, predicted).ev_correlation
    after = scores_of(real, mapped).ev_correlation
    assert (before.value is None) == (after.value is None)
    if before.value is not None:
        assert after.value == pytest.approx(before.value, abs=1e-9)


@given(window_pairs(), st.data())
def test_a_weight_of_three_is_the_window_three_times(pair, data):
    real, predicted = pair
    times = data.draw(st.lists(st.integers(1, 3), min_size=len(real), max_size=len(real)))
    once = all_scores(scores_of(real, predicted, weights=times))
    again = [[w for w, n in zip(part, times, strict=True) for _ in range(n)] for part in pair]
    for one, many in zip(once, all_scores(scores_of(*again)), strict=True):
        # Copies of a single token are constant, and so is the token.
        assert (one.value is None) == (many.value is None)
        assert one.value is None or one.value == pytest.approx(many.value, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("real", "predicted", "reason"),
    [
        ([], [], "no window"),
        ([[]], [[]], "no window"),
        ([[1.0]], [[2.0]], "one token"),
        ([[0.1, 0.1], [0.1]], [[1.0, 2.0], [3.0]], "every real activation is the same"),
        ([[0.3, 0.1 + 0.2]], [[1.0, 2.0]], "every real activation is the same"),
        ([[1.0, 2.0], [3.0]], [[0.1, 0.1], [0.1]], "every predicted value is the same"),
        ([[0.0, 0.0]], [[0.0, 1.0]], "every real activation is the same"),
    ],
)
def test_what_cannot_be_computed_says_why(real, predicted, reason):
    for score in all_scores(scores_of(real, predicted)):
        assert score.value is None
        assert score.low is None
        assert score.high is None
        assert reason in score.reason


@pytest.mark.parametrize("scale", [5e-320, 1e-300, 1e-12, 1.0, 1e30, 1e300])
def test_activations_of_any_size_that_vary_have_a_score(scale):
    real = [[0.0, scale, 0.0, 2 * scale], [0.0, 0.0, scale, 0.0]]
    predicted = [[0.0, 1.0, 1.0, 3.0], [0.0, 0.0, 2.0, 0.0]]
    expected = np.corrcoef([0, 1, 0, 2, 0, 0, 1, 0], [0, 1, 1, 3, 0, 0, 2, 0])[0, 1]
    assert scores_of(real, predicted).ev_correlation.value == pytest.approx(expected, abs=1e-9)
    assert scores_of(real, real).rsquared.value == 1.0


def test_errors_too_large_for_a_float_are_undefined_and_not_infinite():
    scores = scores_of([[0.0, 1e-300], [2e-300, 0.0]], [[0.0, 1.0], [2.0, 1.0]])
    assert scores.ev_correlation.value is not None
    assert scores.rsquared.value is None
    assert "calibrate" in scores.rsquared.reason


def test_a_single_window_has_a_value_and_no_interval():
    score = scores_of([[0.0, 1.0, 2.0]], [[0.0, 2.0, 1.0]]).ev_correlation
    assert score.value == pytest.approx(0.5)
    assert (score.low, score.high) == (None, None)
    assert score.n_windows == 1


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    rng = np.random.default_rng(0)
    real, noise = rng.exponential(size=(2, 8, 10)).tolist()
    predicted = [
        [a + b for a, b in zip(*pair, strict=True)] for pair in zip(real, noise, strict=True)
    ]
    assert scores_of(real, predicted, seed=1) == scores_of(real, predicted, seed=1)
    assert scores_of(real, predicted, seed=1) != scores_of(real, predicted, seed=2)


@settings(max_examples=20)
@given(st.floats(0.5, 0.99))
def test_a_higher_confidence_gives_a_wider_interval(confidence):
    rng = np.random.default_rng(3)
    real, predicted = rng.exponential(size=(2, 9, 6)).tolist()
    narrow = scores_of(real, predicted, confidence=confidence * 0.9).ev_correlation
    wide = scores_of(real, predicted, confidence=confidence).ev_correlation
    assert wide.low < narrow.low
    assert narrow.high < wide.high


@pytest.mark.parametrize(
    ("real", "predicted", "kwargs", "message"),
    [
        ([[1.0, 2.0]], [[1.0]], {}, "window 0 (0-based): a window has 2 real and 1 predicted"),
        ([[1.0], [2.0]], [[1.0]], {}, "2 windows have real activations, but predicted has 1"),
        ([[1.0, math.nan]], [[1.0, 2.0]], {}, "real value 1 (0-based) of a window is nan"),
        ([[1.0, 2.0]], [[math.inf, 2.0]], {}, "predicted value 0 (0-based) of a window is inf"),
        ([1.0, 2.0], [1.0, 2.0], {}, "must be a flat list, found shape ()"),
        ([["a"]], [[1.0]], {}, "must be numbers"),
        ([[1.0]], [[1.0]], {"weights": [0.0]}, "must be positive and finite, found 0.0"),
        ([[1.0]], [[1.0]], {"weights": [1.0, 1.0]}, "but weights has 2 entries"),
        ([[1.0]], [[1.0]], {"strata": []}, "but strata has 0 entries"),
        ([[1.0]], [[1.0]], {"confidence": 1.0}, "confidence between 0 and 1"),
    ],
)
def test_bad_input_says_what_is_wrong(real, predicted, kwargs, message):
    with pytest.raises(InputError) as error:
        scores_of(real, predicted, **kwargs)
    assert message in str(error.value)


def test_numpy_arrays_are_taken_as_they_are():
    real = np.array([[0.0, 1.0], [2.0, 3.0]], dtype=np.float32)
    assert scores_of(real, real * 2).ev_correlation.value == pytest.approx(1.0)


def test_without_options_intervals_are_of_95_percent_from_1000_resamples():
    real, predicted = np.random.default_rng(0).exponential(size=(2, 6, 5)).tolist()
    options = {"n_bootstrap": 1000, "confidence": 0.95, "seed": 0}
    assert simulation_scores(real, predicted) == simulation_scores(real, predicted, **options)


def test_the_correlation_alone_has_its_interval_on_fishers_scale():
    rng = np.random.default_rng(0)
    real = rng.exponential(size=(6, 5))
    predicted = real + 2 * rng.exponential(size=(6, 5))
    found = simulation_scores(real, predicted, strata=["a", "b"] * 3)
    windows = [ScoredWindow(real[i], predicted[i], "ab"[i % 2], 1.0) for i in (0, 2, 4, 1, 3, 5)]
    pool = pool_windows(
        sorted(windows, key=lambda w: (w.stratum, np.array(w.real).tobytes())), [1.0] * 6
    )
    groups = named_groups("aaabbb")
    for score, statistic, fisher in (
        (found.ev_correlation, correlation, True),
        (found.rsquared, lambda sums: rsquared(sums, pool.unit_ratio), False),
    ):
        ends = t_interval(score.value, statistic, pool.rows, groups, Resampling(), fisher=fisher)
        assert (score.low, min(1.0, score.high)) == pytest.approx((ends[0], min(1.0, ends[1])))
