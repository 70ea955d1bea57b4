"""One damaged file is left out of exports, copies and views, and told."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from damaged_files import DAMAGES
from factories import make_info, make_label, make_sets, make_unit

from autointerp.cli import run
from autointerp.dictionary import write_dictionary
from autointerp.store.labels import JsonLabelStore

HOOK = "blocks.5.mlp.hook_post"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run with its dictionary: three units."""
    folder = tmp_path / "run"
    store = JsonLabelStore(folder)
    for index in (130, 131, 132):
        store.put_sets(make_sets(make_unit(index)))
        store.put_label(make_label(make_unit(index)))
    write_dictionary(folder, store, make_info())
    return folder


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["scores/{}.json", "records/{}.json.gz"])
def test_a_damaged_file_of_a_dictionary_is_left_out_of_its_exports(
    folder: Path, capsys: pytest.CaptureFixture[str], damage: str, name: str
) -> None:
    damaged = folder / name.format(f"{HOOK}/0000131.positive")
    DAMAGES[damage](damaged)
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


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_label_is_left_out_of_a_copy(
    folder: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    DAMAGES[damage](folder / f"labels/{HOOK}/0000130.positive.json")
    DAMAGES[damage](folder / f"sets/{HOOK}/0000131.positive.json.gz")
    target = folder.parent / "copy"
    command = ["store", "copy", f"json:{folder}", f"json:{target}"]
    assert run([*command, "--json"]) == 0
    (copied,) = json.loads(capsys.readouterr().out)["models"]
    assert copied["n_copied"] == 2
    assert ["0000130" in said or "0000131" in said for said in copied["unreadable"]] == [True] * 2
    assert run(command) == 0
    # Records that the target lacks are tried again.
    assert "left out, as it cannot be read: 2 files of tiny; " in capsys.readouterr().err


def test_a_label_of_the_target_that_cannot_be_read_now_ends_a_copy(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = folder.parent / "copy"
    command = ["store", "copy", f"json:{folder}", f"json:{target}"]
    assert run(command) == 0
    (path,) = target.rglob("0000131.positive.json")
    DAMAGES["unreadable"](path)
    assert run(command) == 3
    assert f"could not read {path}" in capsys.readouterr().err
    assert path.is_symlink()


@pytest.mark.parametrize(
    "damage", [name for name in DAMAGES if name not in {"newer", "unreadable"}]
)
def test_a_damaged_label_of_the_target_of_a_copy_is_replaced(folder: Path, damage: str) -> None:
    target = folder.parent / "copy"
    command = ["store", "copy", f"json:{folder}", f"json:{target}"]
    assert run(command) == 0
    path = next(target.rglob("0000131.positive.json"))
    whole = path.read_bytes()
    DAMAGES[damage](path)
    assert run(command) == 0
    assert path.read_bytes() == whole


@pytest.mark.parametrize("damage", DAMAGES)
def test_show_of_another_unit_does_not_mind_a_damaged_one(
    folder: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    DAMAGES[damage](folder / f"labels/{HOOK}/0000130.positive.json")
    DAMAGES[damage](folder / f"sets/{HOOK}/0000131.positive.json.gz")
    assert run(["show", "5:132", "--dir", str(folder)]) == 0
    assert "left out" not in capsys.readouterr().err
    assert run(["show", "5:131", "--dir", str(folder)]) == 0
    assert "0000131.positive.json.gz" in capsys.readouterr().err
    assert run(["show", "5:130", "--dir", str(folder)]) in {2, 3}
    assert "0000130.positive.json" in capsys.readouterr().err


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name != "newer"])
def test_a_damaged_manifest_is_named_with_what_to_do_and_other_runs_go_on(
    folder: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    other = folder.parent / "other"
    shutil.copytree(folder, other)
    (folder / "job.json").write_text(json.dumps({"units": "5:130-132"}))
    manifest = folder / "manifest.json"
    DAMAGES[damage](manifest)
    todo = f"label --resume --out {folder}|run again with --resume|move it away"
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


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_dictionary_is_written_without_what_cannot_be_read(folder: Path, damage: str) -> None:
    DAMAGES[damage](folder / f"labels/{HOOK}/0000130.positive.json")
    DAMAGES[damage](folder / f"sets/{HOOK}/0000131.positive.json.gz")
    said: list[str] = []
    manifest = write_dictionary(
        folder.parent / "again",
        JsonLabelStore(folder),
        make_info(),
        lambda error: said.append(str(error)),
    )
    assert manifest.counts.labels == 2
    assert len(said) == 2
