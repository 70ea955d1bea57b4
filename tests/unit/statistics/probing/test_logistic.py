from __future__ import annotations

import math

import numpy as np
import pytest

from autointerp.statistics.probing.examples import LabelledExamples
from autointerp.statistics.probing.logistic import Design, fit_logistic


def _examples(seed: int, n: int = 300) -> LabelledExamples:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((n, 6)) * np.array([1, 5, 0.1, 1, 1, 1]) + 3
    has = values[:, 0] + values[:, 1] / 5 + rng.standard_normal(n) > 4.5
    return LabelledExamples(values, has, np.arange(n), rng.uniform(0.5, 2.0, n))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ridge", [0.1, 0.001])
def test_weights_are_those_of_scikit_learn(seed: int, ridge: float) -> None:
    from sklearn.linear_model import LogisticRegression

    examples = _examples(seed)
    design, units = Design.of(examples), [1, 0, 4]
    signs = np.where(examples.has, 1.0, -1.0)
    columns = (design.rows[[0, 2, 1, 5]] * signs).T
    model = LogisticRegression(C=1 / ridge, fit_intercept=False, tol=1e-10, max_iter=10_000)
    model.fit(columns, examples.has, sample_weight=design.weights)
    np.testing.assert_allclose(
        fit_logistic(design, units, ridge=ridge).weights, model.coef_[0], atol=1e-4
    )


def test_both_classes_weigh_the_same_and_columns_are_standardised() -> None:
    examples = _examples(0)
    design = Design.of(examples)
    assert design.weights[examples.has].sum() == pytest.approx(0.5)
    assert design.weights[~examples.has].sum() == pytest.approx(0.5)
    columns, shares = (
        design.rows[1:] * np.where(examples.has, 1, -1),
        examples.weights / examples.weights.sum(),
    )
    np.testing.assert_allclose(columns @ shares, 0, atol=1e-12)
    np.testing.assert_allclose(columns**2 @ shares, 1)


def test_no_units_leave_the_loss_of_a_coin() -> None:
    assert fit_logistic(Design.of(_examples(0)), []).loss == pytest.approx(math.log(2))


def test_separable_and_constant_columns_have_finite_weights() -> None:
    examples = _examples(0)
    values = np.stack([np.where(examples.has, 1e6, -1e6), np.full(len(examples.has), 0.3)], axis=1)
    design = Design.of(LabelledExamples(values, examples.has, examples.documents, examples.weights))
    fitted = fit_logistic(design, [0, 1])
    assert np.isfinite(fitted.weights).all()
    assert fitted.weights[2] == 0.0
    assert fitted.loss < 0.02


def test_a_start_changes_nothing_but_the_time() -> None:
    design = Design.of(_examples(1))
    cold = fit_logistic(design, range(6))
    warm = fit_logistic(design, range(6), start=cold.weights + 3)
    np.testing.assert_allclose(warm.weights, cold.weights, atol=1e-4)
