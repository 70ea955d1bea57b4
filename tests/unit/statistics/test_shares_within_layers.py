"""Shares compared within layers, and of the same units twice: by enumeration and simulation."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import binomtest

from autointerp.core.errors import InputError
from autointerp.statistics.studies.shares import (
    SharesOfTwo,
    compare_pairs,
    compare_shares,
    difference_of_shares,
)

Group = list[tuple[int, bool]]
N_STUDIES = 2000


def group(rng: np.random.Generator, shares: tuple[float, ...], sizes: tuple[int, ...]) -> Group:
    drawn = enumerate(zip(shares, sizes, strict=True))
    return [(layer, bool(rng.random() < share)) for layer, (share, n) in drawn for _ in range(n)]


def share_held(truth: float, study: Callable[[], SharesOfTwo]) -> float:
    found = [study() for _ in range(N_STUDIES)]
    return sum(one.low <= truth <= one.high for one in found) / N_STUDIES


def test_the_p_value_is_that_of_every_way_to_deal_units_out() -> None:
    own, other = [True] * 5 + [False] * 3, [True] + [False] * 7
    all_of_them = own + other
    ways = [sum(all_of_them[i] for i in chosen) for chosen in combinations(range(16), 8)]
    exact = float(np.mean([abs(k - (6 - k)) >= 4 for k in ways]))
    for seed in range(5):
        for pair in ((own, other), (other, own)):
            first, second = ([(0, yes) for yes in part] for part in pair)
            found = compare_shares(first, second, seed=seed)
            assert found.p_value == pytest.approx(exact, abs=0.015)


def test_within_layers_it_is_that_of_every_way_within_them() -> None:
    answers = {0: [True] * 5 + [False] * 3, 1: [True] * 2 + [False] * 6}
    sizes = {0: 5, 1: 3}
    ways = [
        [
            sum(answers[layer][i] for i in chosen) / n
            - (sum(answers[layer]) - sum(answers[layer][i] for i in chosen)) / (8 - n)
            for chosen in combinations(range(8), n)
        ]
        for layer, n in sizes.items()
    ]
    # Equal weights, as 5 of 8 and 3 of 8 are weighted alike.
    dealt = (np.array(ways[0])[:, None] + np.array(ways[1])[None, :]).ravel() / 2
    first = [(layer, yes) for layer, n in sizes.items() for yes in answers[layer][:n]]
    second = [(layer, yes) for layer, n in sizes.items() for yes in answers[layer][n:]]
    found = compare_shares(first, second, seed=0)
    seen = (5 / 5 - 0 / 3 + 2 / 3 - 0 / 5) / 2
    assert found.difference == pytest.approx(seen)
    exact = float(np.mean(np.abs(dealt) >= seen - 1e-9))
    assert found.p_value == pytest.approx(exact, abs=0.005)


def test_groups_with_as_many_units_in_every_layer_have_the_interval_of_all_units() -> None:
    rng = np.random.default_rng(1)
    first, second = (group(rng, (0.8, 0.3, 0.1), (20, 20, 20)) for _ in range(2))
    found = compare_shares(first, second, seed=0)
    n_yes = [sum(yes for _, yes in part) for part in (first, second)]
    expected = difference_of_shares((n_yes[0], 60), (n_yes[1], 60))
    assert (found.difference, found.low, found.high) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("shares", "sizes"),
    [
        (((0.9, 0.1), (0.9, 0.1)), ((40, 20), (20, 40))),
        (((0.9, 0.5), (0.7, 0.3)), ((50, 10), (25, 35))),
        (((0.05, 0.05), (0.05, 0.05)), ((30, 30), (30, 10))),
        (((0.3,) * 30, (0.5,) * 30), ((2,) * 30, (2,) * 30)),
    ],
)
def test_of_2000_studies_of_uneven_layers_the_interval_holds_the_truth_in_93_percent(
    shares: tuple[tuple[float, ...], ...], sizes: tuple[tuple[int, ...], ...]
) -> None:
    rng = np.random.default_rng(7)
    weights = [a * b / (a + b) for a, b in zip(*sizes, strict=True)]
    differences = [a - b for a, b in zip(*shares, strict=True)]
    truth = float(np.average(differences, weights=weights))
    groups = zip(shares, sizes, strict=True)
    drawn = [(share, size) for share, size in groups]

    def study() -> SharesOfTwo:
        first, second = (group(rng, *one) for one in drawn)
        return compare_shares(first, second, seed=0, n_permutations=10)

    assert share_held(truth, study) >= 0.93


def test_groups_of_models_of_different_depth_are_compared_as_one_layer() -> None:
    first = [(0, True)] * 6 + [(1, False)] * 4
    second = [(layer, layer < 2) for layer in range(10)]
    found = compare_shares(first, second, seed=0)
    assert found.difference == pytest.approx(0.6 - 0.2)


KINDS = ((True, True), (True, False), (False, True), (False, False))


@pytest.mark.parametrize(
    "shares", [(0.4, 0.05, 0.05, 0.5), (0.02, 0.03, 0.03, 0.92), (0.4, 0.1, 0.02, 0.48)]
)
@pytest.mark.parametrize("n", [30, 100])
def test_of_2000_studies_of_pairs_the_interval_holds_the_truth_in_93_percent(
    shares: tuple[float, ...], n: int
) -> None:
    rng = np.random.default_rng(5)

    def study() -> SharesOfTwo:
        return compare_pairs([KINDS[kind] for kind in rng.choice(4, n, p=shares)])

    assert share_held(shares[1] - shares[2], study) >= 0.93


def test_pairs_that_go_together_have_a_shorter_interval_than_units_that_do_not() -> None:
    pairs = [KINDS[0]] * 42 + [KINDS[1]] * 5 + [KINDS[2]] * 2 + [KINDS[3]] * 51
    found = compare_pairs(pairs)
    difference, low, high = difference_of_shares((47, 100), (44, 100))
    assert found.difference == pytest.approx(difference)
    assert found.high - found.low < (high - low) / 2
    assert found.p_value == pytest.approx(binomtest(2, 7).pvalue)


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[3]])
def test_pairs_that_never_differ_have_no_difference(kind: tuple[bool, bool]) -> None:
    found = compare_pairs([kind] * 40)
    assert (found.difference, found.p_value) == (0.0, 1.0)
    assert found.low < 0 < found.high


def test_no_pair_is_refused() -> None:
    with pytest.raises(InputError, match="at least one unit in each group"):
        compare_pairs([])
    with pytest.raises(InputError, match="at least one unit in each group"):
        compare_shares([], [(0, True)], seed=0)
