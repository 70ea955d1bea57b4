"""Activations as levels."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.core.errors import InputError
from autointerp.core.ids import Side
from autointerp.core.records import MAX_LEVEL, rectify, to_levels

positive = st.floats(min_value=5e-324, allow_infinity=False)
finite = st.floats(allow_nan=False, allow_infinity=False)


def test_levels_are_rounded_down_and_end_at_ten() -> None:
    assert to_levels([-1.0, 0.0, 0.39, 0.4, 3.99, 4.0, 9.0], peak=4.0) == (0, 0, 0, 1, 9, 10, 10)


@given(st.lists(finite), positive)
def test_levels_lie_between_zero_and_ten_and_grow_with_the_activation(
    activations: list[float], peak: float
) -> None:
    levels = to_levels(sorted(activations), peak=peak)
    assert list(levels) == sorted(levels)
    assert all(0 <= level <= MAX_LEVEL for level in levels)


@given(positive)
def test_the_peak_itself_has_the_greatest_level(peak: float) -> None:
    assert to_levels([peak], peak=peak) == (MAX_LEVEL,)


@pytest.mark.parametrize("peak", [0.0, -1.0, math.inf, math.nan])
def test_a_peak_that_is_no_peak_is_refused(peak: float) -> None:
    with pytest.raises(InputError, match=r"levels need a positive finite peak, found"):
        to_levels([1.0], peak=peak)


@given(st.lists(finite))
def test_the_two_sides_add_up_to_the_activation(activations: list[float]) -> None:
    plus, minus = (rectify(activations, side) for side in (Side.POSITIVE, Side.NEGATIVE))
    assert [p - m for p, m in zip(plus, minus, strict=True)] == activations
    assert all(p >= 0 and m >= 0 for p, m in zip(plus, minus, strict=True))
