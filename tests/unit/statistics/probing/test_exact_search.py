from __future__ import annotations

from itertools import combinations, count

import numpy as np
import pytest

from autointerp.core.errors import InputError
from autointerp.statistics.probing.exact_search import TOLERANCE, search_exactly
from autointerp.statistics.probing.examples import LabelledExamples
from autointerp.statistics.probing.logistic import Design, fit_logistic

KINDS = ("mixed", "noise", "near duplicates", "separable", "a silent unit")


def _design(kind: str, seed: int, *, n: int = 150, n_units: int = 10) -> Design:
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((n, 3))
    values = np.maximum(
        shared @ rng.standard_normal((3, n_units)) + rng.standard_normal((n, n_units)), 0
    )
    signal = values[:, 2] + values[:, 5] - values[:, 7]
    if kind == "noise":
        signal = rng.standard_normal(n)
    elif kind == "near duplicates":
        copies = values[:, [2, 2, 5]] + 1e-4 * rng.standard_normal((n, 3))
        values[:, [3, 4, 6]] = copies
    elif kind == "a silent unit":
        values[:, 0] = 0.0
    if kind != "separable":
        signal = signal + 0.7 * rng.standard_normal(n)
    has = signal > np.quantile(signal, 0.75)
    documents = np.arange(n) // 5
    weights = rng.uniform(0.5, 2.0, n)
    return Design.of(LabelledExamples(values, has, documents, weights))


def _least_loss(design: Design, n_units: int, k: int, ridge: float) -> float:
    return min(fit_logistic(design, s, ridge=ridge).loss for s in combinations(range(n_units), k))


@pytest.mark.parametrize("ridge", [0.01, 0.001])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_the_best_subset_is_that_of_trying_all(kind: str, seed: int, ridge: float) -> None:
    design = _design(kind, seed)
    for k in (1, 2, 3):
        found = search_exactly(design, range(10), k, ridge=ridge)
        least = _least_loss(design, 10, k, ridge)
        assert found.certified
        assert found.bound <= least + 1e-9
        assert found.loss == pytest.approx(least, abs=TOLERANCE)
        own = fit_logistic(design, found.units, ridge=ridge).loss
        assert own == pytest.approx(found.loss, abs=TOLERANCE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_calls", [0, 2, 4, 6])
def test_an_interrupted_search_states_a_bound_that_holds(kind: str, n_calls: int) -> None:
    """The clock passes the limit at the n-th time that it is looked at."""
    design, ticks = _design(kind, 7, n_units=14), count()
    worst = list(reversed(range(14)))
    found = search_exactly(design, worst, 4, time_limit_s=n_calls, clock=lambda: float(next(ticks)))
    least = _least_loss(design, 14, 4, 0.001)
    assert found.bound <= least + 1e-9
    assert found.loss >= least - 1e-9
    assert found.gap == pytest.approx(found.loss - found.bound)


def test_a_search_that_ends_early_has_no_certificate() -> None:
    design, ticks = _design("mixed", 1, n_units=20), count()
    found = search_exactly(
        design, range(20)[::-1], 4, time_limit_s=0, clock=lambda: float(next(ticks))
    )
    assert not found.certified
    assert found.gap > TOLERANCE
    assert 0.0 <= found.bound < found.loss


def test_all_candidates_are_one_subset() -> None:
    design = _design("mixed", 0)
    found = search_exactly(design, [4, 2, 5], 3)
    assert (found.units, found.n_subsets, found.certified) == ((2, 4, 5), 1, True)


def test_few_of_the_subsets_are_solved() -> None:
    found = search_exactly(_design("mixed", 0, n=400, n_units=30), range(30), 4)
    assert found.certified
    assert found.n_subsets == 27_405
    assert found.n_solved < 0.2 * found.n_subsets


@pytest.mark.parametrize(("n", "k"), [(3, 4), (3, 0)])
def test_a_k_above_the_candidates_is_a_sentence(n: int, k: int) -> None:
    with pytest.raises(InputError, match=f"asked for {k} of 3 candidates"):
        search_exactly(_design("noise", 0), range(n), k)


def test_more_subsets_than_fit_are_a_sentence() -> None:
    design = _design("noise", 0, n_units=200)
    with pytest.raises(InputError, match="64,684,950 subsets"):
        search_exactly(design, range(200), 4)
