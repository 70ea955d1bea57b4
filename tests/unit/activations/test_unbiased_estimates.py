"""Totals over all windows, estimated from drawn ones over many collections with other seeds."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic import heavy_tailed, summarize

from autointerp.activations import WindowSample
from autointerp.activations.sampling.strata import CandidateStratum, sample_windows, unit_strata
from autointerp.statistics.bootstrap import Resampling
from autointerp.statistics.population import population_score
from autointerp.statistics.scored_windows import ScoredWindow

N_SEEDS = 500
RESAMPLING = Resampling(100, 0.95, 0)
PEAKS = heavy_tailed(400, 5)
ACTIVATIONS = np.maximum(PEAKS, 0.0)
NOISE = np.random.default_rng(11).normal(size=400)
LOOKUP = 0.4 * ACTIVATIONS + np.where(PEAKS > 0, 1.0, 0.2) + 0.8 * NOISE


Pools = list[tuple[CandidateStratum, ...]]


@pytest.fixture(scope="module")
def pools() -> Pools:
    """The strata of as many collections, each with another seed."""
    summaries = (
        summarize(PEAKS, seed=seed, top_k=8, sample=48, shared=48) for seed in range(N_SEEDS)
    )
    return [
        unit_strata(summary, side=0, column=0, quantiles=(0.5, 0.8), threshold=0.0)
        for summary in summaries
    ]


@pytest.fixture(scope="module")
def draws(pools: Pools) -> list[WindowSample]:
    return [sample_windows(strata, 20, seed=seed) for seed, strata in enumerate(pools)]


MOMENTS = {
    "windows": np.ones(400),
    "activation": PEAKS,
    "rectified": ACTIVATIONS,
    "lookup": LOOKUP,
    "lookup squared": LOOKUP**2,
    "product": LOOKUP * ACTIVATIONS,
}


@pytest.mark.parametrize("name", MOMENTS)
def test_weighted_sums_of_drawn_windows_estimate_totals_without_bias(
    draws: list[WindowSample], name: str
) -> None:
    values = MOMENTS[name]
    found = np.array([sum(p.weight * values[p.window] for p in d.sampled) for d in draws])
    error = found.mean() - values.sum()
    assert abs(error) <= 3 * found.std() / np.sqrt(N_SEEDS) + 1e-9


def population(drawn: WindowSample) -> float:
    windows = [
        # Two tokens a window: one that says something, and one that does not.
        ScoredWindow(
            (float(ACTIVATIONS[p.window]), 0.0), (float(LOOKUP[p.window]), 0.1), p.stratum, p.weight
        )
        for p in drawn.sampled
    ]
    value = population_score(windows, drawn.strata, RESAMPLING).value
    assert value is not None
    return value


@pytest.mark.parametrize(("n", "bias"), [(20, 0.01), (60, 0.003)])
def test_the_population_score_of_a_lookup_is_its_correlation_over_all_windows(
    pools: Pools, n: int, bias: float
) -> None:
    true = np.corrcoef(
        np.concatenate((ACTIVATIONS, np.zeros(400))), np.concatenate((LOOKUP, np.full(400, 0.1)))
    )[0, 1]
    found = [population(sample_windows(strata, n, seed=seed)) for seed, strata in enumerate(pools)]
    # A ratio of unbiased sums is off by the order of one over n, beside its spread.
    assert abs(np.mean(found) - true) < bias
    assert 0 < np.std(found) < 0.05


def test_windows_of_every_strength_are_included_as_often_as_their_probabilities_say(
    draws: list[WindowSample],
) -> None:
    groups = np.argsort(np.argsort(PEAKS)) // 40
    found = np.zeros((N_SEEDS, 10))
    for row, drawn in enumerate(draws):
        for chosen in drawn.sampled:
            found[row, groups[chosen.window]] += chosen.weight
    errors = np.abs(found.mean(0) - 40)
    assert (errors <= 4 * found.std(0) / np.sqrt(N_SEEDS) + 1e-9).all()
