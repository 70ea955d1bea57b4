from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Cli
from damaged_rows import ROW_DAMAGES, stored_label, stored_sets
from factories import make_label, make_sets, make_unit

from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side
from autointerp.dictionary import row_json
from autointerp.serving import Valkey
from autointerp.store.labels import FolderLabelStore, LabelStores
from autointerp.store.labels.folder_stores import FolderLabelStores
from autointerp.store.labels.stores import open_label_stores


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two models, three labels, one with records."""
    stores = FolderLabelStores(tmp_path / "from", row_json)
    stores.of("tiny").put_label(make_label())
    stores.of("tiny").put_sets(make_sets())
    stores.of("tiny").put_label(make_label(make_unit(7), status=LabelStatus.FAILED))
    stores.of("other").put_label(make_label(make_unit(subject="other")))
    return tmp_path / "from"


def copied(cli: Cli, *arguments: str) -> list[tuple[str, int, int, int]]:
    ended = cli("store", "copy", *arguments, "--json")
    assert ended.code == 0, ended.err
    models = json.loads(ended.out)["models"]
    assert [one.pop("unreadable") for one in models] == [[]] * len(models)
    return [tuple(one.values()) for one in models]


def labels_of(stores: LabelStores) -> dict[str, list[object]]:
    return {model: list(stores.of(model).labels()) for model in stores.models()}


def test_labels_records_and_rows_are_copied_and_a_second_time_passed_over(
    cli: Cli, source: Path, tmp_path: Path
) -> None:
    target = f"json:{tmp_path}/to"
    assert copied(cli, f"json:{source}", target) == [("other", 1, 0, 0), ("tiny", 2, 0, 0)]
    assert copied(cli, f"json:{source}", target) == [("other", 0, 1, 0), ("tiny", 0, 2, 0)]
    there = FolderLabelStores(tmp_path / "to", row_json)
    assert labels_of(there) == labels_of(FolderLabelStores(source))
    assert there.of("tiny").get_sets(make_unit(), Side.POSITIVE) == make_sets()
    assert len(there.of("tiny").rows_since(0, 10)[0]) == 2


def test_a_copy_into_redis_and_back_is_the_same(cli: Cli, source: Path, tmp_path: Path) -> None:
    with Valkey(tmp_path / "valkey") as server:
        place = ("--artifacts", str(tmp_path / "artifacts"))
        assert copied(cli, f"json:{source}", server.url, *place)[1] == ("tiny", 2, 0, 0)
        assert copied(cli, server.url, f"json:{tmp_path}/back", *place)[1] == ("tiny", 2, 0, 0)
    back = FolderLabelStores(tmp_path / "back")
    assert labels_of(back) == labels_of(FolderLabelStores(source))
    assert back.of("tiny").get_sets(make_unit(), Side.POSITIVE) == make_sets()


def test_a_copy_that_was_cut_off_goes_on(cli: Cli, source: Path, tmp_path: Path) -> None:
    FolderLabelStores(tmp_path / "to").of("tiny").put_label(make_label())
    found = copied(cli, f"json:{source}", f"json:{tmp_path}/to")
    assert found == [("other", 1, 0, 0), ("tiny", 1, 1, 0)]


@pytest.mark.parametrize("damage", ["cut", "newer"])
def test_records_that_could_not_be_read_are_brought_by_the_next_copy(
    cli: Cli, source: Path, tmp_path: Path, damage: str
) -> None:
    sets = stored_sets(source / "tiny")
    whole = sets.content
    sets.damage(ROW_DAMAGES[damage])
    ended = cli("store", "copy", f"json:{source}", f"json:{tmp_path}/to")
    assert (ended.code, sets.name in ended.err) == (0, True)
    sets.put(whole)
    found = copied(cli, f"json:{source}", f"json:{tmp_path}/to")
    assert found == [("other", 0, 1, 0), ("tiny", 0, 2, 0)]
    there = FolderLabelStores(tmp_path / "to").of("tiny")
    assert there.get_sets(make_unit(), Side.POSITIVE) == make_sets()


def test_a_failed_label_does_not_replace_a_better_one(
    cli: Cli, source: Path, tmp_path: Path
) -> None:
    better = make_label(make_unit(7))
    FolderLabelStores(tmp_path / "to").of("tiny").put_label(better)
    ended = cli("store", "copy", f"json:{source}", f"json:{tmp_path}/to")
    assert "tiny: 1 label copied, 1 failed ones left out" in ended.out
    assert better in labels_of(FolderLabelStores(tmp_path / "to"))["tiny"]


def test_the_folder_of_a_run_is_a_source(cli: Cli, a_run: Path, tmp_path: Path) -> None:
    assert copied(cli, f"json:{a_run}", f"json:{tmp_path}/to") == [("tiny", 2, 0, 0)]
    stores = open_label_stores(f"json:{tmp_path}/to")
    assert labels_of(stores)["tiny"] == list(FolderLabelStore(a_run).labels())


def test_labels_of_a_newer_version_are_left_out_and_told(
    cli: Cli, source: Path, tmp_path: Path
) -> None:
    stored_label(source / "tiny").damage(ROW_DAMAGES["newer"])
    ended = cli("store", "copy", f"json:{source}", f"json:{tmp_path}/to")
    assert ended.code == 0
    assert "was written by a newer autointerp (schema 9" in ended.err


@pytest.mark.parametrize("kind", ["labels", "sets"])
def test_what_a_newer_version_wrote_into_the_target_stays_and_is_told(
    cli: Cli, source: Path, tmp_path: Path, kind: str
) -> None:
    copied(cli, f"json:{source}", f"json:{tmp_path}/to")
    there = tmp_path / "to" / "tiny"
    label = stored_label(there)
    newer = label if kind == "labels" else stored_sets(there)
    newer.damage(ROW_DAMAGES["newer"])
    if kind == "sets":
        label.put(None)
    before = newer.content
    ended = cli("store", "copy", f"json:{source}", f"json:{tmp_path}/to")
    assert (ended.code, newer.content, label.content is None) == (0, before, False)
    assert f"{newer.name} in {newer.path} was written by a newer autointerp (schema 9" in ended.err


def test_bad_input_is_a_sentence(cli: Cli, source: Path, tmp_path: Path) -> None:
    nowhere = cli("store", "copy", f"json:{tmp_path}/none", f"json:{tmp_path}/to")
    assert (nowhere.code, "is not a folder; FROM must be a store" in nowhere.err) == (2, True)
    same = cli("store", "copy", f"json:{source}", f"json:{source}")
    assert (same.code, "cannot be copied to itself" in same.err) == (2, True)
    strange = cli("store", "copy", f"json:{source}", "s3://bucket")
    assert (strange.code, "does not name a store" in strange.err) == (2, True)
    no_place = cli("store", "copy", f"json:{source}", "redis://127.0.0.1:1/0")
    assert (no_place.code, "AUTOINTERP_ARTIFACTS" in no_place.err) == (2, True)


def test_a_server_that_is_not_there_exits_with_3(cli: Cli, source: Path, tmp_path: Path) -> None:
    place = ("--artifacts", str(tmp_path / "artifacts"))
    ended = cli("store", "copy", f"json:{source}", "redis://:secret@127.0.0.1:1/0", *place)
    assert ended.code == 3
    assert "cannot be reached" in ended.err
    assert "secret" not in ended.err


def test_an_empty_source_is_told(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ended = cli("store", "copy", f"json:{tmp_path}/empty", f"json:{tmp_path}/to")
    assert (ended.code, "there are no labels" in ended.out) == (0, True)
