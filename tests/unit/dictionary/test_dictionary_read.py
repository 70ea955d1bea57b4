from __future__ import annotations

import json
import sys
from pathlib import Path

import datasets
import pandas as pd
import pyarrow.parquet as pq
import pytest
from damaged_rows import stored_label, stored_sets
from factories import make_info, make_label, make_store, make_unit

from autointerp.core.errors import InputError, StorageError
from autointerp.core.ids import Side
from autointerp.dictionary import COLUMNS, Dictionary, open_dictionary, write_dictionary


@pytest.fixture
def dictionary(tmp_path: Path) -> Dictionary:
    write_dictionary(tmp_path / "dict", make_store(), make_info())
    return open_dictionary(tmp_path / "dict")


def test_a_folder_and_its_manifest_open_the_same_dictionary(dictionary: Dictionary) -> None:
    other = open_dictionary(str(dictionary.folder / "manifest.json"))
    assert other.folder == dictionary.folder
    assert other.manifest == dictionary.manifest
    assert other.job == make_info().job


def test_labels_and_records_come_back_whole(dictionary: Dictionary) -> None:
    store = make_store()
    assert list(dictionary.labels()) == list(store.labels())
    assert dictionary.label(make_unit(), Side.NEGATIVE) == store.get_label(
        make_unit(), Side.NEGATIVE
    )
    records = dictionary.records(make_unit(), Side.POSITIVE)
    sets = store.get_sets(make_unit(), Side.POSITIVE)
    assert records is not None
    assert sets is not None
    assert records.explain == sets.explain.records
    assert [r.predicted for r in records.held_out] == [(0.0, 9.0, 1.0, 0.0), (2.0, 0, 0, 0), None]


def test_a_table_of_before_there_were_all_columns_reads_null_in_those_it_lacks(
    dictionary: Dictionary,
) -> None:
    path, last = dictionary.folder / "labels.parquet", COLUMNS.index("llm_description")
    pq.write_table(pq.read_table(path, columns=list(COLUMNS[:last]) + ["unit"]), path)
    assert [tuple(row) for row in dictionary.rows()] == [COLUMNS] * 5
    assert {row["llm_score"] for row in dictionary.rows()} == {None}
    table = dictionary.to_pandas()
    assert set(table.columns) == set(COLUMNS)
    assert table["llm_score"].isna().all()
    assert len(dictionary.find("5:131")) == 2


def test_what_is_not_there_is_none(dictionary: Dictionary) -> None:
    assert dictionary.label(make_unit(999), Side.POSITIVE) is None
    assert dictionary.records(make_unit(7), Side.POSITIVE) is None


@pytest.mark.parametrize(
    ("text", "n_found"),
    [
        ("tiny/blocks.5.mlp.hook_post/131", 2),
        ("blocks.5.mlp.hook_post/131", 2),
        ("blocks.5.mlp.hook_post:131", 2),
        ("5:131", 2),
        ("5/7", 1),
        ("05:0000007", 1),
        (" 10:0 ", 1),
    ],
)
def test_a_unit_is_found_by_each_way_of_writing_it(
    dictionary: Dictionary, text: str, n_found: int
) -> None:
    assert len(dictionary.find(text)) == n_found


@pytest.mark.parametrize(
    "text",
    [
        *("", "131", "river", "5:x", "5:131:2", "a/b/blocks.5.x/1"),
        *(f"5:{10**20}", f"{10**20}:1", f"blocks.5.mlp.hook_post/{10**20}", f"5:{'9' * 5000}"),
    ],
    ids=range(10),
)
def test_what_is_no_unit_is_told_with_the_form(dictionary: Dictionary, text: str) -> None:
    with pytest.raises(InputError, match="is not a unit; write 5:131 or blocks"):
        dictionary.find(text)


@pytest.mark.parametrize("text", ["5:1", f"5:{10**18 - 1}", "other/blocks.5.mlp.hook_post/131"])
def test_a_unit_that_is_not_there_is_told_with_what_is(dictionary: Dictionary, text: str) -> None:
    with pytest.raises(InputError, match=f"no label of {text}; it holds 5 labels of tiny, made w"):
        dictionary.find(text)


def test_a_folder_without_manifest_is_no_dictionary(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", tmp_path / "manifest.json"):
        with pytest.raises(InputError, match=r"is not a feature dictionary: there is no manifest"):
            open_dictionary(path)


def test_another_file_is_no_dictionary(dictionary: Dictionary) -> None:
    with pytest.raises(InputError, match="is not a feature dictionary: give its folder"):
        open_dictionary(dictionary.folder / "labels.parquet")


def test_a_newer_dictionary_is_refused_with_advice(dictionary: Dictionary) -> None:
    path = dictionary.folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 3, "new": 1}))
    with pytest.raises(InputError, match=r"newer autointerp \(schema 3, .* 2\); upgrade"):
        open_dictionary(dictionary.folder)


def test_a_job_that_cannot_be_read_costs_only_what_asks_for_it(dictionary: Dictionary) -> None:
    path = dictionary.folder / "manifest.json"
    stored = json.loads(path.read_text())
    stored["job"]["later"] = 1
    path.write_text(json.dumps(stored))
    found = open_dictionary(dictionary.folder)
    assert len(list(found.labels())) == 5
    with pytest.raises(InputError, match=r"^the job in manifest\.json cannot be read: later: "):
        _ = found.job
    assert found.manifest.as_json() == (json.dumps(stored, indent=2) + "\n").encode()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"manifest_version": 3, "name": "plug-in"}'])
def test_a_foreign_manifest_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(
        InputError, match=r"manifest\.json is not the manifest of a feature dictionary"
    ):
        open_dictionary(tmp_path)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a\\..\\b"])
def test_a_manifest_never_leads_out_of_its_folder(dictionary: Dictionary, name: str) -> None:
    path = dictionary.folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "files": {name: "00"}}))
    with pytest.raises(InputError, match="leads out of the dictionary"):
        open_dictionary(dictionary.folder)


def test_a_whole_dictionary_verifies_and_every_change_is_named(dictionary: Dictionary) -> None:
    assert dictionary.verify() == ()
    (dictionary.folder / "labels.parquet").write_bytes(b"other")
    missing = "scores/labels.sqlite"
    (dictionary.folder / missing).unlink()
    assert dictionary.verify() == (
        "labels.parquet is not the file that the manifest names",
        f"{missing} is missing",
    )


def test_damage_is_told_with_the_file(dictionary: Dictionary) -> None:
    stored_label(dictionary.folder).put(b"{")
    stored_sets(dictionary.folder).put(b"{")
    told = rf"131 \(positive\) in {dictionary.folder}/.* is damaged: .*; write or download"
    with pytest.raises(StorageError, match=told):
        dictionary.label(make_unit(), Side.POSITIVE)
    with pytest.raises(StorageError, match=told):
        dictionary.records(make_unit(), Side.POSITIVE)
    assert dictionary.label(make_unit(), Side.NEGATIVE) is not None
    (dictionary.folder / "scores/labels.sqlite").unlink()
    for read in (lambda: dictionary.find("5:131"), lambda: list(dictionary.labels())):
        with pytest.raises(StorageError, match="dict lacks its labels; write or download"):
            read()
    (dictionary.folder / "labels.parquet").write_bytes(b"PAR1 no")
    for read in (lambda: list(dictionary.rows()), dictionary.to_pandas):
        with pytest.raises(StorageError, match=r"labels\.parquet is damaged: "):
            read()


def test_a_missing_table_is_told(dictionary: Dictionary) -> None:
    (dictionary.folder / "labels.parquet").unlink()
    for read in (lambda: list(dictionary.rows()), dictionary.to_pandas):
        with pytest.raises(StorageError, match=r"dict lacks labels\.parquet; write or download"):
            read()


def test_rows_are_the_lines_with_strings_as_strings(dictionary: Dictionary) -> None:
    last = list(dictionary.rows())[-1]
    assert tuple(last) == COLUMNS
    assert (last["layer"], last["index"], last["description"]) == (10, 0, "7")


def test_pandas_reads_the_parquet_file_with_strings_as_strings(dictionary: Dictionary) -> None:
    frame = pd.read_parquet(dictionary.folder / "labels.parquet")
    assert list(frame["index"]) == [7, 8, 131, 131, 0]
    assert frame["description"].iloc[4] == "7"
    assert frame["score"].isna().tolist() == [True, True, False, False, False]
    assert list(frame["top_tokens"].iloc[4]) == [" river", "7", "é"]
    pd.testing.assert_frame_equal(frame, dictionary.to_pandas())


def test_pandas_reads_the_lines_without_options(dictionary: Dictionary) -> None:
    frame = pd.read_json(dictionary.folder / "labels.jsonl.gz", lines=True)
    assert tuple(frame.columns) == COLUMNS
    assert len(frame) == 5
    assert frame["status"].tolist() == ["dead", "failed", "ok", "ok", "ok"]


def test_pyarrow_reads_the_parquet_file_with_its_types(dictionary: Dictionary) -> None:
    table = pq.read_table(dictionary.folder / "labels.parquet")
    assert {str(table.schema.field(name).type) for name in ("layer", "index")} == {"int64"}
    assert {str(table.schema.field(name).type) for name in ("hook", "unit")} == {"string"}
    assert str(table.schema.field("score").type) == "double"
    assert table.num_rows == 5


@pytest.mark.parametrize(
    ("builder", "name"), [("parquet", "labels.parquet"), ("json", "labels.jsonl.gz")]
)
def test_datasets_reads_either_file(
    dictionary: Dictionary, tmp_path: Path, builder: str, name: str
) -> None:
    path = str(dictionary.folder / name)
    found = datasets.load_dataset(builder, data_files=path, cache_dir=str(tmp_path / "cache"))
    rows = list(found["train"])
    assert tuple(rows[0]) == COLUMNS
    assert [row["index"] for row in rows] == [7, 8, 131, 131, 0]
    assert [row["score"] for row in rows] == [None, None, 0.42, 0.42, -0.25]


def test_without_pandas_the_data_frame_says_what_to_install(
    dictionary: Dictionary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match="needs pandas, .*: run `pip install pandas`"):
        dictionary.to_pandas()


def test_a_label_reads_back_equal_after_a_change_of_text(tmp_path: Path) -> None:
    store = make_store()
    store.put_label(make_label(text='quotes " and, commas\n日本\u2028'))
    write_dictionary(tmp_path, store, make_info())
    assert (
        open_dictionary(tmp_path).find("5:131")[0].explanation
        == make_label(text='quotes " and, commas\n日本\u2028').explanation
    )
