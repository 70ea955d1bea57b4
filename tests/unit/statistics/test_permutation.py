"""Chance and false discoveries: uniform for those who know nothing, small for those who know."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.core.errors import InputError
from autointerp.core.records import Stratum
from autointerp.statistics.permutation import chance_of_correlation, q_values
from autointerp.statistics.scored_windows import ScoredWindow

STRATA = [Stratum("silent", 300, 4, 0, 0), Stratum("top", 20, 6, 1, 9)]
NAMES = ["silent"] * 4 + ["top"] * 6

p_lists = st.lists(st.integers(0, 40).map(lambda n: n / 40), min_size=1, max_size=12)


def windows_of(real, predicted):
    return [
        ScoredWindow(x, y, name, 1.0) for x, y, name in zip(real, predicted, NAMES, strict=True)
    ]


def real_activations(rng):
    real = rng.exponential(size=(10, 24)) * (rng.random((10, 24)) < 0.2)
    real[:4] = 0.0
    return real


def test_predictions_that_know_nothing_have_uniform_p_values():
    rng, found = np.random.default_rng(0), []
    for seed in range(400):
        # Neighbouring predictions are alike, so that tokens are not exchangeable one by one.
        noise = np.exp(rng.normal(size=(10, 24)))
        windows = windows_of(real_activations(rng), noise + np.roll(noise, 1, axis=1))
        found.append(chance_of_correlation(windows, STRATA, n_permutations=99, seed=seed).value)
    for level in (0.05, 0.25, 0.5, 0.75):
        assert np.mean(np.array(found) <= level) == pytest.approx(level, abs=0.075)


def test_the_truth_gets_the_smallest_p_value_there_is():
    real = real_activations(np.random.default_rng(1))
    score = chance_of_correlation(windows_of(real, real), STRATA, n_permutations=200)
    assert score.value == pytest.approx(1 / 201)
    assert score == chance_of_correlation(windows_of(real, real)[::-1], STRATA, n_permutations=200)


def test_knowing_only_which_windows_activate_counts_across_strata_alone():
    rng = np.random.default_rng(2)
    rough = rng.random((10, 24)) + np.array([[5.0 * (name == "top")] for name in NAMES])
    windows = windows_of(real_activations(rng), rough)
    assert chance_of_correlation(windows, STRATA).value > 0.05
    assert chance_of_correlation(windows, STRATA, across_strata=True).value < 0.01


def test_permuted_scores_are_those_of_permuted_windows():
    # Two windows of one token each can only change places: r is 1 as it is and -1 swapped.
    windows = [ScoredWindow((a,), (a,), "silent", 1.0) for a in (0.0, 1.0)]
    p = chance_of_correlation(windows, STRATA[:1], n_permutations=2000).value
    assert p == pytest.approx(0.5, abs=0.04)


def states_of(windows, across):
    """The predictions dealt out in every way: windows change places, and each is turned."""
    alike = {}
    for place, window in enumerate(windows):
        key = (None if across else window.stratum, len(window.real))
        alike.setdefault(key, []).append(place)
    ways = [
        [
            dict(zip(places, zip(order, turns, strict=True), strict=True))
            for order in itertools.permutations(places)
            for turns in itertools.product(range(length), repeat=len(places))
        ]
        for (_, length), places in alike.items()
    ]
    for parts in itertools.product(*ways):
        dealt = {place: one for part in parts for place, one in part.items()}
        yield [np.roll(windows[dealt[i][0]].predicted, dealt[i][1]) for i in range(len(windows))]


@pytest.mark.parametrize("across", [False, True])
def test_p_is_the_share_of_all_ways_to_deal_predictions_out(across):
    strata = [Stratum("silent", 60, 3, 0, 0), Stratum("top", 4, 2, 1, 9)]
    lengths = [("silent", 2), ("silent", 1), ("silent", 2), ("top", 2), ("top", 3)]
    weights = np.repeat([20.0, 20.0, 20.0, 2.0, 2.0], [n for _, n in lengths])
    for seed in range(16):
        rng = np.random.default_rng(seed)
        windows = []
        for name, n in lengths:
            real, said = rng.exponential(size=(2, n)) + 3 * (name == "top")
            windows.append(ScoredWindow(real, said ** (1 + seed % 2), name, 1.0))
        x = np.concatenate([window.real for window in windows])
        scores = []
        for dealt in states_of(windows, across):
            c = np.cov(x, np.concatenate(dealt), aweights=weights)
            scores.append(c[0, 1] / math.sqrt(c[0, 0] * c[1, 1]))
        as_it_is = np.cov(
            x, np.concatenate([window.predicted for window in windows]), aweights=weights
        )
        reached = as_it_is[0, 1] / math.sqrt(as_it_is[0, 0] * as_it_is[1, 1]) - 1e-9
        p = np.mean(np.array(scores) >= reached)
        found = chance_of_correlation(
            windows, strata, n_permutations=3000, seed=seed, across_strata=across
        )
        assert found.value == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 3000) + 1 / 3000)
        # No unit and no constant of the predictions matters.
        for shift, scale in ((1e5, 3.0), (0.0, 1e200), (0.0, 1e-200)):
            mapped = [replace(w, predicted=shift + scale * np.array(w.predicted)) for w in windows]
            again = chance_of_correlation(
                mapped, strata, n_permutations=3000, seed=seed, across_strata=across
            )
            assert again.value == found.value


def test_many_long_windows_are_permuted_like_few_short_ones():
    real = np.random.default_rng(0).exponential(size=(64, 2000))
    strata = [Stratum("top", 640, 64, 1, 9)]
    noise = np.random.default_rng(1).exponential(size=(64, 2000))
    right, last = (
        [ScoredWindow(x, y, "top", 1.0) for x, y in zip(real, said, strict=True)]
        for said in (real, np.concatenate([np.ones((63, 2000)), real[63:] + 0.1 * noise[63:]]))
    )
    long = [ScoredWindow(x, x, "top", 1.0) for x in real.reshape(2, 64_000).repeat(5, axis=1)]
    # The truth, a prediction that knows the last window alone, and more tokens than fit at once.
    for windows in (right, last, long):
        assert chance_of_correlation(windows, strata, n_permutations=30).value == 1 / 31


def test_without_options_there_are_1000_permutations_from_seed_0():
    rng = np.random.default_rng(4)
    windows = windows_of(real_activations(rng), rng.random((10, 24)))
    usual = chance_of_correlation(windows, STRATA, n_permutations=1000, seed=0)
    assert chance_of_correlation(windows, STRATA) == usual
    assert usual != chance_of_correlation(windows, STRATA, seed=1)


def test_a_window_of_two_tokens_alone_can_be_turned():
    windows = [ScoredWindow((0.0, 1.0), (0.0, 1.0), "top", 1.0)]
    p = chance_of_correlation(windows, STRATA, n_permutations=2000).value
    assert p == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize(
    ("real", "predicted"),
    [
        ((1.0, 1.0, 0.0, 0.0), (1.0, 0.0, 1.0, 0.0)),
        # Here rounding is all that tells the scores apart.
        ((0.7, 0.7, 0.2, 0.2) * 15, (0.3, 0.1) * 30),
        ((0.7,) * 15 + (0.1,) * 45, (0.3, 0.1, 0.2) * 20),
    ],
)
def test_where_no_permutation_changes_the_score_each_reaches_it(real, predicted):
    windows = [ScoredWindow(real, predicted, "top", 1.0)] * 2
    assert chance_of_correlation(windows, STRATA[1:], n_permutations=99).value == 1.0


def test_scores_that_differ_little_are_told_apart_where_few_tokens_are_active():
    real, predicted = np.zeros(1000), np.linspace(3e-6, 0, 1000)
    real[0] = predicted[-1] = 1.0
    windows = [ScoredWindow(real, predicted, "top", 1.0)]
    p = chance_of_correlation(windows, STRATA[1:], n_permutations=20_000).value
    assert p == pytest.approx(2 / 1000, abs=0.001)


def test_windows_without_tokens_and_one_permutation_give_a_p_value_too():
    windows = [ScoredWindow(x, x, "top", 1.0) for x in ((), (), (0.0, 1.0, 0.0), (2.0, 0.0, 0.0))]
    for seed in range(20):
        found = chance_of_correlation(windows, STRATA, n_permutations=1, seed=seed)
        assert found.value in {0.5, 1.0}
    with pytest.raises(InputError, match="at least 1 permutation, found 0"):
        chance_of_correlation(windows, STRATA, n_permutations=0)


@pytest.mark.parametrize(
    ("windows", "reason"),
    [
        ([], "no window was judged"),
        ([ScoredWindow((0.0, 0.0), (1.0, 2.0), "top", 1.0)], "every real activation"),
        ([ScoredWindow((0.0, 1.0), (1.0, 1.0), "top", 1.0)], "every predicted value"),
        (
            [ScoredWindow((x,), (x,), name, 1.0) for name, x in (("top", 1.0), ("silent", 0.0))],
            "could change places",
        ),
    ],
)
def test_without_anything_to_compare_there_is_no_p_value(windows, reason):
    assert reason in chance_of_correlation(windows, STRATA).reason


def test_q_values_computed_by_hand():
    assert q_values([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.02, 0.04, 0.04, 0.02))


@given(p_lists, st.floats(0.01, 1.0))
def test_keeping_q_values_up_to_a_level_is_the_step_up_rule(p_values, level):
    m = len(p_values)
    ranked = sorted(p_values)
    passed = [k for k in range(1, m + 1) if ranked[k - 1] <= k * level / m]
    largest = ranked[passed[-1] - 1] if passed else -1.0
    found = q_values(p_values)
    for p, q in zip(p_values, found, strict=True):
        if abs(q - level) > 1e-9:
            assert (q <= level) == (p <= largest)
        assert p - 1e-12 <= q <= 1


def test_q_values_under_any_dependence_are_larger_by_the_harmonic_number_but_no_more_than_1():
    p_values = [0.001, 0.004, None, 0.03, 0.9]
    usual = [q for q in q_values(p_values) if q is not None]
    found = q_values(p_values, any_dependence=True)
    assert found[2] is None
    expected = [min(1.0, q * (1 + 1 / 2 + 1 / 3 + 1 / 4)) for q in usual]
    assert [q for q in found if q is not None] == pytest.approx(expected)


def test_units_without_a_test_count_for_nothing():
    assert q_values([None, 0.02, None, 0.04]) == (None, 0.04, None, 0.04)
    assert q_values([]) == ()
    with pytest.raises(InputError, match="between 0 and 1, found 1.5"):
        q_values([0.5, 1.5])
