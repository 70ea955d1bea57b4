"""Packed labels and record sets: what comes back, in how many bytes, and what damage is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from factories import make_label, make_sets, make_stats
from hypothesis import given, settings
from sense_labels import make_sense_label
from stored_values import labels, unit_sets

from autointerp.core.errors import AutointerpError, DamagedError, InputError
from autointerp.core.explanations import Label
from autointerp.core.records import UnitSets
from autointerp.core.scores import Trial
from autointerp.dictionary import open_example
from autointerp.store.labels import FolderLabelStore
from autointerp.store.packed_labels import as_stored, pack_label, unpack_label, unpack_summary
from autointerp.store.packed_sets import (
    pack_sets,
    pack_whole_sets,
    unpack_sets,
    unpack_whole_sets,
)
from autointerp.store.packing import LABELS_VERSION, frame, unframe, version_of

FIXTURES = Path(__file__).parents[2] / "fixtures"


@settings(max_examples=100, deadline=None)
@given(labels())
def test_any_label_comes_back_equal_and_packs_to_the_same_bytes(label: Label) -> None:
    data = pack_label(label)
    back = unpack_label(data, where="here")
    assert back == as_stored(label)
    assert pack_label(back) == data
    assert unpack_summary(data, where="here") == label.summary


@settings(max_examples=60, deadline=None)
@given(unit_sets())
def test_any_sets_come_back_equal_with_their_windows_beside_or_within(sets: UnitSets) -> None:
    windows, data = pack_sets(sets)
    assert unpack_sets(windows, data, where="here") == sets
    assert unpack_whole_sets(pack_whole_sets(sets), where="here") == sets


def test_a_label_with_senses_and_receipts_comes_back_equal() -> None:
    label = make_sense_label()
    assert unpack_label(pack_label(label), where="here") == label
    assert unpack_summary(pack_label(label), where="here") == label.summary


def test_the_labels_of_the_example_come_back_equal_in_few_bytes() -> None:
    labels = list(open_example().labels())
    packed = [pack_label(label) for label in labels]
    assert [unpack_label(data, where="here") for data in packed] == labels
    assert sum(map(len, packed)) / len(packed) < 12_000


def test_trials_of_the_token_table_are_not_kept_unless_a_label_is_judged_by_it() -> None:
    label = make_label()
    trials = (Trial(20, "top", 2.5, (0.5,)),)
    table = replace(label.results[-1], trials=trials)
    label = replace(label, results=(*label.results[:-1], table))
    assert table.scorer == "lookup"
    kept = unpack_label(pack_label(label), where="here").results[-1]
    assert (kept.scores, kept.trials) == (table.scores, ())
    judged_by_it = replace(label, preferred="lookup")
    assert unpack_label(pack_label(judged_by_it), where="here") == judged_by_it


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused_wherever_it_stands(number: float) -> None:
    label, sets = make_label(), make_sets()
    trial = replace(label.results[0].trials[0], weight=number)
    result = replace(label.results[0], trials=(trial,))
    record = replace(sets.explain.records[0], activations=(number, 0.0, 0.0, 0.0))
    with pytest.raises(AutointerpError, match="this label cannot be stored: .* is not finite"):
        pack_label(replace(label, stats=replace(make_stats(), mean=number)))
    with pytest.raises(AutointerpError, match="not finite"):
        pack_label(replace(label, results=(result,)))
    with pytest.raises(AutointerpError, match="not finite"):
        pack_sets(replace(sets, explain=replace(sets.explain, records=(record,))))


@pytest.mark.parametrize(
    "wrong",
    [
        {"probability": float("nan")},
        *({"probability": "high"}, {"verdict": "yes"}, {"weight": "much"}, {"window": 1.5}),
        *({"predicted": 7}, {"senses": ("a",)}, {"stratum": None}),
    ],
    ids=str,
)
def test_a_trial_with_a_field_of_another_kind_is_refused_in_one_sentence(
    wrong: dict[str, Any],
) -> None:
    label = make_label()
    trial = replace(label.results[0].trials[0], **wrong)
    with pytest.raises(AutointerpError, match="cannot be stored|not finite"):
        pack_label(replace(label, results=(replace(label.results[0], trials=(trial,)),)))


@pytest.mark.parametrize("wrong", [{"weight": "much"}, {"activations": ("x",) * 4}])
def test_a_record_with_a_field_of_another_type_is_refused_in_one_sentence(
    wrong: dict[str, Any],
) -> None:
    sets = make_sets()
    record = replace(sets.explain.records[0], **wrong)
    with pytest.raises(AutointerpError, match="cannot be stored"):
        pack_sets(replace(sets, explain=replace(sets.explain, records=(record,))))


def test_a_document_whose_name_utf_8_cannot_hold_is_stored_with_another_letter(
    tmp_path: Path,
) -> None:
    sets, store = make_sets(), FolderLabelStore(tmp_path)
    record = replace(sets.explain.records[0], document="a\ud800", window=900)
    store.put_sets(replace(sets, explain=replace(sets.explain, records=(record,))))
    found = store.get_sets(sets.explain.unit, sets.explain.side)
    assert found is not None
    assert found.explain.records[0].document == "a\ufffd"


def test_numbers_that_no_array_holds_and_records_of_odd_lengths_are_refused() -> None:
    label, sets = make_label(), make_sets()
    trial = replace(label.results[0].trials[0], window=1 << 63)
    with pytest.raises(AutointerpError, match="too large to be stored: 9223372036854775808"):
        pack_label(replace(label, results=(replace(label.results[0], trials=(trial,)),)))
    record = replace(sets.explain.records[0], activations=(1.0,))
    with pytest.raises(AutointerpError, match="a record has 4 tokens and 1 activations"):
        pack_sets(replace(sets, explain=replace(sets.explain, records=(record,))))


def damaged(whole: bytes) -> list[bytes]:
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0x40
    return [
        *(b"", b"AI", b"AI\x00", b"AI\x01", b"{}", whole[:-1], whole[: len(whole) // 2]),
        *(bytes(flipped), b"\0" * len(whole), frame([]), frame([b""] * 4), frame([b"", b""])),
    ]


@pytest.mark.parametrize("data", damaged(pack_label(make_label())))
def test_a_damaged_label_is_told_with_the_place_and_what_to_do(data: bytes) -> None:
    for unpack in (unpack_label, unpack_summary):
        with pytest.raises(DamagedError, match=r"^a row is damaged: .*; look$"):
            unpack(data, where="a row", advice="look")


@pytest.mark.parametrize("part", [1, 2, 3])
@pytest.mark.parametrize("cut", [0, 1, -2])
def test_parts_of_a_label_that_do_not_fit_together_are_damage(part: int, cut: int) -> None:
    parts = unframe(pack_label(make_label()), 4, where="", newest=LABELS_VERSION)
    parts[part] = parts[part][:cut]
    with pytest.raises(DamagedError, match="a row is damaged"):
        unpack_label(frame(parts, version=LABELS_VERSION), where="a row")


@pytest.mark.parametrize("data", damaged(pack_whole_sets(make_sets())))
def test_damaged_sets_are_told_with_the_place_and_what_to_do(data: bytes) -> None:
    with pytest.raises(DamagedError, match=r"^a file is damaged: .*; look$"):
        unpack_whole_sets(data, where="a file", advice="look")


def test_sets_with_the_windows_of_others_are_damage() -> None:
    windows, data = pack_sets(make_sets())
    for others in (windows[1:], (windows[0]._replace(token_ids=(1,)), *windows[1:])):
        with pytest.raises(DamagedError, match="a row is damaged"):
            unpack_sets(others, data, where="a row")


def test_what_a_newer_version_packed_is_refused_with_advice() -> None:
    label, (windows, sets) = pack_label(make_label()), pack_sets(make_sets())
    parts = unframe(label, 4, where="", newest=LABELS_VERSION)
    parts[0] = parts[0].replace(b'"schema":1', b'"schema":9')
    newer = frame(parts, version=LABELS_VERSION)
    for data in (b"AI\x04" + label[3:], newer):
        with pytest.raises(InputError, match="a row was written by a newer autointerp"):
            unpack_label(data, where="a row")
    with pytest.raises(InputError, match="a row was written by a newer autointerp"):
        unpack_sets(windows, b"AI\x02" + sets[3:], where="a row")


def test_a_label_that_the_first_version_packed_is_read() -> None:
    data = (FIXTURES / "label_of_version_1.bin").read_bytes()
    label = unpack_label(data, where="a row")
    assert version_of(data) == 1
    assert label == open_example().label(label.unit, label.side)
    assert len(pack_label(label)) < len(data)


def test_a_label_that_the_second_version_packed_is_read_and_takes_fewer_bytes_now() -> None:
    data = (FIXTURES / "label_of_version_2.bin").read_bytes()
    label = unpack_label(data, where="a row")
    assert version_of(data) == 2
    assert label.promoted_values[:4] == (4.064, 3.989, 3.848, 3.637)
    assert label.suppressed_values[0] == -4.21
    assert label.evidence is not None
    assert label.evidence.measures[0].value == 0.0998
    predicted = label.results[0].trials[4].predicted
    assert predicted == (*[0.0] * 47, 0.29809053121112344, *[0.0] * 16)
    assert label.stats.mean == 0.0003405430802414574
    newest = pack_label(label)
    assert version_of(newest) == LABELS_VERSION
    assert unpack_label(newest, where="a row") == label
    kept = replace(label, results=tuple(result.as_kept for result in label.results))
    assert unpack_label(pack_label(kept), where="a row") == kept
    assert len(newest) < 0.97 * len(data)
    assert len(pack_label(kept)) < 0.9 * len(data)


def test_the_words_that_packed_values_refer_to_stay_the_same() -> None:
    """With others, what is stored could not be read: zlib tells them by this number."""
    numbers = [frame([], version=version)[5:9].hex() for version in (1, 2, 3)]
    assert numbers == ["91310b3e", "1abad3fc", "1abad3fc"]
