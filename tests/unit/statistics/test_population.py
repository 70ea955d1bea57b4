"""Population, top-and-random and other scores estimated from windows drawn by strata."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.core.errors import InputError
from autointerp.core.records import Stratum
from autointerp.statistics.bootstrap import Group, Resampling
from autointerp.statistics.population import (
    neighbour_groups,
    paired_difference,
    population_score,
    population_weights,
    sampled_scores,
    scores_of_each,
)
from autointerp.statistics.scored_windows import ScoredWindow, ScoredWindows

FAST = Resampling(n_bootstrap=50)
NAMES = ("top", "band1", "band0", "silent")


def strata_of(sizes, drawn=None):
    """Strata strongest first; the sampled counts do not matter to the scores."""
    drawn = drawn or sizes
    return [
        Stratum(name, size, k, low=3.0 - i, high=4.0 - i)
        for i, (name, size, k) in enumerate(zip(NAMES, sizes, drawn, strict=True))
    ]


def window(stratum, real, predicted, weight=1.0):
    return ScoredWindow(tuple(real), tuple(predicted), stratum, weight)


def random_windows(rng, counts, n_tokens=6):
    """Windows whose activations grow with the stratum."""
    windows = []
    for i, (name, count) in enumerate(zip(NAMES, counts, strict=True)):
        for _ in range(count):
            real = rng.exponential(size=n_tokens) * (3 - i) ** 2
            windows.append(window(name, real, real + 3 * rng.exponential(size=n_tokens)))
    return windows


def weighted_pearson(windows, weights):
    x = np.concatenate([w.real for w in windows])
    y = np.concatenate([w.predicted for w in windows])
    w = np.repeat(weights, [len(one.real) for one in windows])
    c = np.cov(x, y, aweights=w, bias=True)
    return c[0, 1] / math.sqrt(c[0, 0] * c[1, 1])


def by_name(scores):
    return {score.name: score for score in scores}


def named(name, windows, strata, resampling=FAST):
    return by_name(sampled_scores(windows, strata, resampling))[name]


@given(st.integers(0, 10_000))
def test_with_every_window_judged_the_estimate_is_the_plain_correlation(seed):
    windows = random_windows(np.random.default_rng(seed), (2, 3, 3, 4))
    score = population_score(windows, strata_of((2, 3, 3, 4)), FAST)
    plain = np.corrcoef(
        np.concatenate([w.real for w in windows]), np.concatenate([w.predicted for w in windows])
    )[0, 1]
    assert score.value == pytest.approx(plain, abs=1e-12)
    assert score.low == score.value == score.high
    assert score.n_windows == 12


@given(st.integers(0, 10_000))
def test_the_estimate_is_pearson_weighted_by_stratum_size_over_judged_windows(seed):
    windows = random_windows(np.random.default_rng(seed), (2, 3, 2, 3))
    weights = [20 / 2] * 2 + [50 / 3] * 3 + [60 / 2] * 2 + [300 / 3] * 3
    score = population_score(windows, strata_of((20, 50, 60, 300)), FAST)
    assert score.value == pytest.approx(weighted_pearson(windows, weights), abs=1e-12)
    assert -1 <= score.low <= score.value <= score.high <= 1


@given(st.integers(0, 10_000))
def test_order_and_the_scale_of_weights_within_a_stratum_change_no_bit(seed):
    rng = np.random.default_rng(seed)
    windows = random_windows(rng, (2, 3, 2, 3))
    strata = strata_of((20, 50, 60, 300))
    shuffled = [windows[i] for i in rng.permutation(len(windows))]
    before = sampled_scores(windows, strata, FAST)
    assert before == sampled_scores(shuffled, strata[::-1], FAST)[:4] + before[4:]
    doubled = [window(w.stratum, w.real, w.predicted, 2.0) for w in windows]
    assert population_score(doubled, strata, FAST) == before[0]


def close(scores):
    return [
        pytest.approx([math.nan if n is None else n for n in (s.value, s.low, s.high)], nan_ok=True)
        for s in scores
    ]


@given(st.integers(0, 10_000))
def test_several_predictions_scored_together_have_the_scores_of_each_alone(seed):
    """Of the same windows, and of windows of which other trials failed."""
    rng = np.random.default_rng(seed)
    strata = strata_of((20, 50, 60, 300))
    windows = ScoredWindows.of(random_windows(rng, (2, 3, 2, 3)))
    others = windows.predicting(rng.exponential(size=60))
    third, flat = windows.predicting(windows.real**2), windows.predicting(np.ones(60))
    for several in ([others, third, flat], [windows, others[1:], flat]):
        together = scores_of_each(several, strata, FAST)
        alone = [sampled_scores(one, strata, FAST) for one in several]
        for own, expected in zip(together, alone, strict=True):
            assert [(s.name, s.reason) for s in own] == [(s.name, s.reason) for s in expected]
            numbers = [
                [math.nan if n is None else n for n in (s.value, s.low, s.high)] for s in own
            ]
            assert numbers == close(expected)


def test_no_prediction_has_no_scores():
    assert scores_of_each([], strata_of((2, 2, 2, 2)), FAST) == []


@given(st.integers(0, 10_000))
def test_a_difference_is_the_same_whether_or_not_both_were_scored_before(seed):
    rng = np.random.default_rng(seed)
    strata = tuple(strata_of((20, 50, 60, 300)))

    def pair():
        windows = ScoredWindows.of(random_windows(np.random.default_rng(seed), (2, 3, 2, 3)))
        return windows.in_order(), windows.predicting(predicted)

    predicted = rng.exponential(size=60)
    fresh = paired_difference(*pair(), strata, n_bootstrap=50)
    known = pair()
    scores_of_each(known, strata, FAST)
    after = paired_difference(*known, strata, n_bootstrap=50)
    assert (after.value, after.low, after.high) == pytest.approx(
        (fresh.value, fresh.low, fresh.high)
    )


def test_failed_trials_leave_their_weight_to_the_others_of_their_stratum():
    windows = random_windows(np.random.default_rng(1), (3, 2, 2, 2))
    strata = strata_of((20, 50, 60, 300))
    assert population_weights(windows, strata)[:3] == pytest.approx([20 / 3] * 3)
    assert population_weights(windows[1:], strata)[:2] == pytest.approx([10.0, 10.0])
    assert sum(population_weights(windows[1:], strata)) == pytest.approx(430)


def joint_strata(sizes, drawn):
    """Strata from which windows were drawn all at once, each with its own probability."""
    return [replace(stratum, joint=True) for stratum in strata_of(sizes, drawn)]


def test_failed_trials_of_a_joint_draw_leave_their_weight_to_the_others_of_their_stratum():
    windows = [window("top", (1.0,), (1.0,), weight) for weight in (1.0, 2.0, 5.0)]
    windows += [window("silent", (0.0,), (0.0,), weight) for weight in (30.0, 50.0)]
    weights = population_weights(windows, joint_strata((9, 0, 0, 80), (4, 0, 0, 2)))
    assert weights == pytest.approx([4 / 3, 8 / 3, 20 / 3, 30.0, 50.0])


def test_a_joint_draw_that_took_every_window_leaves_no_uncertainty():
    counts = (3, 2, 2, 3)
    for weight in (1.0, 1.0 - 1e-12):
        windows = random_windows(np.random.default_rng(6), counts)
        drawn = [replace(one, weight=weight) for one in windows]
        score = population_score(drawn, joint_strata(counts, counts), Resampling())
        assert score.low == score.value == score.high


def test_a_stratum_without_judged_windows_joins_its_smaller_neighbour():
    windows = random_windows(np.random.default_rng(1), (2, 2, 0, 2))
    weights = population_weights(windows, strata_of((20, 50, 60, 300)))
    assert weights == pytest.approx([10, 10, 55, 55, 150, 150])
    only_silent = [w for w in windows if w.stratum == "silent"]
    assert population_weights(only_silent, strata_of((20, 50, 60, 300))) == pytest.approx(
        [215, 215]
    )


def test_weights_within_a_stratum_share_it_in_proportion():
    windows = [window("top", (1.0, 2.0), (1.0, 2.0), weight) for weight in (1.0, 3.0)]
    assert population_weights(windows, [Stratum("top", 8, 2, 1.0, 2.0)]) == [2.0, 6.0]


def test_no_judged_window_at_all_is_undefined_for_every_score():
    for score in sampled_scores([], strata_of((20, 50, 60, 300)), FAST):
        assert score.value is None
        assert "judged" in score.reason
        assert score.n_windows == 0


def test_constant_predictions_are_undefined_and_not_zero():
    windows = [
        window("top", (1.0, 5.0), (0.1, 0.1)),
        window("silent", (0.0, 0.0), (0.1, 0.1)),
    ]
    score = population_score(windows, strata_of((2, 0, 0, 9)), FAST)
    assert score.value is None
    assert score.reason == "every predicted value is the same"


@given(st.integers(0, 10_000))
def test_top_and_random_pools_as_many_random_windows_as_top_ones(seed):
    windows = random_windows(np.random.default_rng(seed), (2, 3, 2, 3))
    population = np.array([10.0] * 2 + [50 / 3] * 3 + [30.0] * 2 + [100.0] * 3)
    pooled = 2 * population / population.sum() + np.array([1.0] * 2 + [0.0] * 8)
    score = named("top_random", windows, strata_of((20, 50, 60, 300)))
    assert score.value == pytest.approx(weighted_pearson(windows, pooled), abs=1e-12)


def test_top_and_random_needs_a_top_window():
    windows = random_windows(np.random.default_rng(0), (0, 3, 2, 3))
    score = named("top_random", windows, strata_of((20, 50, 60, 300)))
    assert score.value is None
    assert score.reason == "no window of the top stratum was judged"


def test_each_stratum_has_its_own_plain_correlation():
    windows = random_windows(np.random.default_rng(2), (3, 3, 2, 3))
    strata = strata_of((3, 50, 60, 300))
    scores = by_name(sampled_scores(windows, strata, FAST))
    assert list(scores) == ["population", "top_random", "random", "cosine", *NAMES]
    assert scores["silent"].reason == "every real activation is the same"
    for name in NAMES[:3]:
        own = [w for w in windows if w.stratum == name]
        assert scores[name].value == pytest.approx(weighted_pearson(own, np.ones(len(own))))
        assert scores[name].n_windows == len(own)
    assert scores["top"].low == scores["top"].high
    assert scores["random"].value == scores["population"].value


def test_a_stratum_with_one_window_of_many_has_no_interval():
    score = named(
        "top", [window("top", (1.0, 2.0, 5.0), (2.0, 1.0, 6.0))], [Stratum("top", 20, 1, 1, 5)]
    )
    assert score.value is not None
    assert (score.low, score.high) == (None, None)


def test_a_stratum_far_weaker_than_the_others_is_still_scored_exactly():
    rng = np.random.default_rng(4)
    strong = [window("top", rng.exponential(size=8), rng.exponential(size=8)) for _ in range(3)]
    real = 1e-14 * rng.exponential(size=(3, 8))
    strata = [Stratum("top", 3, 3, 1, 9), Stratum("band1", 60, 3, 0, 1e-13)]
    weak = [window("band1", row, row + 1e-14 * rng.exponential(size=8)) for row in real]
    score = named("band1", strong + weak, strata)
    assert score.value == pytest.approx(weighted_pearson(weak, np.ones(3)), abs=1e-9)


def test_cosine_is_not_centred_and_weighted_by_the_population():
    windows = [window("top", (3.0, 0.0), (1.0, 1.0)), window("silent", (0.0, 0.0), (0.0, 1.0))]
    score = named("cosine", windows, strata_of((1, 0, 0, 2)))
    assert score.value == pytest.approx(3 / (3 * math.sqrt(2 + 2)), abs=1e-12)


def test_cosine_with_nothing_predicted_is_undefined():
    windows = [window("top", (3.0, 0.0), (0.0, 0.0))] * 2
    score = named("cosine", windows, strata_of((2, 0, 0, 0)))
    assert score.reason == "every predicted value is 0"


def test_the_difference_is_that_of_the_population_scores():
    rng = np.random.default_rng(5)
    windows = random_windows(rng, (2, 3, 2, 3))
    others = [window(w.stratum, w.real, rng.exponential(size=6)) for w in windows]
    strata = strata_of((20, 50, 60, 300))
    score = paired_difference(windows, others, strata, n_bootstrap=50)
    one, two = (population_score(part, strata, FAST).value for part in (windows, others))
    assert score.value == pytest.approx(one - two, abs=1e-12)
    assert -2 <= score.low <= score.value <= score.high <= 2
    back = paired_difference(others[::-1], windows[::-1], strata, n_bootstrap=50)
    assert back.value == pytest.approx(-score.value, abs=1e-12)


def test_a_difference_does_not_depend_on_the_order_of_the_pairs():
    rng = np.random.default_rng(7)
    windows = random_windows(rng, (2, 3, 2, 3))
    others = [window(w.stratum, w.real, rng.exponential(size=6)) for w in windows]
    order = rng.permutation(len(windows))
    strata = strata_of((20, 50, 60, 300))
    one = paired_difference(windows, others, strata, n_bootstrap=50)
    shuffled = ([side[i] for i in order] for side in (windows, others))
    assert paired_difference(*shuffled, strata, n_bootstrap=50) == one


def test_a_difference_of_opposites_has_an_interval_within_2():
    windows = random_windows(np.random.default_rng(8), (2, 2, 2, 2))
    right = [
        window(w.stratum, w.real, np.array(w.real) + 0.1 * np.array(w.predicted)) for w in windows
    ]
    wrong = [window(w.stratum, w.real, -np.array(w.predicted)) for w in windows]
    strata = strata_of((20, 50, 60, 300))
    score = paired_difference(right, wrong, strata, n_bootstrap=200)
    assert score.high == 2.0
    assert paired_difference(wrong, right, strata, n_bootstrap=200).low == -2.0


def test_a_prediction_does_not_differ_from_itself():
    windows = random_windows(np.random.default_rng(5), (2, 3, 2, 3))
    score = paired_difference(windows, windows, strata_of((20, 50, 60, 300)), n_bootstrap=50)
    assert (score.value, score.low, score.high) == (0.0, 0.0, 0.0)


def test_a_difference_from_a_constant_baseline_says_that_the_baseline_is_constant():
    windows = random_windows(np.random.default_rng(5), (2, 3, 2, 3))
    flat = [window(w.stratum, w.real, (1.0,) * 6) for w in windows]
    score = paired_difference(windows, flat, strata_of((20, 50, 60, 300)), n_bootstrap=50)
    assert score.reason == "of the baseline: every predicted value is the same"


def test_top_and_random_overstates_a_token_detector_and_the_population_score_does_not():
    rng = np.random.default_rng(11)
    parts = heavy_tailed_population(rng)
    everything = [w for part in parts for w in part]
    truth = weighted_pearson(everything, np.ones(len(everything)))
    sizes, errors, biases = [len(part) for part in parts], [], []
    for _ in range(150):
        drawn = [part[i] for part in parts for i in rng.choice(len(part), 5, replace=False)]
        strata = strata_of(sizes)
        errors.append(population_score(drawn, strata, Resampling(n_bootstrap=2)).value - truth)
        biases.append(named("top_random", drawn, strata, Resampling(n_bootstrap=2)).value - truth)
    assert abs(np.mean(errors)) < 0.02
    assert np.mean(biases) > 0.05


def heavy_tailed_population(rng):
    """320 windows in four strata of peak; predictions are good on strong tokens only."""
    real = np.maximum(0.0, np.exp(rng.normal(size=(320, 16)) * 1.2) - 4) * (
        rng.random((320, 1)) < 0.8
    )
    predicted = real + rng.exponential(3.0, size=real.shape) * (rng.random(real.shape) < 0.3)
    order = np.argsort(-real.max(axis=1), kind="stable")
    cuts = (order[:20], order[20:110], order[110:200], order[200:])
    return [
        [window(name, real[i], predicted[i]) for i in part]
        for name, part in zip(NAMES, cuts, strict=True)
    ]


@pytest.mark.parametrize(
    ("windows", "strata", "message"),
    [
        (
            [window("odd", (1.0,), (1.0,))],
            strata_of((1, 1, 1, 1)),
            "a window is of stratum 'odd', but the strata are ['band0', 'band1', 'silent', 'top']",
        ),
        (
            [window("top", (1.0,), (1.0,))] * 2,
            strata_of((1, 1, 1, 1)),
            "2 windows of stratum 'top' were judged, but it holds 1",
        ),
        ([], [Stratum("top", 1, 1, 0, 1)] * 2, "strata need different names"),
    ],
)
def test_windows_that_do_not_fit_their_strata_are_refused(windows, strata, message):
    with pytest.raises(InputError) as error:
        population_score(windows, strata, FAST)
    assert message in str(error.value)


def test_a_paired_difference_refuses_other_windows():
    one, two = random_windows(np.random.default_rng(0), (2, 0, 0, 0))
    with pytest.raises(InputError, match="needs the same windows twice, found 1 and 1"):
        paired_difference([one], [two], strata_of((20, 50, 60, 300)), n_bootstrap=50)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"predicted": (1.0,)}, "has 2 real and 1 predicted values"),
        ({"real": (1.0, math.nan)}, "real value 1 (0-based) of a window is nan"),
        ({"weight": -1.0}, "weight must be positive and finite, found -1.0"),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(kwargs, message):
    good = {"real": (1.0, 2.0), "predicted": (1.0, 2.0), "stratum": "top", "weight": 1.0}
    with pytest.raises(InputError) as error:
        ScoredWindow(**(good | kwargs))
    assert message in str(error.value)


def test_without_options_a_difference_has_the_usual_interval():
    rng = np.random.default_rng(5)
    windows = random_windows(rng, (2, 3, 2, 3))
    others = [window(w.stratum, w.real, rng.exponential(size=6)) for w in windows]
    strata = strata_of((20, 50, 60, 300))
    usual = {"n_bootstrap": 1000, "confidence": 0.95, "seed": 0}
    found = paired_difference(windows, others, strata)
    assert found == paired_difference(windows, others, strata, **usual)
    assert Resampling() == Resampling(n_bootstrap=1000, confidence=0.95, seed=0)


def test_windows_drawn_one_instead_of_another_are_neighbours_by_weight_four_or_more():
    given_weights = [1.0, 9.0, 5.0, 1.0 + 1e-7, 2.0, 8.0, 3.0, 7.0, 4.0, 6.0, 4.0]
    weights = [2 * weight for weight in given_weights]
    # Two that were certain, then 2, 3, 4, 4 and 5, 6, 7, 8, 9.
    parts = [(0, 3), (4, 6, 8, 10), (2, 9, 7, 5, 1)]
    found = neighbour_groups(given_weights, weights, first=100)
    assert [group.members for group in found] == [tuple(100 + i for i in part) for part in parts]
    totals = [sum(weights[i] for i in part) for part in parts]
    assert [group.n_total for group in found] == pytest.approx(totals)
    # Never fewer than were judged.
    assert neighbour_groups([0.5, 0.5], [0.5, 0.5]) == (Group((0, 1), 2),)
    assert [len(group.members) for group in neighbour_groups([2.0] * 7, [2.0] * 7)] == [7]
    assert [len(group.members) for group in neighbour_groups([2.0] * 14, [2.0] * 14)] == [4, 5, 5]


def test_one_window_that_is_its_whole_stratum_leaves_no_uncertainty():
    windows = random_windows(np.random.default_rng(6), (1, 2, 0, 0))
    score = population_score(windows, strata_of((1, 2, 0, 0)), Resampling())
    assert score.low == score.value == score.high
