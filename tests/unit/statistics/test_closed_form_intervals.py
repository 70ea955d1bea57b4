"""Intervals of rates and of differences of means, and of resamples with unseen tokens."""

import math

import numpy as np
import pytest

from autointerp.statistics.bootstrap import Group, Resampling
from autointerp.statistics.classification import share_score
from autointerp.statistics.closed_form_intervals import welch_interval, wilson_interval
from autointerp.statistics.intervals import Unseen, percentile_ends, unseen_interval

Z = {0.9: 1.6448536, 0.95: 1.9599640, 0.99: 2.5758293}


@pytest.mark.parametrize(("n_right", "n"), [(0, 4), (1, 7), (3, 4), (9, 12), (5, 5), (60, 400)])
@pytest.mark.parametrize("confidence", Z)
def test_ends_of_wilsons_interval_are_the_rates_from_which_the_seen_one_is_z_errors_off(
    n_right, n, confidence
):
    low, high = wilson_interval(n_right, n, confidence=confidence)
    for end in (low, high):
        allowed = Z[confidence] ** 2 * end * (1 - end) / n
        assert (n_right / n - end) ** 2 == pytest.approx(allowed, abs=1e-7)
    assert 0 <= low <= n_right / n <= high <= 1
    assert low < high


def test_a_share_stands_with_its_count_and_interval():
    score = share_score("hits", 3, 4, confidence=0.95)
    assert (score.name, score.value, score.n_windows) == ("hits", 0.75, 4)
    assert (score.low, score.high) == wilson_interval(3, 4, confidence=0.95)


def spread_out(n, error):
    """Samples of n with a mean of 0 and that squared standard error of it."""
    values = np.linspace(-1.0, 1.0, n)
    return (values * math.sqrt(error * n / values.var(ddof=1))).tolist()


@pytest.mark.parametrize(
    ("first", "second", "error", "t"),
    [
        # Equal errors and sizes: all 10 degrees of freedom; of one that is constant: the other's.
        (spread_out(6, 0.5), spread_out(6, 0.5), 1.0, 2.228139),
        (spread_out(6, 4.0), [0.0] * 3, 4.0, 2.570582),
        # Two thirds of the variance with 4 degrees of freedom, one third with 2: 6.
        (spread_out(5, 2.0), spread_out(3, 1.0), 3.0, 2.446912),
    ],
)
def test_welchs_interval_has_welch_and_satterthwaites_degrees_of_freedom(first, second, error, t):
    low, high = welch_interval([x + 7.0 for x in first], second, confidence=0.95)
    assert (low, high) == pytest.approx((7 - t * math.sqrt(error), 7 + t * math.sqrt(error)))
    low, high = welch_interval(second, first, confidence=0.95)
    assert (low, high) == pytest.approx((-t * math.sqrt(error), t * math.sqrt(error)))


def test_means_of_what_does_not_vary_have_no_interval():
    assert welch_interval([1.0, 1.0], [2.0, 2.0], confidence=0.95) == (None, None)


def test_percentile_ends_leave_out_what_is_not_finite():
    values = np.random.default_rng(0).normal(size=400)
    mixed = np.concatenate([values, [math.nan] * 7, [math.inf, -math.inf]])
    assert percentile_ends(mixed, 0.8) == pytest.approx(np.quantile(values, [0.1, 0.9]).tolist())
    assert percentile_ends(np.array([math.nan]), 0.8) == []


ALL = [Group(tuple(range(12)), math.inf)]
# Rows are (hits, tries): a miss that was not seen adds a try, a hit both.
KINDS = Unseen(np.array([[0.0, 1.0]]), np.array([[1.0, 1.0]]))


def share(sums):
    return sums[..., 0] / sums[..., 1]


@pytest.mark.parametrize(("confidence", "gamma"), [(0.95, 2.5119), (0.8, 1.3528)])
def test_unseen_misses_make_the_lower_end_and_unseen_hits_the_upper_one(confidence, gamma):
    # Gamma(1/2) exceeds that once in 40 times, and once in 10.
    resampling = Resampling(20_000, confidence)
    hits, misses = np.ones((12, 2)), np.tile([0.0, 1.0], (12, 1))
    low, high = unseen_interval(1.0, share, hits, ALL, resampling, unseen=KINDS)
    assert (low, high) == (pytest.approx(12 / (12 + gamma), rel=0.01), 1.0)
    low, high = unseen_interval(0.0, share, misses, ALL, resampling, unseen=KINDS)
    assert (low, high) == (0.0, pytest.approx(gamma / (12 + gamma), rel=0.03))


def test_several_kinds_are_added_independently_of_each_other():
    rows, none = np.tile([0.0, 12.0], (12, 1)), np.zeros((1, 2))
    two = Unseen(none, np.array([[1.0, 0.0], [1.0, 0.0]]))
    _, high = unseen_interval(0.0, share, rows, ALL, Resampling(20_000), unseen=two)
    # The sum of two is exponential.
    assert high == pytest.approx(-math.log(0.025) / 144, rel=0.03)


def test_an_interval_needs_half_of_its_resamples():
    rng = np.random.default_rng(0)
    rows = np.stack([rng.random(12), np.ones(12)], axis=1)
    value = float(rows[:, 0].mean())
    for at, there in ((-0.5, True), (0.5, False)):
        # The share of resamples whose mean is above that many of its standard errors.
        cut = value + at * rows[:, 0].std(ddof=1) / math.sqrt(12)

        def upper(sums, cut=cut):
            return np.where(share(sums) > cut, share(sums), np.nan)

        none = Unseen(np.zeros((1, 2)), np.zeros((1, 2)))
        low, high = unseen_interval(value, upper, rows, ALL, Resampling(1000), unseen=none)
        assert (low is not None, high is not None) == (there, there)
