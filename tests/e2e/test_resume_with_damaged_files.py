"""A damaged label, or its records, is made anew when its run is resumed; the rest stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from damaged_files import DAMAGES
from damaged_rows import LABELS_FILE, ROW_DAMAGES, all_stored_sets, stored_labels
from labelling import Labelling

from autointerp.store.labels import FolderLabelStore


def finished(labelling: Labelling) -> tuple[list[str], Path]:
    arguments = labelling.arguments("a", "--units", "0:0-2", "--heldout", "4", llm="none")
    ended = labelling(arguments)
    assert ended.code == 0, ended.err
    return [*arguments, "--resume"], labelling.folder / "a"


@pytest.mark.parametrize("damage", ["cut", "zeros"])
@pytest.mark.parametrize("kind", ["labels", "sets"])
def test_a_damaged_row_is_made_anew_and_others_stay(
    labelling: Labelling, damage: str, kind: str
) -> None:
    arguments, folder = finished(labelling)
    labels, sets = stored_labels(folder), all_stored_sets(folder)
    before = {row: row.content for row in (*labels, *sets)}
    damaged = labels[0] if kind == "labels" else sets[0]
    damaged.damage(ROW_DAMAGES[damage])
    if kind == "sets":
        labels[0].put(None)
    ended = labelling(arguments)
    assert ended.code == 0, ended.err
    assert f"{damaged.name} in {damaged.path} is damaged" in ended.err
    assert f"{len(labels) - 1} of {len(labels)} units are labelled already" in ended.err
    assert {row: row.content for row in before} == before
    assert FolderLabelStore(folder).count() == len(labels)


@pytest.mark.parametrize("damage", ["cut", "unreadable"])
def test_a_file_that_cannot_be_opened_ends_the_run_with_a_sentence(
    labelling: Labelling, damage: str
) -> None:
    arguments, folder = finished(labelling)
    path = folder / LABELS_FILE
    DAMAGES[damage](path)
    ended = labelling(arguments)
    assert ended.code == 3, ended.err
    assert f"could not read {path}" in ended.err


def test_a_label_of_a_newer_version_is_left_as_it_is(labelling: Labelling) -> None:
    arguments, folder = finished(labelling)
    first, *others = stored_labels(folder)
    first.damage(ROW_DAMAGES["newer"])
    newer = first.content
    ended = labelling([*arguments, "--json"])
    assert ended.code == 0, ended.err
    assert "upgrade autointerp" in ended.err
    assert first.content == newer
    assert len(json.loads(ended.out)["labels"]) == len(others)


@pytest.mark.parametrize("damage", ["another", "zeros"])
def test_damaged_records_of_a_finished_label_are_left_out_of_the_dictionary(
    labelling: Labelling, damage: str
) -> None:
    arguments, folder = finished(labelling)
    sets = all_stored_sets(folder)[0]
    sets.damage(ROW_DAMAGES[damage])
    FolderLabelStore(folder).put_label(next(FolderLabelStore(folder).labels()))
    ended = labelling(arguments)
    assert ended.code == 0, ended.err
    assert (folder / "manifest.json").is_file()
    assert stored_labels(folder)[0].content is not None
