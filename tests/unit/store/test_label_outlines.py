"""What a label came to is told from its bytes as decoding it tells, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from damaged_rows import ROW_DAMAGES, Damage, stored_label
from factories import make_label
from hypothesis import given, settings
from stored_values import labels

from autointerp.core.explanations import Label, LabelStatus
from autointerp.store.label_outlines import LabelOutline, packed_outline
from autointerp.store.labels import FolderLabelStore
from autointerp.store.packed_labels import pack_label, unpack_label
from autointerp.store.packing import LABELS_VERSION, frame, unframe

FIXTURES = Path(__file__).parents[2] / "fixtures"


@settings(max_examples=100, deadline=None)
@given(labels())
def test_what_is_told_of_any_label_is_what_decoding_tells(label: Label) -> None:
    data = pack_label(label)
    told = packed_outline(data)
    assert told in {None, LabelOutline.of(unpack_label(data, where="here"))}


@pytest.mark.parametrize("status", LabelStatus)
def test_a_label_of_each_status_is_told_without_decoding_it(status: LabelStatus) -> None:
    reason = None if status is LabelStatus.OK else 'one with "bin_edges":[1] in it'
    label = replace(make_label(), status=status, reason=reason, failures=("first", "second"))
    assert packed_outline(pack_label(label)) == LabelOutline.of(label)


def test_a_label_with_evidence_and_one_of_the_second_version_are_told() -> None:
    data = (FIXTURES / "label_of_version_2.bin").read_bytes()
    label = unpack_label(data, where="here")
    assert label.evidence is not None
    assert packed_outline(data) == packed_outline(pack_label(label)) == LabelOutline.of(label)


def test_whether_a_program_can_be_run_is_left_to_decoding() -> None:
    label = make_label()
    assert label.explanation is not None
    program = replace(label.explanation, program="1: any")
    assert packed_outline(pack_label(replace(label, explanation=program))) is None


@pytest.mark.parametrize("damage", ROW_DAMAGES.values(), ids=ROW_DAMAGES)
def test_nothing_is_told_of_a_damaged_label_or_a_newer_one(damage: Damage) -> None:
    assert packed_outline(damage(pack_label(make_label()))) is None


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("end", [0, 1, -2])
def test_nothing_is_told_where_parts_do_not_fit_together(part: int, end: int) -> None:
    parts = unframe(pack_label(make_label()), 4, where="", newest=LABELS_VERSION)
    parts[part] = parts[part][:end]
    assert packed_outline(frame(parts, version=LABELS_VERSION)) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"schema":1', b'"schema":2'),
        (b'"kind":"label"', b'"kind":"sets"'),
        (b'"status":"ok"', b'"status":"fine"'),
        (b'"preferred":', b'"unknown":1,"preferred":'),
        (b'"density":', b'"dense":'),
    ],
)
def test_nothing_is_told_of_a_label_with_other_names(old: bytes, new: bytes) -> None:
    parts = unframe(pack_label(make_label()), 4, where="", newest=LABELS_VERSION)
    assert old in parts[0]
    parts[0] = parts[0].replace(old, new)
    told = packed_outline(frame(parts, version=LABELS_VERSION))
    # What was counted of a unit is read from the numbers, where the JSON has zeros.
    assert told is None or old == b'"density":'


def test_a_folder_tells_of_all_its_labels_and_which_have_to_be_decoded(tmp_path: Path) -> None:
    store, label = FolderLabelStore(tmp_path), make_label()
    store.put_label(label)
    key = label.unit.hook, label.unit.index, label.side
    assert store.outlines() == {key: LabelOutline.of(label)}
    stored_label(tmp_path, label.unit.index, label.unit.hook).damage(ROW_DAMAGES["cut"])
    assert store.outlines() == {key: None}
