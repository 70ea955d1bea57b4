"""A run one of whose files was damaged is resumed: that is made anew, the rest stays as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from damaged_files import DAMAGES
from labelling import Labelling

from autointerp.store.labels import JsonLabelStore


def finished(labelling: Labelling) -> tuple[list[str], Path]:
    arguments = labelling.arguments("a", "--units", "0:0-2", "--heldout", "4", llm="none")
    ended = labelling(arguments)
    assert ended.code == 0, ended.err
    return [*arguments, "--resume"], labelling.folder / "a"


@pytest.mark.parametrize("damage", ["cut", "folder", "pipe"])
@pytest.mark.parametrize("kind", ["labels", "sets"])
def test_a_damaged_file_is_made_anew_and_others_stay(
    labelling: Labelling, damage: str, kind: str
) -> None:
    arguments, folder = finished(labelling)
    before = {path: path.read_bytes() for path in sorted((folder / "labels").rglob("*.json"))}
    label = next(iter(before))
    sets = next(iter(sorted((folder / "sets").rglob("*.json.gz"))))
    damaged = label if kind == "labels" else sets
    DAMAGES[damage](damaged)
    if kind == "sets":
        label.unlink()
    ended = labelling(arguments)
    assert ended.code == 0, ended.err
    assert damaged.name in ended.err
    assert {path: path.read_bytes() for path in before} == before
    assert JsonLabelStore(folder).count() == len(before)


@pytest.mark.parametrize("kind", ["labels", "sets"])
def test_a_file_that_only_could_not_be_read_ends_the_run_with_a_sentence(
    labelling: Labelling, kind: str
) -> None:
    arguments, folder = finished(labelling)
    label = next(iter(sorted((folder / "labels").rglob("*.json"))))
    sets = next(iter(sorted((folder / "sets").rglob("*.json.gz"))))
    unreadable = label if kind == "labels" else sets
    DAMAGES["unreadable"](unreadable)
    if kind == "sets":
        label.unlink()
    ended = labelling(arguments)
    assert ended.code == 3, ended.err
    assert f"could not read {unreadable}" in ended.err
    assert unreadable.is_symlink()


def test_a_label_of_a_newer_version_is_left_as_it_is(labelling: Labelling) -> None:
    arguments, folder = finished(labelling)
    first, *others = sorted((folder / "labels").rglob("*.json"))
    DAMAGES["newer"](first)
    newer = first.read_bytes()
    ended = labelling([*arguments, "--json"])
    assert ended.code == 0, ended.err
    assert "upgrade autointerp" in ended.err
    assert first.read_bytes() == newer
    assert len(json.loads(ended.out)["labels"]) == len(others)


@pytest.mark.parametrize("damage", ["deep", "pipe"])
def test_damaged_records_of_a_finished_label_are_left_out_of_the_dictionary(
    labelling: Labelling, damage: str
) -> None:
    arguments, folder = finished(labelling)
    sets = next(iter(sorted((folder / "sets").rglob("*.json.gz"))))
    DAMAGES[damage](sets)
    ended = labelling(arguments)
    assert ended.code == 0, ended.err
    assert "left out: " in ended.err
    assert (folder / "manifest.json").is_file()
