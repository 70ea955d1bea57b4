"""One damaged label, or the records of one, is left out of exports, copies and views, and told."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from damaged_files import DAMAGES
from damaged_rows import LABELS_FILE, RECORDS_FILE, ROW_DAMAGES, stored_label, stored_sets
from factories import make_info, make_label, make_sets, make_unit

from autointerp.cli import run
from autointerp.dictionary import write_dictionary
from autointerp.store.labels import FolderLabelStore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run with its dictionary: three units."""
    folder = tmp_path / "run"
    store = FolderLabelStore(folder)
    for index in (130, 131, 132):
        store.put_sets(make_sets(make_unit(index)))
        store.put_label(make_label(make_unit(index)))
    write_dictionary(folder, store, make_info())
    return folder


@pytest.mark.parametrize("damage", ROW_DAMAGES)
@pytest.mark.parametrize("row", [stored_label, stored_sets])
def test_a_damaged_row_of_a_dictionary_is_left_out_of_its_exports(
    folder: Path, capsys: pytest.CaptureFixture[str], damage: str, row: type
) -> None:
    damaged = row(folder)
    damaged.damage(ROW_DAMAGES[damage])
    for fmt in ("neuronpedia", "neuron-record", "jsonl", "parquet"):
        out = folder.parent / f"out-{fmt}"
        command = ["export", str(folder), "--format", fmt, "--out", str(out), "--json"]
        assert run(command) == 0
        captured = capsys.readouterr()
        left_out = json.loads(captured.out)["left_out"]
        assert [damaged.name in sentence for sentence in left_out] == [True] * ("neuron" in fmt)
        assert ("left out: " in captured.err) == bool(left_out)
    others = {path.name for path in (folder.parent / "out-neuron-record").rglob("*.json")}
    assert others >= {"130.json", "132.json"}


@pytest.mark.parametrize("damage", ROW_DAMAGES)
def test_a_damaged_label_is_left_out_of_a_copy(
    folder: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    stored_label(folder, 130).damage(ROW_DAMAGES[damage])
    stored_sets(folder, 131).damage(ROW_DAMAGES[damage])
    target = folder.parent / "copy"
    command = ["store", "copy", f"json:{folder}", f"json:{target}"]
    assert run([*command, "--json"]) == 0
    (copied,) = json.loads(capsys.readouterr().out)["models"]
    assert copied["n_copied"] == 2
    assert ["130 (" in said or "131 (" in said for said in copied["unreadable"]] == [True] * 2
    assert run(command) == 0
    # Records that the target lacks are tried again.
    assert "left out, as it cannot be read: 2 files of tiny; " in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["cut", "zeros", "unreadable", "folder", "pipe", "newer"])
def test_a_file_of_the_target_that_cannot_be_opened_is_told_by_a_copy(
    folder: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    target = folder.parent / "copy"
    command = ["store", "copy", f"json:{folder}", f"json:{target}"]
    assert run(command) == 0
    path = target / "tiny" / LABELS_FILE
    if damage == "newer":
        path.write_bytes(path.read_bytes()[:60] + b"\0\0\0\x09" + path.read_bytes()[64:])
    else:
        DAMAGES[damage](path)
    before = path.read_bytes() if damage == "newer" else None
    # What a newer version wrote stays as it is.
    assert run(command) == (0 if damage == "newer" else 3)
    said = capsys.readouterr().err
    assert f"{path}" in said
    assert "Traceback" not in said
    assert damage != "newer" or path.read_bytes() == before


@pytest.mark.parametrize("damage", [name for name in ROW_DAMAGES if name != "newer"])
def test_a_damaged_label_of_the_target_of_a_copy_is_replaced(folder: Path, damage: str) -> None:
    target = folder.parent / "copy"
    command = ["store", "copy", f"json:{folder}", f"json:{target}"]
    assert run(command) == 0
    row = stored_label(target / "tiny")
    whole = row.content
    row.damage(ROW_DAMAGES[damage])
    assert run(command) == 0
    assert row.content == whole


@pytest.mark.parametrize("damage", ROW_DAMAGES)
def test_show_of_another_unit_does_not_mind_a_damaged_one(
    folder: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    stored_label(folder, 130).damage(ROW_DAMAGES[damage])
    stored_sets(folder, 131).damage(ROW_DAMAGES[damage])
    assert run(["show", "5:132", "--dir", str(folder)]) == 0
    assert "left out" not in capsys.readouterr().err
    assert run(["show", "5:131", "--dir", str(folder)]) == 0
    assert "left out: the records of 131 (positive) in" in capsys.readouterr().err
    assert run(["show", "5:130", "--dir", str(folder)]) in {2, 3}
    assert "/130 (positive) in" in capsys.readouterr().err


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name != "newer"])
def test_a_damaged_manifest_is_named_with_what_to_do_and_other_runs_go_on(
    folder: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    other = folder.parent / "other"
    shutil.copytree(folder, other)
    (folder / "job.json").write_text(json.dumps({"units": "5:130-132"}))
    manifest = folder / "manifest.json"
    DAMAGES[damage](manifest)
    todo = f"label --resume --out {folder}|run again, with --resume|move it away"
    for command in ("export {} --format jsonl --out {}-out", "diff {} {}"):
        arguments = command.format(folder, other).split()
        assert run(arguments) in {2, 3}
        said = capsys.readouterr().err
        assert str(manifest) in said
        assert re.search(todo, said)
    assert run(["show", "5:131", "--dir", str(folder)]) == 0, "it reads the labels"
    for command in ("show 5:131 --dir {0}", "export {0} --format jsonl --out {0}-out"):
        assert run(command.format(other).split()) == 0
    copied = f"store copy json:{folder.parent} json:{folder.parent / 'copy'} --json"
    assert run(copied.split()) == 0


@pytest.mark.parametrize("damage", ["cut", "zeros", "unreadable", "folder", "pipe"])
def test_a_file_of_records_that_cannot_be_opened_costs_the_records_only(
    folder: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    DAMAGES[damage](folder / RECORDS_FILE)
    assert run(["show", "5:131", "--dir", str(folder)]) == 0
    captured = capsys.readouterr()
    assert "names of rivers" in captured.out
    assert f"{folder / RECORDS_FILE}" in captured.err


@pytest.mark.parametrize("damage", ROW_DAMAGES)
def test_a_dictionary_is_written_without_what_cannot_be_read(folder: Path, damage: str) -> None:
    stored_label(folder, 130).damage(ROW_DAMAGES[damage])
    stored_sets(folder, 131).damage(ROW_DAMAGES[damage])
    said: list[str] = []
    manifest = write_dictionary(
        folder.parent / "again",
        FolderLabelStore(folder),
        make_info(),
        lambda error: said.append(str(error)),
    )
    assert manifest.counts.labels == 2
    assert len(said) == 2
