"""Logistic regression with a ridge on standardised columns, both classes weighing the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autointerp.core.errors import AutointerpError
from autointerp.statistics.probing.examples import Indices, LabelledExamples
from autointerp.statistics.scored_windows import Floats

RIDGE = 0.001
"""Half of this times the squared weights of standardised columns is added to the mean loss."""
INTERCEPT = 10.0
"""The column of the intercept, so that the ridge holds it a hundredth as strongly."""
_MOST_STEPS = 100
_NEAR = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """Examples as logistic regression takes them."""

    rows: Floats
    """Standardised columns times the class (-1 or 1), the intercept's first; shape
    (n_units + 1, n_examples). A column that does not vary is 0."""
    weights: Floats
    """Of the examples, summing to 1, a half of either class; shape (n_examples,)."""
    means: Floats
    """Of each unit over the examples, shape (n_units,), model units."""
    scales: Floats
    """Standard deviation of each unit, infinite where it does not vary."""

    @classmethod
    def of(cls, examples: LabelledExamples) -> Design:
        """The design of examples of both classes."""
        values = np.asarray(examples.activations, np.float64)
        shares = examples.weights / examples.weights.sum()
        means = shares @ values
        scales = np.sqrt(shares @ (values - means) ** 2)
        scales = np.where(scales > 1e-9 * (np.abs(means) + 1e-30), scales, np.inf)
        signs = np.where(examples.has, 1.0, -1.0)
        rows = np.empty((values.shape[1] + 1, len(values)))
        rows[0] = INTERCEPT * signs
        rows[1:] = ((values - means) / scales * signs[:, None]).T
        totals = [examples.weights[own].sum() for own in (~examples.has, examples.has)]
        balanced = examples.weights / np.where(examples.has, totals[1], totals[0]) / 2
        return cls(rows, balanced, means, scales)


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Weights at the least loss."""

    weights: Floats
    """Of the intercept's column and of each unit, standardised, shape (n_units + 1,)."""
    loss: float
    """Mean logistic loss, nats, with the ridge's part; ln 2 where nothing separates."""


def fit_logistic(
    design: Design,
    units: Sequence[int] | Indices,
    *,
    ridge: float = RIDGE,
    start: Floats | None = None,
) -> Fit:
    """The weights of these units, 0-based, with the least loss, by Newton's method.

    Args:
        design: the examples.
        units: columns of activations that are used.
        ridge: see `RIDGE`.
        start: weights to begin with, as they come back.
    """
    own = design.rows[np.concatenate([[0], np.asarray(units, np.intp) + 1])]
    weights = np.zeros(len(own)) if start is None else start.copy()
    loss = _loss(own, design.weights, weights, ridge)
    for _ in range(_MOST_STEPS):
        pull = design.weights / (1 + np.exp(np.clip(weights @ own, -700, 700)))
        gradient = ridge * weights - own @ pull
        bend = pull * (1 - pull / design.weights)
        hessian = (own * bend) @ own.T
        hessian.flat[:: len(own) + 1] += ridge
        step = np.linalg.solve(hessian, gradient)
        if gradient @ step < _NEAR:
            return Fit(weights, loss)
        size = 1.0
        while (reached := _loss(own, design.weights, weights - size * step, ridge)) > loss:
            size /= 2
            if size < 1e-9:
                return Fit(weights, loss)
        weights, loss = weights - size * step, reached
    raise AutointerpError(f"logistic regression did not settle in {_MOST_STEPS} steps")


def _loss(own: Floats, weights: Floats, w: Floats, ridge: float) -> float:
    return float(weights @ np.logaddexp(0.0, -(w @ own)) + ridge / 2 * (w @ w))
