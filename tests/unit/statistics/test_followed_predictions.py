"""Which of many units follows a prediction: against brute force, and intervals in simulation."""

from __future__ import annotations

import numpy as np
import pytest

from autointerp.statistics.studies.followed_predictions import (
    WindowLines,
    margin_interval,
    weighted_correlations,
)


def test_correlations_are_those_of_brute_force() -> None:
    rng = np.random.default_rng(0)
    activations = rng.gamma(0.3, 2.0, size=(7, 400)).astype(np.float32)
    activations[3] = 0.25
    predicted = rng.random((400, 5)).astype(np.float32)
    predicted[:, 4] = 1.0
    weights = np.where(rng.random((400, 5)) < 0.3, 0, rng.integers(1, 9, (400, 5)))
    found = weighted_correlations(activations, predicted, weights.astype(np.float32))
    assert found.shape == (7, 5)
    for unit in range(7):
        for column in range(5):
            if unit == 3 or column == 4:
                assert np.isnan(found[unit, column])
                continue
            repeated = np.repeat(np.arange(400), weights[:, column])
            rows = activations[unit, repeated], predicted[repeated, column]
            truth = np.corrcoef(*(row.astype(np.float64) for row in rows))[0, 1]
            assert found[unit, column] == pytest.approx(truth, abs=2e-5)


def drawn(rng: np.random.Generator, n: int, noise: tuple[float, float]) -> list[WindowLines]:
    """Windows in which two units follow what is predicted with so much noise each."""
    windows = []
    for number in range(n):
        predicted = np.where(rng.random(20) < 0.2, rng.gamma(2.0, 1.0, 20), 0.0)
        own, other = (predicted + rng.normal(0, s, 20) for s in noise)
        stratum, weight = ("top", 1.0) if number % 3 == 0 else ("rest", 4.0)
        windows.append(WindowLines(stratum, weight, predicted, own, other))
    return windows


def test_in_200_simulations_the_interval_holds_the_margin() -> None:
    rng, noise, held = np.random.default_rng(2), (1.0, 1.3), 0
    many = drawn(np.random.default_rng(9), 30_000, noise)
    lines = [np.concatenate([getattr(w, n) for w in many]) for n in ("predicted", "own", "other")]
    truth = np.corrcoef(lines[0], lines[1])[0, 1] - np.corrcoef(lines[0], lines[2])[0, 1]
    for seed in range(200):
        found = margin_interval(drawn(rng, 60, noise), seed=seed, n_resamples=300)
        assert found is not None
        held += found[0] <= truth <= found[1]
    assert held >= 184


def test_the_better_of_two_is_ahead_and_one_window_tells_nothing() -> None:
    rng = np.random.default_rng(4)
    better, worse = (
        margin_interval(drawn(rng, 60, noise), seed=0) for noise in ((0.2, 2.0), (2.0, 0.2))
    )
    assert better is not None
    assert worse is not None
    assert better[0] > 0 > worse[1]
    assert margin_interval(drawn(rng, 1, (1.0, 1.0)), seed=0) is None
