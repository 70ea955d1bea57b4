"""Shapes of distributions from counts in bins, held against all the numbers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from autointerp.activations.kernels.encoding import signed_edges
from autointerp.statistics.distribution_shape import FEWEST_OF_TAIL, BinnedNumbers

Floats = NDArray[np.float64]
RNG = np.random.default_rng(0)
N = 40_000
SAMPLES: dict[str, Floats] = {
    "normal": RNG.normal(0.3, 1.0, N),
    "laplace": RNG.laplace(0.0, 0.02, N),
    "lognormal": RNG.lognormal(0.0, 1.0, N),
    "uniform": RNG.uniform(-1, 1, N),
    "two_modes": np.concatenate([RNG.normal(-2, 0.3, N // 2), RNG.normal(2, 0.3, N // 2)]),
    "sparse": np.where(RNG.random(N) < 0.01, RNG.exponential(1.0, N), 0.0),
}

BY_SCIPY = {
    "normal": (-0.00546253, 0.0336458),
    "laplace": (0.0658809, 3.21016),
    "lognormal": (6.58047, 97.6704),
    "uniform": (0.0057033, -1.19262),
    "two_modes": (-0.000644468, -1.91303),
    "sparse": (21.2417, 572.414),
}
"""What `scipy.stats.skew` and `kurtosis` of scipy 1.17.1 give for these samples."""


def standardized_moment(values: Floats, k: int) -> float:
    """What scipy.stats.skew and kurtosis are made of, from all the numbers."""
    return float((((values - values.mean()) / values.std()) ** k).mean())


def binned(values: Floats) -> BinnedNumbers:
    edges = signed_edges()
    return BinnedNumbers.of(
        np.histogram(values, edges)[0], edges, float(values.min()), float(values.max())
    )


@pytest.mark.parametrize("name", SAMPLES)
def test_shapes_are_those_that_scipy_gives(name: str) -> None:
    skewness, kurtosis = BY_SCIPY[name]
    numbers = binned(SAMPLES[name])
    assert numbers.excess_kurtosis == pytest.approx(kurtosis, rel=0.05, abs=0.1)
    assert numbers.bimodality == pytest.approx((skewness**2 + 1) / (kurtosis + 3), rel=0.05)


@pytest.mark.parametrize("name", SAMPLES)
def test_kurtosis_and_sarle_s_coefficient_are_those_of_the_numbers(name: str) -> None:
    values = SAMPLES[name]
    numbers = binned(values)
    fourth = standardized_moment(values, 4)
    assert numbers.excess_kurtosis == pytest.approx(fourth - 3, rel=0.05, abs=0.1)
    sarle = (standardized_moment(values, 3) ** 2 + 1) / fourth
    assert numbers.bimodality == pytest.approx(sarle, rel=0.05)


def test_two_modes_have_more_of_it_than_a_uniform_distribution() -> None:
    found = {name: binned(values).bimodality for name, values in SAMPLES.items()}
    assert found["uniform"] == pytest.approx(5 / 9, rel=0.02)
    assert (found["two_modes"] or 0) > 0.9
    assert (found["normal"] or 1) < 0.4


def test_the_index_of_a_power_law_is_found_on_either_side() -> None:
    values = (np.random.default_rng(1).pareto(2.5, N) + 1.0) * 0.01
    for sign in (1.0, -1.0):
        numbers = binned(sign * values)
        tail = (numbers if sign > 0 else numbers.negated).tail_index()
        assert tail is not None
        low, high = tail.interval
        assert low < 2.5 < high
        assert FEWEST_OF_TAIL <= tail.n < 5 * FEWEST_OF_TAIL
        largest = np.sort(values)[::-1]
        hill = 1.0 / np.log(largest[: tail.n] / largest[tail.n]).mean()
        assert tail.value == pytest.approx(hill, rel=0.1)


def test_a_normal_tail_is_lighter_than_that_of_a_power_law() -> None:
    tails = [binned(SAMPLES[name]).tail_index() for name in ("normal", "lognormal")]
    assert all(tail is not None for tail in tails)
    assert [tail.value > 6 for tail in tails if tail] == [True, False]


def test_what_does_not_vary_or_is_too_few_has_no_shape() -> None:
    constant = binned(np.full(500, 0.25))
    assert constant.excess_kurtosis is None
    assert constant.bimodality is None
    assert constant.tail_index() is None
    assert binned(np.linspace(0.1, 1.0, FEWEST_OF_TAIL - 1)).tail_index() is None
    assert binned(-np.linspace(0.1, 1.0, 1000)).tail_index() is None
