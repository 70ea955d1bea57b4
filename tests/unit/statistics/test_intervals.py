"""The bootstrap: its variance, its special cases, and how often its intervals hold the truth."""

import math

import numpy as np
import pytest

from autointerp.core.errors import InputError
from autointerp.core.records import Stratum
from autointerp.statistics.bootstrap import (
    Group,
    Resampling,
    replicate,
    sampled_groups,
    without_singles,
)
from autointerp.statistics.closed_form_intervals import t_quantile, weighted_quantile
from autointerp.statistics.intervals import t_interval
from autointerp.statistics.population import population_score
from autointerp.statistics.scored_windows import ScoredWindow

NAMES = ("top", "band1", "band0", "silent")


@pytest.mark.parametrize(
    ("confidence", "df", "table"),
    [
        (0.95, 1, 12.706205),
        (0.95, 2, 4.302653),
        (0.95, 5, 2.570582),
        (0.95, 30, 2.042272),
        (0.95, 5000, 1.960439),
        (0.99, 3, 5.840909),
        (0.5, 4, 0.740697),
    ],
)
def test_t_quantiles_agree_with_the_tables(confidence, df, table):
    assert t_quantile(confidence, df) == pytest.approx(table, rel=1e-5)


def test_resampled_totals_have_the_variance_of_drawing_without_replacement():
    values = np.array([1.0, 4.0, 2.0, 9.0, 5.0])
    group = Group((0, 1, 2, 3, 4), 20)
    totals = replicate([group], lambda counts: counts @ (values * 4), Resampling(40_000))
    expected = 20**2 * (1 - 5 / 20) * values.var(ddof=1) / 5
    assert totals.mean() == pytest.approx(84, rel=0.01)
    assert totals.var() == pytest.approx(expected, rel=0.03)


def test_two_windows_of_a_group_have_the_right_variance_too():
    totals = replicate(
        [Group((0, 1), math.inf)], lambda counts: counts @ [0.0, 1.0], Resampling(20_000)
    )
    assert set(totals) == {0.0, 2.0}
    assert totals.var() == pytest.approx(2 * 0.5, rel=0.03)


def test_a_group_judged_whole_does_not_vary():
    groups = [Group((0, 1), 2), Group((2, 3), 10)]
    counts = replicate(groups, lambda counts: counts[:, :2].sum(axis=1), Resampling(100))
    assert (counts == 2.0).all()


def test_resamples_do_not_depend_on_how_many_are_made_at_once():
    group = [Group(tuple(range(3000)), math.inf)]
    many = replicate(group, lambda counts: counts[:, 7], Resampling(1500, 0.95, 1))
    assert len(many) == 1500
    assert many.mean() == pytest.approx(1.0, abs=0.1)


def test_windows_are_drawn_with_numpys_numbers_of_the_seed():
    for n_windows in (5, 3):
        # Parts of the same windows take the first of the same numbers.
        group = Group(tuple(reversed(range(n_windows))), math.inf)
        counts = replicate([group], lambda counts: counts.copy(), Resampling(50, 0.95, 3))
        numbers = np.random.default_rng(3).random((50, n_windows - 1))
        drawn = n_windows - 1 - (numbers * n_windows).astype(int)
        times = (drawn[:, :, None] == np.arange(n_windows)).sum(axis=1)
        np.testing.assert_allclose(counts, times * n_windows / (n_windows - 1), rtol=1e-14)


def test_a_window_alone_in_its_stratum_is_merged_for_its_variance_unless_it_is_all():
    groups = [Group((0,), 50), Group((1, 2), 60), Group((3,), 1)]
    assert without_singles(groups) == (Group((0, 1, 2), 110), Group((3,), 1))
    assert without_singles([Group((0,), 5)]) == (Group((0,), 5),)


def test_strata_are_ordered_by_peak_whatever_their_order_was():
    strata = [
        Stratum("top", 5, 1, 8, 9),
        Stratum("silent", 7, 1, 0, 0),
        Stratum("band0", 6, 1, 0, 8),
    ]
    groups = sampled_groups(["silent", "top", "band0"], strata)
    assert groups == (Group((0,), 7), Group((2,), 6), Group((1,), 5))


def test_the_interval_of_a_mean_is_the_textbook_one():
    values = np.random.default_rng(0).normal(size=30)
    rows = np.stack([np.ones(30), values], axis=1)
    low, high = t_interval(
        float(values.mean()),
        lambda sums: sums[..., 1] / sums[..., 0],
        rows,
        [Group(tuple(range(30)), math.inf)],
        Resampling(20_000),
        fisher=False,
    )
    half = 2.04523 * values.std(ddof=1) / math.sqrt(30)
    # The long side is moved out for the skew of the sample.
    assert min(high - values.mean(), values.mean() - low) == pytest.approx(half, rel=0.03)


@pytest.mark.parametrize("n_total", [math.inf, 120.0])
def test_the_long_side_of_the_interval_of_a_mean_is_moved_out_by_hall_and_edgeworths_term(n_total):
    n, unseen = 12, 1 - 12 / n_total
    values = np.random.default_rng(1).exponential(size=n) ** 1.5
    deviations = values - values.mean()
    # Cumulants of the mean of n values out of n_total.
    second = unseen * values.var(ddof=1) / n
    third = unseen * (2 * unseen - 1) * (deviations**3).mean() / ((n - 1) * (n - 2))
    shift = third / second * (2 * 1.959964**2 + 1) / 6
    low, high = t_interval(
        float(values.mean()),
        lambda sums: sums[..., 1] / sums[..., 0],
        np.stack([np.ones(n), values], axis=1),
        [Group(tuple(range(n)), n_total)],
        Resampling(20_000),
        fisher=False,
    )
    half = 2.200985 * math.sqrt(second)
    assert values.mean() - low == pytest.approx(half, rel=0.015)
    assert high - values.mean() == pytest.approx(half + shift, rel=0.015)


def test_two_windows_that_decide_alone_count_as_two_degrees_of_freedom():
    rows = np.array([[3.0], [7.0], *[[1.0]] * 10])
    groups = [Group((0, 1), math.inf), Group(tuple(range(2, 12)), math.inf)]
    low, high = t_interval(
        20.0, lambda sums: sums[..., 0], rows, groups, Resampling(4000), fisher=False
    )
    assert high - low == pytest.approx(2 * 4.302653 * 4, rel=1e-5)


def test_an_interval_is_never_narrower_than_leaving_out_one_window_says():
    values = np.random.default_rng(3).normal(size=10)
    rows = np.stack([np.ones(10), values - values.mean()], axis=1)

    def saturating(sums):
        # Resamples reach its flat ends, leaving out one window does not.
        return np.tanh(20 * sums[..., 1] / sums[..., 0])

    group = [Group(tuple(range(10)), math.inf)]
    low, high = t_interval(0.0, saturating, rows, group, Resampling(), fisher=False)
    left_out = [float(saturating(np.delete(rows, i, axis=0).sum(axis=0))) for i in range(10)]
    error = math.sqrt(9 * np.var(left_out))
    resampled = replicate(group, lambda counts: saturating(counts @ rows), Resampling())
    assert error > 1.5 * resampled.std()
    assert min(high, -low) == pytest.approx(t_quantile(0.95, 9) * error, rel=1e-6)


def heavy_tailed(rng, mix, n_windows=400, n_tokens=64):
    """Activations that depend on token and topic, and a noisy lookup of the token."""
    tokens = rng.integers(0, 200, size=(n_windows, n_tokens))
    drive = np.exp(rng.normal(size=200)[tokens] + 0.7 * rng.normal(size=(n_windows, 1)))
    real = np.maximum(0.0, drive * rng.exponential(size=drive.shape) - 8.0)
    means = np.bincount(tokens.ravel(), real.ravel(), 200) / np.bincount(tokens.ravel())
    lookup = means[tokens] + np.sqrt(real)
    noise = rng.exponential(size=real.shape)
    return real, mix * lookup / lookup.std() + (1 - mix) * noise


def parts_of(real):
    peaks = real.max(axis=1)
    active = np.flatnonzero(peaks > 0)
    ranked = active[np.argsort(-peaks[active], kind="stable")]
    return [ranked[:20], *np.array_split(ranked[20:], 2), np.flatnonzero(peaks == 0)]


def test_intervals_hold_the_value_over_all_windows_about_as_often_as_they_say():
    counts = {12: (4, 4, 2, 2), 20: (8, 6, 4, 2)}
    for n, drawn in counts.items():
        rng, held = np.random.default_rng(n), []
        for trial in range(240):
            real, predicted = heavy_tailed(rng, mix=(trial % 4) / 3.5)
            truth = np.corrcoef(real.ravel(), predicted.ravel())[0, 1]
            parts = parts_of(real)
            strata = [
                Stratum(name, len(part), k, 3.0 - i, 4.0 - i)
                for i, (name, part, k) in enumerate(zip(NAMES, parts, drawn, strict=True))
            ]
            windows = [
                ScoredWindow(real[i], predicted[i], stratum.name, 1.0)
                for stratum, part in zip(strata, parts, strict=True)
                for i in rng.choice(part, stratum.n_sampled, replace=False)
            ]
            score = population_score(windows, strata, Resampling(n_bootstrap=200))
            held.append(score.low <= truth <= score.high)
        assert 0.90 <= np.mean(held) <= 0.99, n


@pytest.mark.parametrize("values", [{"n_bootstrap": 1}, {"confidence": 0.0}, {"confidence": 1.0}])
def test_too_few_resamples_or_an_impossible_confidence_is_refused(values):
    with pytest.raises(InputError, match="at least 2 resamples and a confidence between 0 and 1"):
        Resampling(**values)


def test_a_weighted_quantile_takes_weights_that_are_equal_on_paper_as_equal():
    assert weighted_quantile(range(10), [0.1] * 10, 0.8) == 7


def test_a_weighted_quantile_is_that_of_values_repeated():
    rng = np.random.default_rng(0)
    for _ in range(50):
        values, weights = rng.normal(size=6).tolist(), rng.integers(1, 5, size=6).tolist()
        repeated = np.sort(np.repeat(values, weights))
        for q in (0.01, 0.3, 0.5, 0.77, 1.0):
            expected = repeated[math.ceil(q * len(repeated) - 1e-9) - 1]
            assert weighted_quantile(values, weights, q) == expected
    with pytest.raises(InputError, match="at least one value"):
        weighted_quantile([], [], 0.5)
