"""How far one unit is ahead of the best of many: by brute force, and what is said by chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from autointerp.statistics.studies.crossed_margins import (
    ComparedTokens,
    crossed_margin,
    second_halves,
)
from autointerp.statistics.studies.followed_predictions import weighted_correlations


def text(
    rng: np.random.Generator, n_documents: int, n_units: int, *, spread: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Documents, weights, predictions, and units that follow them, each document by its own gain.

    All units are alike: which of them follows best on some text is chance.
    """
    documents, weights, predicted, units = [], [], [], []
    for document in range(n_documents):
        n = 20 * int(rng.integers(1, 6))
        gains = rng.gamma(1 / spread**2, spread**2, size=(n_units, 1))
        line = np.where(rng.random(n) < rng.beta(1, 6), rng.gamma(2.0, 1.0, n), 0.0)
        noise = rng.gamma(0.3, 1.0, size=(n_units, n)) - 0.3
        documents.append(np.full(n, document))
        weights.append(np.full(n, rng.choice([1.0, 1.0, 4.0])))
        predicted.append(line)
        units.append(np.maximum(0.0, gains * line + noise))
    parts = (np.concatenate(part) for part in (documents, weights, predicted))
    return *parts, np.concatenate(units, axis=1)


def correlation(values: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> float:
    moments = np.cov(np.stack([values, predicted]), aweights=weights, ddof=0)
    return float(moments[0, 1] / np.sqrt(moments[0, 0] * moments[1, 1]))


def of_half(
    half: np.ndarray, documents: np.ndarray, weights: np.ndarray, *lines: np.ndarray
) -> ComparedTokens:
    return ComparedTokens(documents[half], weights[half], *(line[half] for line in lines))


def best_other(units: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> int:
    """Of all but the first."""
    columns = predicted[:, None], weights[:, None]
    return 1 + int(weighted_correlations(units[1:], *columns)[:, 0].argmax())


def test_the_margin_and_its_interval_are_those_of_brute_force() -> None:
    rng = np.random.default_rng(3)
    documents, weights, predicted, units = text(rng, 9, 2, spread=0.5)
    second = second_halves(documents, weights * predicted**2, seed=5)[documents]
    halves = [of_half(half, documents, weights, predicted, *units) for half in (~second, second)]
    found = crossed_margin(halves)
    assert found is not None
    margins, variances, freedoms = [], [], []
    for half in (~second, second):
        rows = [line[half] for line in (*units, predicted, weights)]
        own, other = (correlation(unit, *rows[2:]) for unit in rows[:2])
        margins.append(own - other)
        left = []
        for document in np.unique(documents[half]):
            some = [row[documents[half] != document] for row in rows]
            own, other = (correlation(unit, *some[2:]) for unit in some[:2])
            left.append(own - other)
        n, off = len(left), np.array(left) - np.mean(left)
        assert n in {4, 5}
        variances.append((n - 1) / n * float((off**2).sum()) / 4)
        uneven = 2 * n / (n * float((off**4).sum() / (off**2).sum() ** 2) - 1)
        freedoms.append(min(max(uneven, 1.0), n - 1.0))
    parts = zip(variances, freedoms, strict=True)
    freedom = sum(variances) ** 2 / sum(v * v / f for v, f in parts)
    reach = float(stats.t.ppf(0.975, freedom)) * np.sqrt(sum(variances))
    assert found.value == pytest.approx(np.mean(margins))
    ends = found.value - reach, found.value + reach
    assert (found.low, found.high) == pytest.approx(ends, abs=1e-6)


@pytest.mark.parametrize(("n_documents", "spread"), [(8, 1.0), (26, 0.3), (26, 1.0)])
def test_among_units_that_are_alike_another_is_surely_ahead_no_more_often_than_by_chance(
    n_documents: int, spread: float
) -> None:
    rng = np.random.default_rng(1)
    n_behind = n_ahead = n_naive = 0
    n = 1000
    for seed in range(n):
        documents, weights, predicted, units = text(rng, n_documents, 40, spread=spread)
        second = second_halves(documents, weights * predicted**2, seed=seed)[documents]
        compared = []
        for half in (~second, second):
            rival = best_other(units[:, ~half], predicted[~half], weights[~half])
            lines = predicted, units[0], units[rival]
            compared.append(of_half(half, documents, weights, *lines))
        found = crossed_margin(compared)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        n_behind += found.high < 0
        n_ahead += found.low > 0
        # The same interval where the other unit is chosen on the text on which it is compared.
        rival = best_other(units, predicted, weights)
        lines = predicted, units[0], units[rival]
        naive = crossed_margin(
            [of_half(half, documents, weights, *lines) for half in (~second, second)]
        )
        n_naive += naive is not None and naive.high is not None and naive.high < 0
    # Nominally 2.5 of 100, with four standard errors of so many simulations.
    assert n_behind <= n * (0.025 + 4 * np.sqrt(0.025 * 0.975 / n))
    assert n_ahead <= n * (0.025 + 4 * np.sqrt(0.025 * 0.975 / n))
    assert n_naive >= 0.1 * n


def test_in_200_simulations_the_interval_holds_the_margin_of_two_units() -> None:
    rng, noise, held = np.random.default_rng(2), np.array([[1.0], [1.6]]), 0

    def drawn(n_documents: int) -> tuple[np.ndarray, ...]:
        documents, weights, predicted, units = text(rng, n_documents, 2, spread=0.5)
        return documents, weights, predicted, units + rng.normal(0, noise, units.shape)

    _, weights, predicted, units = drawn(8_000)
    own, other = (correlation(unit, predicted, weights) for unit in units)
    truth = own - other
    for seed in range(200):
        documents, weights, predicted, units = drawn(24)
        second = second_halves(documents, weights * predicted**2, seed=seed)[documents]
        halves = (of_half(h, documents, weights, predicted, *units) for h in (~second, second))
        found = crossed_margin(list(halves))
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        held += found.low <= truth <= found.high
    assert held >= 184


def test_documents_are_dealt_out_whole_and_evenly_by_what_is_predicted() -> None:
    documents = np.repeat(np.arange(7), 3)
    masses = np.repeat([9.0, 8.0, 5.0, 4.0, 1.0, 1.0, 0.0], 3)
    many = [second_halves(documents, masses, seed=seed) for seed in range(40)]
    for second in many:
        assert second.shape == (7,)
        assert second[0] != second[1]
        assert second[2] != second[3]
        assert second[4] != second[5]
    assert 10 <= sum(bool(second[0]) for second in many) <= 30
    again = second_halves(documents, masses, seed=3)
    assert again.tolist() == many[3].tolist()


def test_few_documents_have_a_margin_without_an_interval_and_flat_halves_none() -> None:
    rng = np.random.default_rng(4)
    documents, weights, predicted, units = text(rng, 4, 2, spread=0.5)
    second = documents % 2 == 1
    halves = [of_half(h, documents, weights, predicted, *units) for h in (~second, second)]
    found = crossed_margin(halves)
    assert found is not None
    assert (found.low, found.high) == (None, None)
    flat = np.where(second, predicted, 0.0)
    halves = [of_half(h, documents, weights, flat, *units) for h in (~second, second)]
    assert crossed_margin(halves) is None


def equalled(seed: int, *, noise: float) -> tuple[bool, bool]:
    """Whether a unit that another one equals, among many worse ones, is surely the best of all.

    By the best other on the same text, and by those that halves of it choose.
    """
    rng = np.random.default_rng(seed)
    documents, weights, predicted, units = text(rng, 12, 2, spread=0.3)
    worse = predicted + rng.normal(0, noise, size=(600, len(predicted)))
    units = np.concatenate([predicted + rng.normal(0, 1.0, units.shape), worse])
    columns = predicted[:, None], weights[:, None]
    if weighted_correlations(units, *columns)[:, 0].argmax() != 0:
        return False, False
    second = second_halves(documents, weights * predicted**2, seed=seed)[documents]
    every, compared = np.ones(len(documents), dtype=bool), []
    for half, chosen_on in ((every, every), (~second, second), (second, ~second)):
        rival = best_other(units[:, chosen_on], predicted[chosen_on], weights[chosen_on])
        lines = predicted, units[0], units[rival]
        compared.append(of_half(half, documents, weights, *lines))
    lead, margin = crossed_margin(compared[:1]), crossed_margin(compared[1:])
    ahead = (one is not None and one.low is not None and one.low > 0 for one in (lead, margin))
    return next(ahead), next(ahead)


@pytest.mark.parametrize(("noise", "least_by_halves"), [(1.3, 0.1), (2.0, 0.0)])
def test_a_unit_that_another_one_equals_is_surely_the_best_no_more_often_than_by_chance(
    noise: float, least_by_halves: float
) -> None:
    n = 400
    found = np.array([equalled(seed, noise=noise) for seed in range(n)])
    by_all, by_halves = found.mean(axis=0)
    assert by_all <= 0.025 + 4 * np.sqrt(0.025 * 0.975 / n)
    # Half of the text often chooses a worse unit, over which the margin is as large as it says.
    assert by_halves >= least_by_halves
