"""Arrays of numbers: what comes back, in how many bytes, and what damage is told."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autointerp.store.packed_arrays import Packer, Unpacker

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
MOSTLY_ZERO = st.lists(st.just(0.0) | st.just(0.0) | FLOATS, max_size=400)
FEW_DIGITS = st.lists(st.integers(-99_999, 99_999).map(lambda n: n / 1000))


@given(numbers=MOSTLY_ZERO | st.lists(FLOATS), others=st.lists(FLOATS), by_place=st.booleans())
def test_any_numbers_come_back_and_can_be_passed_over(
    numbers: list[float], others: list[float], by_place: bool
) -> None:
    packer = Packer(by_place=by_place)
    packer.floats(numbers)
    packer.floats(others)
    reader, other = (Unpacker(packer.data, by_place=by_place) for _ in range(2))
    assert reader.floats() == numbers
    other.skip_floats(1)
    assert other.floats() == reader.floats() == others
    assert reader.is_at_end
    assert other.is_at_end


@given(FEW_DIGITS | st.lists(FLOATS))
@example([0.0, -0.0])
@example([1e300, 0.5])
def test_numbers_of_few_digits_and_others_come_back_to_the_last_bit(numbers: list[float]) -> None:
    packer = Packer(by_place=True)
    packer.decimals(numbers)
    packer.ints([7])
    reader, other = (Unpacker(packer.data, by_place=True) for _ in range(2))
    assert list(map(repr, reader.decimals())) == list(map(repr, numbers))
    other.skip_decimals(1)
    assert list(other.ints()) == list(reader.ints()) == [7]


def test_zeros_take_no_room_and_few_digits_take_little() -> None:
    packer = Packer(by_place=True)
    packer.floats([0.0] * 5000 + [0.25] + [0.0] * 5000)
    assert len(packer.data) < 30
    decimals = Packer(by_place=True)
    decimals.decimals([4.064, -3.989, 0.5])
    assert len(decimals.data) == 3 * 2 + 1 + 2 * 5


@pytest.mark.parametrize("n", [0, 5, 1 << 24, (1 << 24) + 1, (1 << 32) - 1])
def test_zeros_that_are_not_as_many_as_they_should_be_are_damage(n: int) -> None:
    packer = Packer(by_place=True)
    packer.floats([0.0] * 20 + [1.5] + [0.0] * 3)
    data = packer.data
    assert data[:5] == struct.pack("<cI", b"s", 24)
    damaged = data[:1] + struct.pack("<I", n) + data[5:]
    if n == 1 << 24:
        assert len(Unpacker(damaged, by_place=True).floats()) == n
        return
    with pytest.raises((ValueError, IndexError)):
        Unpacker(damaged, by_place=True).floats()


@pytest.mark.parametrize("missing", [[0], [0, 1, 1], [0, 0, 0]])
def test_more_or_fewer_numbers_than_there_should_be_are_damage(missing: list[int]) -> None:
    packer = Packer(by_place=True)
    packer.ints(missing)
    packer.floats([0.5, 0.25])
    with pytest.raises(ValueError, match="not as many as they should be"):
        Unpacker(packer.data, by_place=True).optional_floats()


def test_zeros_within_zeros_and_more_digits_than_there_may_be_are_damage() -> None:
    within = struct.pack("<cI", b"s", 9) + struct.pack("<cI", b"B", 0)
    with pytest.raises(ValueError, match="arrays are of another kind"):
        Unpacker(within * 2, by_place=True).floats()
    packer = Packer(by_place=True)
    packer.ints([1 << 40])
    packer.ints([3])
    with pytest.raises(ValueError, match="more digits"):
        Unpacker(packer.data, by_place=True).decimals()
