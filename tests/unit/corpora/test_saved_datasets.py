from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather
from saved_folders import write_saved, write_splits, write_stream

from autointerp.core.errors import InputError
from autointerp.corpora import check_corpus
from autointerp.corpora.file_source import FileSource

BODY = ["one", None, "three", ""]
COLUMNS = {"id": [1, 2, 3, 4], "body": BODY}


def texts(name: str) -> list[str]:
    return sorted(
        document.text for document in FileSource(name).documents(np.random.default_rng(0))
    )


def refusal(name: str) -> str:
    """What both the first look and the reading say."""
    said = set()
    for read in (check_corpus, FileSource):
        with pytest.raises(InputError) as caught:
            read(name)
        said.add(str(caught.value))
    [message] = said
    return message


def test_every_row_of_every_file_of_a_saved_data_set_is_read_once(tmp_path: Path) -> None:
    rows = [f"text {i}" for i in range(250)]
    folder = write_saved(tmp_path / "saved", {"id": range(250), "text": rows}, n_files=3)
    found = list(FileSource(str(folder)).documents(np.random.default_rng(0)))
    assert sorted(document.text for document in found) == sorted(rows)
    assert len({document.source for document in found}) == 250
    assert found[0].source.startswith("data-0000")


def test_what_a_library_keeps_beside_the_rows_is_not_read(tmp_path: Path) -> None:
    folder = write_saved(tmp_path, {"text": ["one"]})
    write_stream(folder / "cache-1234.arrow", pa.table({"text": ["another"]}))
    assert texts(str(folder)) == ["one"]


def test_null_is_no_text_and_a_field_is_named_behind_the_folder(tmp_path: Path) -> None:
    write_saved(tmp_path, COLUMNS)
    assert texts(f"{tmp_path}:body") == ["", "", "one", "three"]
    assert "has no column text, only id, body" in refusal(str(tmp_path))
    assert "the column id holds int64; it must hold strings (body do)" in refusal(f"{tmp_path}:id")


def test_a_split_is_named_before_the_field_and_train_is_the_usual_one(tmp_path: Path) -> None:
    folder = write_splits(tmp_path, {"train": COLUMNS, "test": {"body": ["tested"]}})
    assert texts(f"{folder}:test:body") == ["tested"]
    assert texts(f"{folder}:body") == texts(f"{folder}:train:body") == ["", "", "one", "three"]
    assert FileSource(f"{folder}/:body").name == f"{folder}:train:body"
    assert f"{folder} has no split dev, only train, test; write" in refusal(f"{folder}:dev:body")
    message = refusal(f"{folder}:dev")
    assert "has no column dev, only id, body" in message
    assert message.endswith("; the splits are train, test")


def test_the_only_split_needs_no_name_and_one_of_several_does(tmp_path: Path) -> None:
    one = write_splits(tmp_path / "one", {"dev": {"text": ["x"]}})
    two = write_splits(tmp_path / "two", {"a": {"text": ["x"]}, "b": {"text": ["y"]}})
    assert texts(str(one)) == ["x"]
    assert f"{two} has the splits a, b; write {two}:SPLIT:FIELD" in refusal(str(two))
    assert texts(f"{two}:b") == ["y"]


def test_a_data_set_of_one_split_knows_its_name(tmp_path: Path) -> None:
    folder = write_saved(tmp_path, {"body": ["x"]}, split="train")
    assert texts(f"{folder}:train:body") == ["x"]
    assert "has the split train alone, but test was asked for" in refusal(f"{folder}:test:body")


def test_rows_that_were_chosen_in_a_file_of_indices_are_refused(tmp_path: Path) -> None:
    folder = write_saved(tmp_path, {"text": ["x"]})
    state = json.loads((folder / "state.json").read_text())
    state["_indices_data_files"] = [{"filename": "indices.arrow"}]
    (folder / "state.json").write_text(json.dumps(state))
    assert "save it again after flatten_indices()" in refusal(str(folder))


@pytest.mark.parametrize("name", ["../other.arrow", "/etc/passwd", "", ".."])
def test_files_outside_of_the_folder_are_not_read(tmp_path: Path, name: str) -> None:
    folder = write_saved(tmp_path / "saved", {"text": ["x"]})
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    assert "does not list the files of its rows" in refusal(str(folder))


def test_a_file_that_is_missing_or_cut_off_is_named(tmp_path: Path) -> None:
    folder = write_saved(tmp_path, {"text": ["x" * 1000] * 50}, n_files=2)
    last = folder / "data-00001-of-00002.arrow"
    last.write_bytes(last.read_bytes()[:-5000])
    with pytest.raises(InputError, match=f"cannot read {last}: it is damaged"):
        FileSource(str(folder))
    last.unlink()
    assert f"{folder} lacks {last.name}, which its state.json lists" in refusal(str(folder))


def test_a_state_of_something_else_does_not_make_a_folder_a_data_set(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("[1")
    (tmp_path / "a.txt").write_text("x")
    assert texts(str(tmp_path)) == ["x"]


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
def test_feather_files_and_streams_are_read_by_their_rows(tmp_path: Path, compression: str) -> None:
    rows = [f"text {i}" for i in range(150)]
    table = pa.table({"id": range(150), "body": pa.array(rows).dictionary_encode()})
    path = tmp_path / "a.feather"
    feather.write_feather(table, path, compression=compression, chunksize=40)
    assert texts(f"{path}:body") == sorted(rows)
    write_stream(tmp_path / "b.arrow", table)
    assert texts(f"{tmp_path / 'b.arrow'}:body") == sorted(rows)


@pytest.mark.parametrize("content", [b"", b"text", b"ARROW1\0\0", b"\xff\xff\xff\xff\x10\0\0\0"])
def test_an_arrow_file_that_is_none_is_called_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.arrow"
    path.write_bytes(content)
    assert f"cannot read {path}: it is damaged" in refusal(str(path))


def test_arrow_files_beside_other_files_are_read_and_those_that_a_library_keeps_are_not(
    tmp_path: Path,
) -> None:
    write_stream(tmp_path / "data.arrow", pa.table({"text": ["two"]}))
    (tmp_path / "README.txt").write_text("one")
    assert texts(str(tmp_path)) == ["one", "two"]
    write_stream(tmp_path / "cache-31089f92.arrow", pa.table({"text": ["copy"]}))
    assert texts(str(tmp_path)) == ["one", "two"]
    (tmp_path / "data.arrow").unlink()
    (tmp_path / "README.txt").unlink()
    assert texts(str(tmp_path)) == ["copy"]


def test_a_source_that_may_be_partial_is_not_looked_into_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("garbage\n")
    (tmp_path / "b.jsonl").write_text('{"text": "x y"}\n')
    check_corpus(f"partial:{tmp_path}")
    assert len(FileSource(str(tmp_path), partial=True)) == 1
    with pytest.raises(InputError, match="is not JSON"):
        check_corpus(str(tmp_path))
    with pytest.raises(InputError, match="has no splits, but a was asked for"):
        check_corpus(f"partial:{tmp_path}:a:b")
