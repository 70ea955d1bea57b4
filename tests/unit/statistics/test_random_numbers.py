"""Compiled loops draw what numpy's generator of the same seed draws."""

from __future__ import annotations

import numpy as np
import pytest

from autointerp.statistics.compiled.random_numbers import (
    draw_below,
    draw_bits,
    draw_halves,
    drawing_state,
    shuffle,
)


def test_bits_are_those_of_the_generator() -> None:
    found = np.empty(100, np.uint64)
    draw_bits(drawing_state([7, 3]), found)

    assert (found == np.random.default_rng([7, 3]).bit_generator.random_raw(100)).all()


@pytest.mark.parametrize("n", [2, 3, 17, 64, 65])
def test_orders_are_those_of_permuted_and_numbers_those_of_integers(n: int) -> None:
    rng, halves = np.random.default_rng(n), draw_halves(drawing_state(n), 100 * n)

    for _ in range(20):
        order, expected = np.arange(n, dtype=np.int32), np.arange(n)[None]
        halves = halves[shuffle(order, halves) :]
        assert (order == rng.permuted(expected, axis=1)[0]).all()
    numbers = np.empty(10, np.int32)
    for most in (1, n, 3_000_000_000):
        halves = halves[draw_below(most, numbers, halves) :]
        expected = rng.integers(0, most, size=10)
        assert (numbers.astype(np.uint32) == expected).all()


def test_too_few_bits_are_told() -> None:
    halves = draw_halves(drawing_state(0), 4)

    assert shuffle(np.arange(10, dtype=np.int32), halves) == -1
    assert draw_below(5, np.empty(10, np.int32), halves) == -1
