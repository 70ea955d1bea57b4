"""How activations are packed for records: what comes back, and that it comes back again."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from autointerp.store.recorded_lines import as_recorded, pack_lines, unpack_lines

LINES = arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 12)),
    elements=st.floats(-(2.0**99), 2.0**99, width=32, allow_subnormal=False),
)


@given(LINES)
def test_the_peaks_of_both_sides_are_exact(lines: np.ndarray) -> None:
    back = as_recorded(lines)
    np.testing.assert_array_equal(np.maximum(back.max(-1), 0), np.maximum(lines.max(-1), 0))
    np.testing.assert_array_equal(np.minimum(back.min(-1), 0), np.minimum(lines.min(-1), 0))


@given(LINES)
def test_what_was_packed_once_is_packed_again_without_a_change(lines: np.ndarray) -> None:
    once = as_recorded(lines)
    np.testing.assert_array_equal(as_recorded(once), once)
    np.testing.assert_array_equal(pack_lines(once).shares, pack_lines(lines).shares)


@given(LINES)
def test_an_activation_is_off_by_no_more_than_two_bytes_allow(lines: np.ndarray) -> None:
    back, wanted = as_recorded(lines).astype(float), lines.astype(float)
    peaks = np.where(wanted > 0, np.maximum(wanted.max(-1), 0)[:, None], 0)
    peaks = np.where(wanted < 0, np.maximum(-wanted.min(-1), 0)[:, None], peaks)
    allowed = np.maximum(np.abs(wanted) * 2.0**-11, peaks * 2.0**-25) * 1.001
    assert (np.abs(back - wanted) <= allowed).all()


@given(LINES)
def test_order_and_signs_stay_but_for_activations_that_become_equal(lines: np.ndarray) -> None:
    back = as_recorded(lines)
    for before, after in zip(lines, back, strict=True):
        assert (np.diff(after[np.argsort(before, kind="stable")]) >= 0).all()
    assert (lines * np.sign(back) >= 0).all()


def test_windows_may_be_filled_with_zeros_and_lie_on_any_axes() -> None:
    short = np.array([[0.5, -3.0, 0.125]], dtype=np.float32)
    filled = np.pad(short, ((0, 0), (0, 5)))
    np.testing.assert_array_equal(as_recorded(filled)[:, :3], as_recorded(short))
    stacked = np.stack([filled, 2 * filled])
    np.testing.assert_array_equal(unpack_lines(pack_lines(stacked))[1], 2 * as_recorded(filled))


def test_windows_of_zeros_and_of_the_least_numbers_there_are_come_back() -> None:
    lines = np.array([[0.0, 0.0], [1.4e-45, -2.8e-45]], dtype=np.float32)
    np.testing.assert_array_equal(as_recorded(lines), lines)
