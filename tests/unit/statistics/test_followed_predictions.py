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


def test_the_interval_is_that_of_resampled_windows() -> None:
    windows = drawn(np.random.default_rng(6), 30, (0.8, 1.2))
    rng, margins = np.random.default_rng(11), []
    strata = {name: [w for w in windows if w.stratum == name] for name in ("top", "rest")}
    for _ in range(3000):
        chosen = [own[i] for own in strata.values() for i in rng.integers(len(own), size=len(own))]
        weights = np.concatenate([np.full(len(w.predicted), w.weight) for w in chosen])
        predicted, *units = (
            np.concatenate([getattr(w, name) for w in chosen])
            for name in ("predicted", "own", "other")
        )
        moments = [np.cov(np.stack([unit, predicted]), aweights=weights) for unit in units]
        first, second = (m[0, 1] / np.sqrt(m[0, 0] * m[1, 1]) for m in moments)
        margins.append(first - second)
    found = margin_interval(windows, seed=0, n_resamples=3000)
    assert found is not None
    assert found == pytest.approx(np.quantile(margins, [0.025, 0.975]), abs=0.01)


def test_the_better_of_two_is_ahead_and_one_window_tells_nothing() -> None:
    rng = np.random.default_rng(4)
    better, worse = (
        margin_interval(drawn(rng, 60, noise), seed=0) for noise in ((0.2, 2.0), (2.0, 0.2))
    )
    assert better is not None
    assert worse is not None
    assert better[0] > 0 > worse[1]
    assert margin_interval(drawn(rng, 1, (1.0, 1.0)), seed=0) is None
