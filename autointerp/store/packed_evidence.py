"""Evidence of a unit as whole numbers: two bytes for each number of three digits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from autointerp.core.unit_evidence import (
    Absent,
    Measure,
    NearUnit,
    NearUnits,
    Quantity,
    Relation,
    UnitEvidence,
    three_digits,
)
from autointerp.store.packed_arrays import Packer, Unpacker

E = TypeVar("E", bound=StrEnum)
_QUANTITIES, _REASONS, _RELATIONS = tuple(Quantity), tuple(Absent), tuple(Relation)
_NUMBERS = ("value", "control", "low", "high")
N_ARRAYS = 9
"""Of whole numbers, that evidence is packed as."""
_FIRST_EXPONENT = -16
_PER_EXPONENT = 1800
"""900 numbers of three digits, of either sign."""


def pack_evidence(evidence: UnitEvidence, numbers: Packer) -> None:
    """Adds what `unpack_evidence` reads.

    Raises:
        ValueError: a number has more than three digits.
    """
    measures, near = evidence.measures, evidence.near
    numbers.ints([_QUANTITIES.index(one.quantity) for one in measures])
    numbers.ints([_shape(one) for one in measures])
    found = (getattr(one, name) for one in measures for name in _NUMBERS)
    numbers.ints([_coded(value) for value in found if value is not None])
    numbers.ints([_RELATIONS.index(one.relation) for one in near])
    # As many units, or a reason.
    numbers.ints(
        [-1 - _REASONS.index(one.absent) if one.absent else len(one.units) for one in near]
    )
    numbers.ints([_coded(one.chance or 0.0) for one in near])
    units = [unit for one in near for unit in one.units]
    numbers.ints([unit.layer for unit in units])
    numbers.ints([unit.index for unit in units])
    numbers.ints([_coded(unit.cosine) for unit in units])


def unpack_evidence(numbers: Unpacker) -> UnitEvidence:
    """The evidence that `pack_evidence` packed.

    Raises:
        ValueError: it is damaged, or a quantity, relation or reason is not known.
    """
    quantities, shapes = numbers.ints(), numbers.ints()
    values = map(_decoded, numbers.ints())
    measures = tuple(
        _measure(_one(_QUANTITIES, quantity), shape, values)
        for quantity, shape in zip(quantities, shapes, strict=True)
    )
    relations, counts, chances = numbers.ints(), numbers.ints(), numbers.ints()
    rows: Iterator[tuple[Any, ...]] = zip(
        numbers.ints(), numbers.ints(), map(_decoded, numbers.ints()), strict=True
    )
    near = []
    for relation, count, chance in zip(relations, counts, chances, strict=True):
        units = tuple(NearUnit(*next(rows)) for _ in range(count))
        absent = _one(_REASONS, -1 - count) if count < 0 else None
        known = _decoded(chance) if units else None
        near.append(NearUnits(_one(_RELATIONS, relation), units, known, absent))
    return UnitEvidence(measures, tuple(near))


def _shape(measure: Measure) -> int:
    """Which numbers a measure has, or why it has none."""
    if measure.absent is not None:
        return 16 + _REASONS.index(measure.absent)
    return sum(1 << n for n, name in enumerate(_NUMBERS) if getattr(measure, name) is not None)


def _measure(quantity: Quantity, shape: int, values: Iterator[float]) -> Measure:
    if shape >= 16:
        return Measure(quantity, None, absent=_one(_REASONS, shape - 16))
    value, control, low, high = (
        next(values) if shape >> n & 1 else None for n in range(len(_NUMBERS))
    )
    return Measure(quantity, value, control, low, high)


def _one(known: Sequence[E], place: int) -> E:
    if not 0 <= place < len(known):
        raise ValueError("its evidence is of a kind that is not known")
    return known[place]


def _coded(value: float) -> int:
    """A number of three digits as one of 16 bits."""
    if value == 0:
        return 0
    if value != three_digits(value):
        raise ValueError(f"a number of its evidence has more than three digits: {value!r}")
    exponent = math.floor(math.log10(abs(value))) - 2
    digits = round(abs(value) / 10.0**exponent)
    # Logarithms of powers of ten may be a bit off.
    if digits >= 1000:
        digits, exponent = digits // 10, exponent + 1
    if digits < 100:
        digits, exponent = digits * 10, exponent - 1
    return 1 + (exponent - _FIRST_EXPONENT) * _PER_EXPONENT + 2 * (digits - 100) + (value < 0)


def _decoded(code: int) -> float:
    if code == 0:
        return 0.0
    exponent, rest = divmod(code - 1, _PER_EXPONENT)
    digits, below = divmod(rest, 2)
    value = float(f"{digits + 100}e{exponent + _FIRST_EXPONENT}")
    return -value if below else value
