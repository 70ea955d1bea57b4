"""Evidence as it is stored: whole, in few bytes, and in labels of before it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import make_label
from hypothesis import given
from hypothesis import strategies as st

from autointerp.core.errors import AutointerpError, DamagedError
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
from autointerp.store.packed_evidence import pack_evidence, unpack_evidence
from autointerp.store.packed_labels import pack_label, unpack_label, unpack_summary
from autointerp.store.packing import LABELS_VERSION, frame, unframe

NUMBERS = st.floats(-1e30, 1e30).map(three_digits)
COSINES = st.floats(-1, 1).map(three_digits)


@st.composite
def measures(draw: st.DrawFn) -> tuple[Measure, ...]:
    made = []
    for quantity in sorted(draw(st.sets(st.sampled_from(Quantity))), key=list(Quantity).index):
        if draw(st.booleans()):
            reason = draw(st.sampled_from(Absent))
            made.append(Measure(quantity, None, absent=reason))
            continue
        value, *others = draw(NUMBERS), *(draw(st.none() | NUMBERS) for _ in range(3))
        control, low, high = others
        made.append(Measure(quantity, value, control, low, high))
    return tuple(made)


@st.composite
def near_units(draw: st.DrawFn) -> tuple[NearUnits, ...]:
    made = []
    for relation in draw(st.lists(st.sampled_from(Relation), unique=True)):
        unit = st.builds(NearUnit, st.integers(0, 300), st.integers(0, 10**6), COSINES)
        units = tuple(draw(st.lists(unit, max_size=3)))
        reason = None if units else draw(st.sampled_from(Absent))
        chance = abs(draw(COSINES)) if units else None
        made.append(NearUnits(relation, units, chance, reason))
    return tuple(made)


@given(measures(), near_units())
def test_evidence_comes_back_as_it_was(
    found: tuple[Measure, ...], near: tuple[NearUnits, ...]
) -> None:
    evidence, numbers = UnitEvidence(found, near), Packer(by_place=True)
    pack_evidence(evidence, numbers)
    assert unpack_evidence(Unpacker(numbers.data, by_place=True)) == evidence


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_three_digits_are_kept_of_every_number(value: float) -> None:
    kept = three_digits(value)
    assert three_digits(kept) == kept
    if 1e-14 <= abs(value) <= 9.99e21:
        assert kept == pytest.approx(value, rel=5.1e-3)
    else:
        assert abs(kept) in {0.0, 9.99e21}


def some_evidence() -> UnitEvidence:
    """As much as a gated neuron of a layer in the middle has of its weights."""
    found = [
        Measure.of(quantity, 0.1 + 0.37 * n, control=1.0 / (n + 3))
        for n, quantity in enumerate(list(Quantity)[1:6])
    ]
    near = (
        NearUnits(
            r,
            tuple(NearUnit(4 + n, 97 * n + 600, three_digits(0.31 - 0.07 * n)) for n in range(3)),
            0.16,
        )
        for r in Relation
    )
    lacking = Measure(Quantity.NORM_TIMES_BIAS, None, absent=Absent.NO_BIAS)
    return UnitEvidence((*found, lacking), tuple(near))


def test_a_label_keeps_its_evidence_in_few_bytes() -> None:
    bare = make_label()
    label = replace(bare, evidence=some_evidence())
    data = pack_label(label)
    assert unpack_label(data, where="a row") == label
    assert unpack_summary(data, where="a row") == label.summary
    assert len(data) - len(pack_label(bare)) <= 150


def test_a_label_of_before_evidence_has_none() -> None:
    assert unpack_label(pack_label(make_label()), where="a row").evidence is None


def test_evidence_of_a_kind_that_is_not_known_is_told() -> None:
    for quantity, shape in ((200, 1), (0, 216)):
        numbers = Packer(by_place=True)
        for values in ([quantity], [shape], [0], *([[]] * 6)):
            numbers.ints(values)
        with pytest.raises(ValueError, match="of a kind that is not known"):
            unpack_evidence(Unpacker(numbers.data, by_place=True))


def test_a_number_of_more_digits_is_not_stored() -> None:
    wrong = UnitEvidence((Measure(Quantity.INPUT_NORM, 1.2345),))
    with pytest.raises(AutointerpError, match="more than three digits"):
        pack_label(replace(make_label(), evidence=wrong))


def test_a_measure_has_a_value_or_a_reason() -> None:
    assert Measure.of(Quantity.INPUT_NORM, float("nan")).absent is Absent.NOT_FINITE
    for value, reason in ((None, None), (1.0, Absent.NO_BIAS)):
        with pytest.raises(AutointerpError, match="a value, or a reason"):
            Measure(Quantity.INPUT_NORM, value, absent=reason)


def test_places_in_the_lists_that_stored_numbers_refer_to_stay() -> None:
    assert [str(one) for one in Quantity][:7] == [
        "input_output_cosine",
        "gate_output_cosine",
        "up_output_cosine",
        "input_norm",
        "up_norm",
        "output_norm",
        "norm_times_bias",
    ]
    assert [one.name for one in Absent][:9] == [
        "NO_BIAS",
        "INPUT_UNKNOWN",
        "INPUT_ELSEWHERE",
        "OUTPUT_UNKNOWN",
        "NO_LENGTH",
        "FIRST_LAYER",
        "LAST_LAYER",
        "ONLY_UNIT",
        "TOO_MANY",
    ]
    assert [str(one) for one in Relation] == ["like_input", "like_output", "upstream", "downstream"]


def test_damaged_evidence_is_told_with_the_place() -> None:
    parts = unframe(
        pack_label(replace(make_label(), evidence=some_evidence())),
        4,
        where="",
        newest=LABELS_VERSION,
    )
    parts[2] = parts[2][:-3]
    with pytest.raises(DamagedError, match="a row is damaged"):
        unpack_label(frame(parts, version=LABELS_VERSION), where="a row")
