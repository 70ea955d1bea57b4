"""Compiled loops over windows against plain ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from autointerp.evidence.compiled_windows import correlations_left, mean_lines, pair_errors

Floats = NDArray[np.float64]


@pytest.fixture(params=[2, 40, 100_000], ids=lambda n: f"{n} tokens")
def ids(request: pytest.FixtureRequest) -> NDArray[np.int64]:
    drawn = np.random.default_rng(1).integers(0, request.param, (30, 17))
    # Some are there again, however many there are.
    drawn[:, 5] = drawn[:, 2]
    return drawn


def activations() -> Floats:
    drawn = np.random.default_rng(2).normal(size=(30, 17))
    return np.maximum(drawn, 0.0)


def shares() -> Floats:
    drawn = np.random.default_rng(3).random(30)
    return np.asarray(drawn / drawn.sum())


SHIFTS = np.random.default_rng(4).integers(0, 17, (3, 30))


def moved(row: int) -> Floats:
    pairs = zip(activations(), SHIFTS[row].tolist(), strict=True)
    return np.array([np.roll(line, -shift) for line, shift in pairs])


def test_lines_are_weighted_means_of_what_was_moved() -> None:
    lines = mean_lines(activations(), shares(), SHIFTS)
    for row, line in enumerate(lines):
        assert line == pytest.approx(shares() @ moved(row))


def test_repetition_is_a_weighted_correlation_with_positions_held_still(
    ids: NDArray[np.int64],
) -> None:
    expected, weights = np.random.default_rng(5).random((30, 17)), shares()[:, None]
    again = np.array([[one in line[:i].tolist() for i, one in enumerate(line)] for line in ids])
    flags = again - (weights * again).sum(axis=0)
    both, sizes = correlations_left(ids, activations(), expected, shares(), SHIFTS)
    for row in range(len(SHIFTS)):
        rest = moved(row) - expected
        rest -= (weights * rest).sum(axis=0)
        product = (weights * rest**2).sum() * (weights * flags**2).sum()
        assert both[row] == pytest.approx((weights * rest * flags).sum())
        assert sizes[row] == pytest.approx(product)


def test_errors_of_pairs_are_those_of_means_that_leave_each_place_out(
    ids: NDArray[np.int64],
) -> None:
    values = activations()
    largest = {int(ids[i, line.argmax()]) for i, line in enumerate(values)}
    places = [(i, j) for i in range(30) for j in range(1, 17) if int(ids[i, j]) in largest]
    chosen = [float(values[place]) for place in places]
    tokens = [int(ids[place]) for place in places]
    before = [int(ids[i, j - 1]) for i, j in places]
    other = np.roll(before, len(before) // 3).tolist()
    alone = left_out(tokens, chosen, [sum(chosen) / len(chosen)] * len(chosen))
    pairs, chance = (
        left_out(list(zip(tokens, b, strict=True)), chosen, alone) for b in (before, other)
    )
    errors = [((np.array(chosen) - means) ** 2).sum() for means in (alone, pairs, chance)]
    assert pair_errors(ids, values) == (len(places), *map(pytest.approx, errors))


def left_out(keys: Sequence[object], values: list[float], otherwise: list[float]) -> list[float]:
    groups = defaultdict(list)
    for place, key in enumerate(keys):
        groups[key].append(place)
    result = []
    for place, key in enumerate(keys):
        others = [values[one] for one in groups[key] if one != place]
        result.append(sum(others) / len(others) if others else otherwise[place])
    return result
