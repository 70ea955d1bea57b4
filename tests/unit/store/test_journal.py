"""The rows of a JSON store: what becomes of them when writers are many, die, or were others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from factories import make_label, make_unit

from autointerp.core.errors import InputError, StorageError
from autointerp.dictionary import row_json
from autointerp.store.labels import JsonLabelStore
from autointerp.store.labels.json_store import JsonLabelStores
from autointerp.store.labels.stores import open_label_stores
from autointerp.store.search.label_index import LabelIndex, LabelQuery

WRITER = """
import sys
from factories import make_label, make_unit
from autointerp.dictionary import row_json
from autointerp.store.labels import JsonLabelStore
store, first = JsonLabelStore(sys.argv[1], row_json), int(sys.argv[2])
for index in range(first, first + 40):
    store.put_label(make_label(make_unit(index)))
"""


def indices(store: JsonLabelStore) -> list[int]:
    return sorted(int(json.loads(row)["index"]) for row in store.rows_since(0, 10_000)[0])


def filled(folder: Path, n: int = 3) -> JsonLabelStore:
    store = JsonLabelStore(folder, row_json)
    for index in range(n):
        store.put_label(make_label(make_unit(index)))
    return store


def test_processes_that_write_at_once_lose_no_row(tmp_path: Path) -> None:
    support = str(Path(__file__).parents[2] / "support")
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {support!r}){WRITER}"]
    writers = [
        subprocess.Popen([*command, str(tmp_path / "run"), str(first)])
        for first in range(0, 160, 40)
    ]
    assert [writer.wait(timeout=600) for writer in writers] == [0] * 4
    lines = (tmp_path / "run" / "rows.jsonl").read_bytes().splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)
    assert set(indices(JsonLabelStore(tmp_path / "run", row_json))) == set(range(160))


def test_a_half_line_of_a_killed_writer_is_made_good(tmp_path: Path) -> None:
    store = filled(tmp_path)
    _, before = store.rows_since(0, 100)
    with (tmp_path / "rows.jsonl").open("ab") as file:
        file.write(b'{"half": ')
    assert indices(store) == [0, 1, 2]
    store.put_label(make_label(make_unit(3)))
    rows, change = store.rows_since(before, 100)
    assert sorted(int(json.loads(row)["index"]) for row in rows) == [0, 1, 2, 3]
    assert change > before
    assert store.rows_since(change, 100) == ([], change)


@pytest.mark.parametrize("damage", [b"", b"not json\n", b'{"schema":1}\n', b"[]\n", b"\xff\xff"])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    filled(tmp_path)
    (tmp_path / "rows.jsonl").write_bytes(damage)
    assert indices(JsonLabelStore(tmp_path, row_json)) == [0, 1, 2]


def test_a_missing_file_is_made_of_the_labels(tmp_path: Path) -> None:
    store = filled(tmp_path)
    _, change = store.rows_since(0, 100)
    (tmp_path / "rows.jsonl").unlink()
    # A reader that goes on finds every row again.
    rows, last = store.rows_since(change, 100)
    assert len(rows) == 3
    assert last > change


def test_labels_of_a_writer_without_rows_are_found(tmp_path: Path) -> None:
    filled(tmp_path)
    JsonLabelStore(tmp_path).put_label(make_label(make_unit(9)))
    assert indices(JsonLabelStore(tmp_path, row_json)) == [0, 1, 2, 9]


def test_a_store_without_rows_writes_none(tmp_path: Path) -> None:
    JsonLabelStore(tmp_path).put_label(make_label())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels"]


def test_rows_of_a_newer_version_are_refused(tmp_path: Path) -> None:
    store = filled(tmp_path)
    (tmp_path / "rows.jsonl").write_text('{"schema":2,"kind":"rows","base":1}\n')
    with pytest.raises(InputError, match=r"written by a newer autointerp \(schema 2"):
        store.rows_since(0, 10)


def test_a_clock_that_is_put_back_leaves_changes_ascending(tmp_path: Path) -> None:
    store = filled(tmp_path)
    path = tmp_path / "rows.jsonl"
    _, *lines = path.read_bytes().splitlines()
    future = 8 * 10**15
    about = json.dumps({"schema": 1, "kind": "rows", "base": future}).encode()
    path.write_bytes(b"\n".join([about, *lines, b"damage"]) + b"\n")
    rows, change = store.rows_since(future, 100)
    assert len(rows) == 3
    assert change > future


def test_reading_a_folder_that_is_not_there_makes_none(tmp_path: Path) -> None:
    assert JsonLabelStore(tmp_path / "none", row_json).rows_since(0, 10) == ([], 0)
    assert JsonLabelStores(tmp_path / "none").models() == []
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("url", ["", "json:", "DIR", "http://host/", "ftp://user:secret@host"])
def test_an_address_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(
        InputError, match="does not name a store; write json:DIR or redis://"
    ) as caught:
        open_label_stores(url)
    assert "secret" not in str(caught.value)


def test_redis_needs_a_place_for_records() -> None:
    with pytest.raises(InputError, match="set AUTOINTERP_ARTIFACTS"):
        open_label_stores("redis://127.0.0.1:1/0")


def test_a_file_where_the_folder_should_be_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="could not list"):
        JsonLabelStores(tmp_path / "file").models()


@pytest.mark.parametrize(
    "change",
    [
        "[1]",
        "null",
        {"layer": "x"},
        {"layer": 10**30},
        {"index": -1},
        {"index": None},
        {"hook": 5},
        {"polarity": ["positive"]},
        {"status": None},
        {"score": "x"},
        {"score": 1e309},
        {"description": {"a": 1}},
        {"top_tokens": [[1]]},
    ],
    ids=str,
)
def test_a_row_that_is_none_is_made_good_from_the_labels(
    tmp_path: Path, change: str | dict[str, object]
) -> None:
    filled(tmp_path)
    file = tmp_path / "rows.jsonl"
    head, first, *others = file.read_text().splitlines()
    row = change if isinstance(change, str) else json.dumps(json.loads(first) | change)
    file.write_text("\n".join([head, row, *others, ""]))
    store = JsonLabelStore(tmp_path, row_json)
    assert len(LabelIndex(store).page(LabelQuery()).rows) == 3
    assert indices(store) == [0, 1, 2]


def test_rows_without_an_end_are_made_good(tmp_path: Path) -> None:
    filled(tmp_path)
    for size in (0, 2 << 30):
        with (tmp_path / "rows.jsonl").open("rb+") as file:
            file.truncate(size)
        assert indices(JsonLabelStore(tmp_path, row_json)) == [0, 1, 2]
