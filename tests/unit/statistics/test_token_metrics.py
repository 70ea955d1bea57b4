"""Token-level scores: values by hand and by brute force, intervals, speed."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autointerp.core.errors import InputError
from autointerp.core.records import Stratum
from autointerp.statistics.bootstrap import Resampling, replicate
from autointerp.statistics.population import Sample
from autointerp.statistics.proportional_sampling import proportional_sample
from autointerp.statistics.scored_windows import ScoredWindow
from autointerp.statistics.token_metrics import TOKEN_METRICS, token_metrics

FAST = Resampling(n_bootstrap=50)
STRATA = [Stratum("silent", 90, 2, 0, 0), Stratum("top", 10, 2, 1, 9)]

values = st.lists(st.integers(0, 5).map(float), min_size=3, max_size=3)
pairs = st.lists(st.tuples(values, values), min_size=4, max_size=4)


def windows_of(*pairs):
    names = ["silent", "silent", "top", "top"]
    return [
        ScoredWindow(real, said, name, 1.0) for (real, said), name in zip(pairs, names, strict=True)
    ]


def scores_of(windows, strata=STRATA, resampling=FAST, **kwargs):
    found = token_metrics(windows, strata, resampling, **{"peak": 10.0, **kwargs})
    assert tuple(score.name for score in found) == TOKEN_METRICS
    return {score.name: score for score in found}


def brute_force(real, said, weights, cut):
    """Every score by its definition, over pairs and over distinct thresholds."""
    active, yes = real >= cut, said >= cut
    tp, fn = weights[active & yes].sum(), weights[active & ~yes].sum()
    fp, tn = weights[~active & yes].sum(), weights[~active & ~yes].sum()
    area, before = 0.0, 0.0
    for threshold in sorted(set(said), reverse=True):
        right = weights[active & (said >= threshold)].sum() / (tp + fn)
        area += (right - before) * right * (tp + fn) / weights[said >= threshold].sum()
        before = right
    order = np.sign(said[active][:, None] - said[~active][None]) / 2 + 0.5
    both = weights[active][:, None] * weights[~active][None]
    return {
        "auprc": area,
        "auroc": (order * both).sum() / both.sum(),
        "f1": 2 * tp / (2 * tp + fp + fn),
        "iou": tp / (tp + fp + fn),
        "balanced_accuracy": (tp / (tp + fn) + tn / (tn + fp)) / 2,
        "accuracy": (tp + tn) / weights.sum(),
        "precision": tp / (tp + fp) if tp + fp else None,
        "recall": tp / (tp + fn),
    }


def test_a_case_computed_by_hand():
    # One window of each stratum: silent tokens stand for 90 windows, the others for 10.
    windows = [
        ScoredWindow((0.0, 0.0, 0.0), (0.0, 3.0, 0.0), "silent", 1.0),
        ScoredWindow((9.0, 5.0, 0.0), (8.0, 0.5, 0.0), "top", 1.0),
    ]
    found = scores_of(windows)
    assert found["recall"].value == pytest.approx(1 / 2, abs=1e-9)
    assert found["precision"].value == pytest.approx(10 / 100, abs=1e-9)
    assert found["f1"].value == pytest.approx(20 / 120, abs=1e-9)
    assert found["iou"].value == pytest.approx(10 / 110, abs=1e-9)
    assert found["accuracy"].value == pytest.approx((10 + 180 + 10) / 300, abs=1e-9)
    assert found["balanced_accuracy"].value == pytest.approx((1 / 2 + 190 / 280) / 2, abs=1e-9)
    assert found["auprc"].value == pytest.approx(1 / 2 + 1 / 2 * 20 / 110, abs=1e-9)
    assert found["auroc"].value == pytest.approx((1 + 190 / 280) / 2, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_scores_equal_their_definitions_and_lie_in_their_intervals(rows):
    windows = windows_of(*rows)
    found = scores_of(windows, peak=20.0)
    real, said = (np.array([row[k] for row in rows]).ravel() for k in (0, 1))
    if not 0 < (real >= 2).sum() < len(real):
        return
    expected = brute_force(real, said, np.repeat([45.0, 45.0, 5.0, 5.0], 3), 2.0)
    for name, score in found.items():
        assert score.value == pytest.approx(expected[name], abs=1e-9)
        if score.value is not None:
            assert 0 <= score.low <= score.value <= score.high <= 1
    assert found == scores_of(windows[::-1], peak=20.0)


def test_whoever_knows_all_gets_1_and_no_promise_that_all_others_are_right():
    rng = np.random.default_rng(0)
    windows = [
        ScoredWindow(x, x, name, 1.0)
        for name in ("silent", "top")
        for x in rng.exponential(size=(6, 20)) * (name == "top")
    ]
    strata = [Stratum("silent", 900, 6, 0, 0), Stratum("top", 20, 6, 1, 9)]
    for score in scores_of(windows, strata, Resampling(), peak=5.0).values():
        assert score.value == score.high == 1.0
        assert score.low < 1.0
    census = [Stratum("silent", 6, 6, 0, 0), Stratum("top", 6, 6, 1, 9)]
    assert all(s.low == 1.0 for s in scores_of(windows, census, peak=5.0).values())


def jointly(weights):
    """Windows with an active token each that is found, of which each stands for so many."""
    strata = [Stratum("top", 500, len(weights), 0, 9, joint=True)]
    return [ScoredWindow((9.0, 0.0), (9.0, 0.0), "top", w) for w in weights], strata


def test_a_miss_that_was_not_seen_weighs_what_active_tokens_stand_for():
    alike = scores_of(*jointly([20.0] * 12), Resampling(4000), peak=9.0)["recall"]
    few = scores_of(*jointly([1.0] * 8 + [60.0] * 4), Resampling(4000), peak=9.0)["recall"]
    # Gamma(1/2) exceeds 2.51 once in 40 times; four heavy windows say what four alike ones would.
    assert alike.low == pytest.approx(12 / (12 + 2.51), rel=0.02)
    assert few.low == pytest.approx(4.1 / (4.1 + 2.51), rel=0.05)
    assert alike.high == few.high == 1.0


CURVES = ("auprc", "auroc")


def median_of_silent(said, mass):
    order = np.argsort(said, kind="stable")
    below = np.cumsum(mass[order])
    return said[order][np.argmax(below >= below[-1] / 2)]


def mean_mass(mass):
    """What one token stands for, on average over what all stand for."""
    return (mass @ mass) / mass.sum()


@pytest.mark.parametrize("name", ["auprc", "auroc", "recall", "balanced_accuracy"])
def test_interval_ends_are_those_of_resamples_with_tokens_that_were_not_seen(name):
    rng = np.random.default_rng(3)
    real = rng.exponential(size=(9, 5)) * (rng.random((9, 5)) < 0.4)
    said = np.round(real + rng.exponential(size=(9, 5)), 1)
    masses = [4.0] * 5 + [10.0, 12.0, 15.0, 19.0]
    strata = [Stratum("all", int(sum(masses)), 9, 0, 9, joint=True)]
    windows = [ScoredWindow(x, y, "all", w) for x, y, w in zip(real, said, masses, strict=True)]
    sample = Sample.of(windows, strata)
    real, said, mass = sample.windows.real, sample.windows.predicted, np.repeat(sample.weights, 5)
    up, down = mass * (real >= 0.9), mass * (real < 0.9)
    # Active tokens of one window come together where all ranks are compared.
    active = mean_mass(up.reshape(9, 5).sum(axis=1) if name == "auroc" else up)
    silent = down.max() if name in CURVES else mean_mass(down)
    missed = median_of_silent(said[down > 0], down[down > 0]) if name in CURVES else -99.0
    unseen = ([(9.0, missed, active), (0.0, 99.0, silent)], [(9.0, 99.0, active)])
    if name not in CURVES:
        unseen[1].append((0.0, -99.0, silent))
    counts = replicate(sample.groups, lambda counts: counts.copy(), Resampling(200))
    # The interval's own draws, so that the ends agree to the last digits.
    draws = np.random.default_rng([0, 1])
    ends = []
    for kinds, end in zip(unseen, (0.025, 0.975), strict=True):
        values = []
        for count, sizes in zip(counts, draws.gamma(0.5, size=(200, len(kinds))), strict=True):
            added = np.array(kinds) * np.c_[np.ones((len(kinds), 2)), sizes]
            rows = np.concatenate([np.c_[real, said, mass * np.repeat(count, 5)], added])
            values.append(brute_force(*rows.T, 0.9)[name])
        ends.append(np.quantile(values, end))
    found = scores_of(windows, strata, Resampling(200), peak=9.0)[name]
    assert (found.low, found.high) == pytest.approx(ends, abs=1e-9)


def weak_and_strong(rng, n=300, n_tokens=32):
    """Most active tokens are weak and in weak windows, where the predictions find fewer."""
    strength = rng.lognormal(sigma=0.8, size=(n, 1))
    real = strength * rng.exponential(size=(n, n_tokens)) * (rng.random((n, n_tokens)) < 0.05)
    found = rng.random(real.shape) < np.clip(real / 4, 0.05, 0.95)
    return real, np.where(found, real, 0.0) + 2 * (rng.random(real.shape) < 0.01)


def test_intervals_hold_the_values_over_all_windows_where_weak_windows_stand_for_many():
    held = {"auprc": 0, "f1": 0, "balanced_accuracy": 0, "recall": 0, "auroc": 0}
    for seed in range(120):
        real, said = weak_and_strong(np.random.default_rng([4, seed // 10]))
        peaks, peak = real.max(axis=1), float(real.max())
        whole = windows_with(real, said, [(i, 1.0) for i in range(300)])
        truth = scores_of(whole, [Stratum("all", 300, 300, 0, peak)], peak=peak)
        order = np.argsort(-peaks)
        sizes = (0.1 + peaks[order] / peak) ** 1.5
        drawn = proportional_sample(sizes.tolist(), 16, seed=seed)
        windows = windows_with(real, said, [(order[i], 1 / chance) for i, chance in drawn])
        strata = [Stratum("all", 300, 16, 0, peak, joint=True)]
        found = scores_of(windows, strata, Resampling(200), peak=peak)
        for name in held:
            held[name] += found[name].low <= truth[name].value <= found[name].high
    assert min(held.values()) >= 0.93 * 120


def windows_with(real, said, picks):
    return [ScoredWindow(real[i], said[i], "all", weight) for i, weight in picks]


@pytest.mark.parametrize(
    ("real", "said", "undefined"),
    [
        ((0.0, 0.5), (0.0, 9.0), set(TOKEN_METRICS) - {"accuracy"} - {"precision"}),
        ((5.0, 9.0), (0.0, 9.0), {"auroc", "balanced_accuracy"}),
        ((0.0, 9.0), (0.0, 0.5), {"precision"}),
    ],
)
def test_what_cannot_be_said_is_undefined_with_a_reason(real, said, undefined):
    found = scores_of(windows_of(*[(real, said)] * 4))
    assert {name for name, score in found.items() if score.value is None} == undefined
    assert all(found[name].reason for name in undefined)


def test_without_windows_and_with_one_there_is_no_interval():
    assert all(s.reason == "no window was judged" for s in scores_of([]).values())
    alone = ScoredWindow((0.0, 9.0, 0.0), (0.0, 9.0, 3.0), "top", 1.0)
    found = scores_of([alone])
    assert found["f1"].value == pytest.approx(2 / 3)
    assert all((score.low, score.high) == (None, None) for score in found.values())


def test_the_strongest_share_of_all_text_is_another_threshold():
    # Of 300 tokens the first ones of the two top windows stand for 5 each, 1 in 30 together.
    rows = [((0.0,) * 3, (0.0, 1.0, 0.0))] * 2 + [((9.0, 5.0, 0.0), (8.0, 2.0, 0.0))] * 2
    found = scores_of(windows_of(*rows), top_share=0.03)
    assert found["f1"].value == pytest.approx(1.0)
    wide = scores_of(windows_of(*rows), top_share=0.06)
    # Both cuts now reach the second token, and no prediction in the silent windows does.
    assert wide["precision"].value == pytest.approx(1.0)
    flat = windows_of(*[((0.0, 0.0, 9.0), (1.0, 1.0, 1.0))] * 4)
    assert scores_of(flat, top_share=0.5)["recall"].value == 0.0


@pytest.mark.parametrize("wrong", [{"peak": 0.0}, {"top_share": 1.0}, {"top_share": 0.0}])
def test_a_threshold_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(InputError, match="a threshold needs a peak above 0"):
        scores_of(windows_of(*[((0.0,), (1.0,))] * 4), **wrong)


def test_all_scores_of_forty_windows_take_a_fraction_of_a_second():
    rng = np.random.default_rng(1)
    real = rng.exponential(size=(40, 64)) * (rng.random((40, 64)) < 0.1)
    windows = [ScoredWindow(x, x + rng.random(64), "top", 1.0) for x in real]
    scores_of(windows, [Stratum("top", 400, 40, 0, 9)], Resampling(10))
    start = time.process_time()
    scores_of(windows, [Stratum("top", 400, 40, 0, 9)], Resampling(1000))
    # Eight scores of at most 30 ms, with room for a machine that is slow and busy.
    assert time.process_time() - start < 5
