"""Logistic probes on many small subsets of columns, and lower bounds of their losses, compiled.

The loss of a subset S with weights w on its rows of Z and example weights c is
``sum_i c_i log(1 + exp(-m_i)) + ridge / 2 * |w|^2`` with margins ``m = w @ Z[S]``. For any a in
0..1, ``sum_i c_i h(a_i) - sum_{j in S} q_j^2 / (2 ridge)`` with ``q = Z @ (c a)`` and h the binary
entropy is at most its minimum (Fenchel's dual): what a probe on one subset says of all others.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from autointerp.statistics.compiled.compilation import CACHED, compiled_inner

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

# Examples that are worked on together.
_LANES = 64
# Newton steps; from a near start three or four are enough.
_MOST_STEPS = 50
# By which a loss that did not rise may seem to.
_ROUNDING = 1e-15


@njit(nogil=True, cache=CACHED, error_model="numpy")
def solve_subsets(
    rows: Floats,
    weights: Floats,
    subsets: Indices,
    starts: Floats,
    limits: tuple[float, float, float],
) -> tuple[Floats, Floats, Floats, Floats]:
    """The least loss of each subset, or no more than a bound that is high enough.

    Args:
        rows: of the columns, times the class (-1 or 1), shape (n_columns, n_examples).
        weights: of the examples, shape (n_examples,).
        subsets: columns of each, shape (n_subsets, size).
        starts: weights that each begins with, shape (n_subsets, size).
        limits: the ridge; a bound from which on a subset is left; how near loss and bound come.

    Returns:
        Losses, lower bounds, weights as `starts`, and for each the ``a`` of its bound, shape
        (n_subsets, n_examples).
    """
    n_subsets, size = subsets.shape
    ridge, enough, tolerance = limits
    losses, bounds = np.empty(n_subsets), np.empty(n_subsets)
    solved, duals = starts.copy(), np.empty((n_subsets, rows.shape[1]))
    own, step, gradient = np.empty((size, rows.shape[1])), np.empty(size), np.empty(size)
    hessian = np.empty((size, size))
    lanes = np.empty((5 + size + size * (size + 1) // 2, _LANES))
    for number in range(n_subsets):
        for j in range(size):
            own[j] = rows[subsets[number, j]]
        w = solved[number]
        best, bound = np.inf, -np.inf
        for _ in range(_MOST_STEPS):
            _sum_examples(own, weights, w, duals[number], lanes)
            loss, bound = _collect(lanes, w, ridge, gradient, hessian)
            if loss > best + _ROUNDING:
                # Too far: half of the way back.
                for j in range(size):
                    step[j] /= 2
                    w[j] += step[j]
                continue
            best = min(best, loss)
            if bound >= enough or loss - bound <= tolerance:
                break
            _solve(hessian, gradient, step)
            for j in range(size):
                w[j] -= step[j]
        losses[number], bounds[number] = best, bound
    return losses, bounds, solved, duals


@compiled_inner
def _sum_examples(own: Floats, weights: Floats, w: Floats, dual: Floats, lanes: Floats) -> None:
    """Fills the dual, and sums over examples into lanes, which `_collect` adds up.

    Lanes are of the margin, pull and bend of some examples, then sums of losses, of entropies, of
    pulls of each column and of bends of each pair of them. Some examples at a time, so that each
    loop is over numbers side by side.
    """
    size, n = own.shape
    lanes[3:] = 0.0
    margin, pull, bend = lanes[0], lanes[1], lanes[2]
    for first in range(0, n, _LANES):
        width = min(_LANES, n - first)
        margin[:] = 0.0
        for j in range(size):
            for i in range(width):
                margin[i] += w[j] * own[j, first + i]
        for i in range(width):
            m = margin[i]
            e = _exponential(max(-abs(m), -700.0))
            a = (e if m >= 0 else 1.0) / (1.0 + e)
            part = _log_1p(e) + max(-m, 0.0)
            weight = weights[first + i]
            lanes[3, i] += weight * part
            lanes[4, i] += weight * (part + a * m)
            dual[first + i] = a
            pull[i] = weight * a
            bend[i] = weight * a * (1.0 - a)
        place = 5 + size
        for j in range(size):
            for i in range(width):
                lanes[5 + j, i] += pull[i] * own[j, first + i]
            for k in range(j + 1):
                for i in range(width):
                    lanes[place, i] += bend[i] * own[j, first + i] * own[k, first + i]
                place += 1


@compiled_inner
def _collect(
    lanes: Floats, w: Floats, ridge: float, gradient: Floats, hessian: Floats
) -> tuple[float, float]:
    """Loss and bound from the lanes of `_sum_examples`; fills the gradient and the Hessian."""
    size = len(w)
    penalty, lost, place = 0.0, 0.0, 5 + size
    for j in range(size):
        q = lanes[5 + j].sum()
        penalty += w[j] * w[j]
        lost += q * q
        gradient[j] = ridge * w[j] - q
        for k in range(j + 1):
            hessian[j, k] = lanes[place].sum()
            place += 1
        hessian[j, j] += ridge
    return lanes[3].sum() + ridge / 2 * penalty, lanes[4].sum() - lost / (2 * ridge)


@compiled_inner
def _exponential(x: float) -> float:
    """The exponential of x from -700 to 0, to 3e-10 of it: in a form of which many go at once."""
    n = math.floor(x * 1.4426950408889634)
    f = x - n * 0.6931471805599453 - 0.34657359027997264
    power = 1 / 720 + f * (1 / 5040 + f * (1 / 40320))
    power = 1.0 + f * (1.0 + f * (1 / 2 + f * (1 / 6 + f * (1 / 24 + f * (1 / 120 + f * power)))))
    return power * 1.4142135623730951 * np.int64((np.int64(n) + 1023) << 52).view(np.float64)


@compiled_inner
def _log_1p(e: float) -> float:
    """Logarithm of 1 + e, e from 0 to 1, to 2e-11 of it."""
    s = e / (2.0 + e)
    z = s * s
    rest = 1 / 11 + z * (1 / 13 + z * (1 / 15 + z * (1 / 17 + z * (1 / 19))))
    return 2.0 * s * (1.0 + z * (1 / 3 + z * (1 / 5 + z * (1 / 7 + z * (1 / 9 + z * rest)))))


@compiled_inner
def _solve(matrix: Floats, right: Floats, result: Floats) -> None:
    """``matrix @ result = right`` by Cholesky's factors, which take the matrix' lower half."""
    size = len(right)
    for j in range(size):
        for k in range(j):
            matrix[j, j] -= matrix[j, k] ** 2
        matrix[j, j] = math.sqrt(matrix[j, j])
        for i in range(j + 1, size):
            for k in range(j):
                matrix[i, j] -= matrix[i, k] * matrix[j, k]
            matrix[i, j] /= matrix[j, j]
    for j in range(size):
        result[j] = right[j]
        for k in range(j):
            result[j] -= matrix[j, k] * result[k]
        result[j] /= matrix[j, j]
    for j in range(size - 1, -1, -1):
        for k in range(j + 1, size):
            result[j] -= matrix[k, j] * result[k]
        result[j] /= matrix[j, j]


@njit(nogil=True, cache=CACHED)
def raise_bounds(
    bounds: Floats, runs: Indices, prefixes: Indices, constants: Floats, costs: Floats
) -> None:
    """Raises the bounds of subsets to what each cut says of them.

    Args:
        bounds: of all subsets in lexicographic order, changed in place.
        runs: subsets that differ in the last column only, which ascends one by one: the first
            one's place, how many, and the first one's last column; shape (n_runs, 3).
        prefixes: the other columns of each run, shape (n_runs, size - 1).
        constants: entropy of each cut, shape (n_cuts,).
        costs: of each column in each cut, shape (n_cuts, n_columns).
    """
    for run in range(len(runs)):
        first, n, last = runs[run]
        own = bounds[first : first + n]
        for cut in range(len(constants)):
            here = constants[cut]
            for column in prefixes[run]:
                here -= costs[cut, column]
            cost = costs[cut, last : last + n]
            for i in range(n):
                own[i] = max(own[i], here - cost[i])
