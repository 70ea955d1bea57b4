"""Pairs of units and how they differ: against scipy, and in simulated studies."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_rel

from autointerp.statistics.studies.pairs import mean_difference, nearest_pairs


def test_interval_and_p_value_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    for n in (2, 5, 60):
        first, second = rng.normal(size=(2, n))
        found = mean_difference(list(zip(first.tolist(), second.tolist(), strict=True)))
        other = ttest_rel(first, second)
        ends = other.confidence_interval(0.95)
        assert found is not None
        assert (found.low, found.high) == pytest.approx((ends.low, ends.high), abs=1e-6)
        assert found.p_value == pytest.approx(other.pvalue, abs=1e-6)


def test_in_200_simulated_studies_the_interval_holds_a_known_difference() -> None:
    rng, held, truth = np.random.default_rng(1), 0, 0.1
    for _ in range(200):
        # Scores between 0 and 1, skewed, alike within a pair.
        level = rng.beta(2, 5, size=60)
        second = level + rng.normal(0, 0.1, size=60)
        first = level + truth + (rng.exponential(0.1, size=60) - 0.1)
        found = mean_difference(list(zip(first.tolist(), second.tolist(), strict=True)))
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        held += found.low <= truth <= found.high
    assert held >= 186


def test_pairs_are_the_nearest_and_nobody_is_in_two() -> None:
    pairs = nearest_pairs([0.0, 1.0, 5.0], [5.2, 0.4, 0.9, 30.0])
    assert pairs == [(1, 2), (2, 0), (0, 1)]
    assert nearest_pairs([], [1.0]) == []


def test_one_pair_and_equal_pairs_have_no_interval() -> None:
    for pairs in ([(0.5, 0.3)], [(0.5, 0.3), (0.6, 0.4)] * 2):
        found = mean_difference([(round(a, 1), round(b, 1)) for a, b in pairs])
        assert found is not None
        assert found.value == pytest.approx(0.2)
    assert mean_difference([]) is None
