"""Medians and rank correlations against scipy, and how often their intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from autointerp.statistics.studies.rank_trends import median_interval, rank_trend, spearman


@pytest.mark.parametrize("seed", range(5))
def test_a_rank_correlation_is_that_of_scipy_with_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    layers, scores = rng.integers(6, size=80), rng.normal(size=80).round(1)
    expected = float(stats.spearmanr(layers, scores).statistic)
    assert spearman(scores, layers) == pytest.approx(expected)
    trend = rank_trend(layers.tolist(), scores.tolist(), seed=0)
    assert trend is not None
    assert trend.value == pytest.approx(expected)


@pytest.mark.parametrize("n", [6, 9, 40, 1535])
def test_the_interval_of_a_median_is_scipys_exact_one(n: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    exact = stats.quantile_test(values, q=0.0, p=0.5).confidence_interval(0.95)
    assert median_interval(values) == pytest.approx((exact.low, exact.high))


def test_five_values_have_no_interval_of_their_median() -> None:
    assert median_interval([1.0, 2.0, 3.0, 4.0, 5.0]) == (None, None)
    assert median_interval([]) == (None, None)


def test_the_interval_of_a_trend_holds_it_in_93_of_100_studies() -> None:
    layers = np.repeat(np.arange(6), 400)
    everything = layers * 0.15 + np.random.default_rng(0).normal(size=len(layers))
    truth = spearman(layers, everything)
    assert truth is not None
    n_held = 0
    for study in range(200):
        rng = np.random.default_rng([1, study])
        drawn = np.concatenate(
            [rng.choice(np.flatnonzero(layers == one), 12, replace=False) for one in range(6)]
        )
        trend = rank_trend(layers[drawn].tolist(), everything[drawn].tolist(), seed=study)
        assert trend is not None
        assert trend.low is not None
        assert trend.high is not None
        n_held += trend.low <= truth <= trend.high
    assert n_held >= 0.93 * 200


def test_no_trend_where_nothing_varies() -> None:
    assert rank_trend([0, 1, 2], [0.5, 0.5, 0.5], seed=0) is None
    assert rank_trend([3, 3, 3], [0.1, 0.5, 0.2], seed=0) is None
    few = rank_trend([0, 1, 2], [0.1, 0.5, 0.2], seed=0)
    assert few is not None
    assert (few.low, few.n) == (None, 3)
