"""Which of many units follows a prediction: against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from autointerp.statistics.studies.followed_predictions import (
    PredictionSums,
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


def test_sums_of_two_parts_of_the_text_are_those_of_all_of_it() -> None:
    rng = np.random.default_rng(1)
    activations, predicted = rng.random((3, 90)), rng.random((90, 4))
    weights = rng.integers(0, 5, (90, 4)).astype(np.float64)
    halves = [slice(40), slice(40, None)]
    first, second = (PredictionSums.of(activations[:, h], predicted[h], weights[h]) for h in halves)
    whole = weighted_correlations(activations, predicted, weights)
    assert (first + second).correlations() == pytest.approx(whole)
    one = (first + second).of_columns(slice(1, 3)).correlations()
    assert one == pytest.approx(whole[:, 1:3])
