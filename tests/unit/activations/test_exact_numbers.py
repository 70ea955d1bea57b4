from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autointerp.activations.kernels.decoding import EMPTY_RANK, NO_WINDOW, from_fixed, unpack_ranked
from autointerp.activations.kernels.encoding import (
    N_BINS,
    N_SIGNED_BINS,
    add_fixed,
    bin_edges,
    bin_of,
    priority_keys,
    signed_bin_of,
    signed_edges,
    to_fixed,
    value_keys,
)

terms = st.floats(-(2.0**40), 2.0**40, allow_nan=False)
finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
windows = st.integers(0, 2**32 - 1)


def fixed(value: float) -> torch.Tensor:
    return to_fixed(torch.tensor([value], dtype=torch.float64))


def exact(number: torch.Tensor) -> Fraction:
    return Fraction(int(number[0])) + Fraction(int(number[1]), 2**52)


@given(terms)
def test_a_fixed_point_term_is_its_value_to_52_fraction_bits(value: float) -> None:
    assert abs(Fraction(value) - exact(fixed(value))) < Fraction(1, 2**52)


@given(terms, terms, terms)
def test_fixed_point_addition_is_exact_commutative_and_associative(
    a: float, b: float, c: float
) -> None:
    x, y, z = fixed(a), fixed(b), fixed(c)
    assert torch.equal(add_fixed(x, y), add_fixed(y, x))
    assert torch.equal(add_fixed(add_fixed(x, y), z), add_fixed(x, add_fixed(y, z)))
    assert exact(add_fixed(x, y)) == exact(x) + exact(y)
    assert 0 <= int(add_fixed(x, y)[1]) < 2**52


@given(st.lists(terms, max_size=30))
def test_a_fixed_point_sum_reads_as_the_nearest_float(values: list[float]) -> None:
    total = torch.zeros((2, 1), dtype=torch.int64)
    for value in values:
        total = add_fixed(total, fixed(value))
    truth = sum(map(Fraction, values), Fraction(0))
    error = abs(Fraction(float(from_fixed(total.numpy())[0])) - truth)
    assert error <= Fraction(len(values), 2**52) + abs(truth) / 2**52


def keys(values: list[float], ids: list[int]) -> torch.Tensor:
    return value_keys(torch.tensor(values, dtype=torch.float32), torch.tensor(ids))


@given(finite, windows, finite, windows)
def test_keys_order_by_value_and_then_by_the_smaller_window(
    a: float, i: int, b: float, j: int
) -> None:
    first, second = keys([a, b], [i, j]).tolist()
    assert (first > second) == ((a, -i) > (b, -j))
    assert (first == second) == ((a, i) == (b, j))


@given(st.lists(st.tuples(finite, windows), min_size=1))
def test_keys_give_value_and_window_back(pairs: list[tuple[float, int]]) -> None:
    values, ids = unpack_ranked(keys([v for v, _ in pairs], [w for _, w in pairs]).numpy())
    assert list(zip(values.tolist(), ids.tolist(), strict=True)) == pairs


def test_both_zeros_have_one_key_and_an_empty_place_has_no_window() -> None:
    first, second = keys([0.0, -0.0], [4, 4]).tolist()
    assert first == second
    values, ids = unpack_ranked(np.array([EMPTY_RANK]))
    assert np.isnan(values).all()
    assert ids.tolist() == [NO_WINDOW]
    assert int(keys([-3.4e38], [2**32 - 1])[0]) > EMPTY_RANK


@given(st.lists(windows, min_size=1, unique=True), st.text())
def test_priority_keys_hold_their_window_and_depend_on_it_alone(ids: list[int], salt: str) -> None:
    units = torch.tensor([0, 7])
    found = priority_keys(units, torch.tensor(ids), salt=salt)
    assert (found & 0xFFFFFFFF).tolist() == [ids, ids]
    assert (found >= 0).all()
    alone = priority_keys(units[1:], torch.tensor(ids[-1:]), salt=salt)
    assert found[1, -1] == alone[0, 0]


def test_priorities_are_uniform_and_differ_by_unit_and_salt() -> None:
    ids = torch.arange(20_000)
    found = priority_keys(torch.arange(3), ids, salt="a")
    for row in found >> 32:
        counts = np.histogram(row.numpy(), bins=20, range=(0, 2**31))[0]
        assert ((counts - 1000) ** 2 / 1000).sum() < 50
    ranks = np.argsort(found.numpy(), axis=1).argsort(axis=1)
    other = priority_keys(torch.arange(1), ids, salt="b").numpy().argsort().argsort()
    for a, b in ((ranks[0], ranks[1]), (ranks[1], ranks[2]), (ranks[0], other[0])):
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.03


@given(st.lists(finite, min_size=1))
@settings(max_examples=300)
def test_bins_agree_with_their_edges(values: list[float]) -> None:
    numbers = np.array(values, dtype=np.float32)
    found = bin_of(torch.from_numpy(numbers)).numpy()
    expected = np.searchsorted(bin_edges(), np.abs(numbers.astype(np.float64)), side="right") - 1
    np.testing.assert_array_equal(found, expected)
    signed = signed_bin_of(torch.from_numpy(numbers)).numpy()
    low, high = signed_edges()[signed], signed_edges()[signed + 1]
    assert ((low <= numbers) & (numbers <= high)).all()
    np.testing.assert_array_equal(signed >= N_BINS, numbers >= 0)


def test_every_edge_opens_its_own_bin() -> None:
    edges = bin_edges()
    inner = torch.from_numpy(edges[1:-1].astype(np.float32))
    assert bin_of(inner).tolist() == list(range(1, N_BINS))
    below = torch.from_numpy(np.nextafter(edges[1:-1].astype(np.float32), np.float32(0)))
    assert bin_of(below).tolist() == list(range(N_BINS - 1))
    assert (np.diff(signed_edges()) > 0).all()
    assert len(signed_edges()) == N_SIGNED_BINS + 1


@pytest.mark.parametrize("value", [0.0, -0.0, 1e-45, -1e-45, 1.1e-38])
def test_the_smallest_numbers_are_in_the_lowest_bin(value: float) -> None:
    number = torch.tensor([value], dtype=torch.float32)
    assert bin_of(number).item() == 0
    assert signed_bin_of(number).item() == (N_BINS - 1 if value < 0 else N_BINS)


def test_the_largest_numbers_are_in_the_highest_bin() -> None:
    assert bin_of(torch.tensor([3.4e38, -3.4e38])).tolist() == [N_BINS - 1] * 2
