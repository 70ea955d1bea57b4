"""Shares of two groups and agreement of judges: published values, a library, simulated studies."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from autointerp.core.errors import InputError
from autointerp.statistics.studies.agreement import agreement
from autointerp.statistics.studies.shares import compare_shares, difference_of_shares


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
    ],
)
def test_differences_are_those_of_newcombe_1998(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    """Table II there, method 10."""
    found = difference_of_shares(first, second)
    assert found == pytest.approx(
        (first[0] / first[1] - second[0] / second[1], low, high), abs=6e-5
    )


@pytest.mark.parametrize(
    "shares", [(0.3, 0.3), (0.6, 0.3), (0.05, 0.05), (0.95, 0.8), (0.05, 0.0), (0.95, 0.05)]
)
def test_of_200_simulated_studies_the_interval_holds_the_truth_in_93_percent(
    shares: tuple[float, float],
) -> None:
    rng, n, held = np.random.default_rng(7), 60, 0
    for study in range(200):
        groups = [
            [(layer % 4, bool(yes)) for layer, yes in enumerate(rng.random(n) < share)]
            for share in shares
        ]
        found = compare_shares(groups[0], groups[1], seed=study, n_permutations=20)
        held += found.low <= shares[0] - shares[1] <= found.high
    assert held >= 186


def test_of_simulated_studies_without_a_difference_few_are_significant() -> None:
    rng, n_significant = np.random.default_rng(3), 0
    for study in range(200):
        # Layers differ widely, and the groups have unequal numbers of them.
        groups = [
            [
                (layer, bool(rng.random() < share))
                for layer, share, n in ((0, 0.9, sizes[0]), (1, 0.1, sizes[1]))
                for _ in range(n)
            ]
            for sizes in ((40, 20), (20, 40))
        ]
        found = compare_shares(groups[0], groups[1], seed=study, n_permutations=400)
        n_significant += found.p_value < 0.05
    assert n_significant <= 20


def test_a_difference_that_is_there_is_told() -> None:
    first, second = [(0, True)] * 18 + [(0, False)] * 2, [(0, True)] * 4 + [(0, False)] * 16
    found = compare_shares(first, second, seed=0)
    assert found.p_value < 0.01
    assert found.low > 0


def test_an_empty_group_is_refused() -> None:
    with pytest.raises(InputError, match="at least one unit in each group"):
        difference_of_shares((0, 0), (1, 2))


def test_kappa_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        first = rng.random(50) < 0.4
        second = np.where(rng.random(50) < 0.7, first, rng.random(50) < 0.5)
        found = agreement(list(zip(first.tolist(), second.tolist(), strict=True)), seed=0)
        assert found is not None
        assert found.kappa == pytest.approx(cohen_kappa_score(first, second))
        assert found.share == pytest.approx(float((first == second).mean()))
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.kappa <= found.high


def test_in_200_simulated_studies_the_interval_of_kappa_holds_the_truth() -> None:
    # Two judges who are each right on 85 % of items, of which 40 % are yes.
    rng, right, base = np.random.default_rng(5), 0.85, 0.4
    agree = right**2 + (1 - right) ** 2
    says_yes = base * right + (1 - base) * (1 - right)
    chance = says_yes**2 + (1 - says_yes) ** 2
    truth, held = (agree - chance) / (1 - chance), 0
    for study in range(200):
        items = rng.random(120) < base
        first, second = (np.where(rng.random(120) < right, items, ~items) for _ in range(2))
        found = agreement(
            list(zip(first.tolist(), second.tolist(), strict=True)), seed=study, n_resamples=400
        )
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        held += found.low <= truth <= found.high
    assert held >= 186


def test_judges_who_always_say_the_same_have_no_kappa() -> None:
    found = agreement([(True, True)] * 5, seed=0)
    assert found is not None
    assert (found.share, found.kappa) == (1.0, None)
    assert agreement([], seed=0) is None
