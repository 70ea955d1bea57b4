from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.core.errors import InputError
from autointerp.core.text import Document
from autointerp.corpora import check_corpus
from autointerp.corpora.file_source import FileSource


def read(path: Path, seed: int = 0) -> list[Document]:
    return list(FileSource(str(path)).documents(np.random.default_rng(seed)))


def texts(path: Path) -> list[str]:
    return sorted(document.text for document in read(path))


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    return str(caught.value)


def test_a_text_file_is_one_document_however_many_paragraphs(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffone\r\n\r\ntwo é".encode())
    assert read(path) == [Document("one\n\ntwo é", "a.txt")]


def test_pipes_and_devices_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")
    (tmp_path / "b.txt").symlink_to("a.txt")
    (tmp_path / "c.txt").symlink_to("/dev/zero")
    for name in ("a.txt", "b.txt", "c.txt"):
        assert "is not a file of a known kind" in refusal(tmp_path / name)
    assert "has no file ending in" in refusal(tmp_path)
    (tmp_path / "d.txt").write_text("one")
    assert texts(tmp_path) == ["one"]


def test_a_jsonl_line_is_an_object_or_a_string_and_knows_its_number(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "one", "id": 3}\r\n\n"two"\n{"text": "thr\xc3\xa9e"}')
    assert sorted(read(path), key=lambda d: d.source) == [
        Document("one", "a.jsonl:1"),
        Document("two", "a.jsonl:3"),
        Document("thrée", "a.jsonl:4"),
    ]


@given(st.lists(st.text(), min_size=1, max_size=100), st.integers(0, 9))
def test_every_line_of_a_jsonl_file_is_read_once(
    tmp_path_factory: pytest.TempPathFactory, written: list[str], seed: int
) -> None:
    path = tmp_path_factory.mktemp("jsonl") / "a.jsonl"
    path.write_text("".join(json.dumps(text) + "\n" for text in written))
    found = {d.source: d.text for d in read(path, seed)}
    assert found == {f"a.jsonl:{i}": text for i, text in enumerate(written, start=1)}


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.binary_view(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int16(), pa.large_string()),
        pa.json_(),
    ],
    ids=str,
)
def test_every_row_of_a_parquet_file_is_read_once(tmp_path: Path, kind: pa.DataType) -> None:
    path = tmp_path / "a.parquet"
    column = pa.array([f"text {i}" for i in range(150)], pa.string()).cast(kind)
    pq.write_table(pa.table({"id": range(150), "text": column}), path, row_group_size=40)
    found = {d.source: d.text for d in read(path)}
    assert found == {f"a.parquet#{i}": f"text {i}" for i in range(150)}


def test_null_in_a_parquet_file_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a", None]}), path)
    assert texts(path) == ["", "a"]


def test_a_folder_is_read_recursively_and_other_files_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "named.txt").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "sub" / "a.TXT").write_text("a")
    (tmp_path / "b.jsonl").write_text('"b"\n"c"\n')
    (tmp_path / "c.csv").write_bytes(b"\xff\x00")
    (tmp_path / ".hidden" / "d.txt").write_bytes(b"\xff")
    pq.write_table(pa.table({"text": ["p"]}), tmp_path / "p.parquet")
    assert {d.source for d in read(tmp_path)} == {
        "sub/a.TXT",
        "b.jsonl:1",
        "b.jsonl:2",
        "p.parquet#0",
    }
    assert texts(tmp_path) == ["a", "b", "c", "p"]


def test_documents_come_in_an_order_that_depends_on_the_seed_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'"{i}"\n' for i in range(500)))
    assert read(path, 1) == read(path, 1)
    assert read(path, 1) != read(path, 2)
    assert read(path, 1) != sorted(read(path, 1), key=lambda d: int(d.text))


def test_a_folder_without_documents_says_what_it_looks_for(tmp_path: Path) -> None:
    folder = tmp_path / "x.txt"
    folder.mkdir()
    (folder / "a.md").write_text("x")
    assert "has no file ending in .jsonl or .parquet or .txt" in refusal(folder)


def test_another_extension_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text\nx\n")
    assert "is not a file of a known kind; give a file ending in .jsonl" in refusal(path)


@pytest.mark.parametrize("content", [b"", b" \n\t\n"])
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_an_empty_file_is_called_empty(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert f"{tmp_path / name} is empty" in refusal(tmp_path / name)
    assert f"{tmp_path} is empty" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.parquet"])
def test_a_file_that_cannot_be_opened_says_why(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.symlink_to(path)
    for asked in (path, tmp_path):
        message = refusal(asked)
        assert f"cannot read {path}" in message
        assert "symbolic links" in message
        assert "check the file and its permissions" in message


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_a_binary_file_says_where_it_is_binary(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b'"text"\n"\x00\xff\n')
    message = refusal(path)
    assert message.startswith(str(path))
    assert "is binary: byte 8 is zero; give UTF-8 text" in message


def test_text_that_is_not_utf8_says_which_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("naïve café".encode("latin-1"))
    assert "is not UTF-8: byte 2 is 0xef; convert it first, for example with `iconv" in refusal(
        path
    )


def test_a_jsonl_line_that_is_not_utf8_says_which_line_and_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'"abc"\n"d\xe9"\n')
    assert re.search(r"line 2 is not UTF-8: byte 8 is 0xe9", refusal(path))


@pytest.mark.parametrize("line", ["{text: 1}", "hello", '{"text": "x"', "[" * 100_000])
def test_a_line_that_is_not_json_is_named_wherever_it_stands(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('"good"\n' * 200 + f"\n{line}\n")
    message = refusal(path)
    assert message.startswith(f"{path}, line 202 is not JSON (")
    assert 'write one {"text": "..."} per line' in message


@pytest.mark.parametrize("ending", ["jsonl", "ndjson", "jsonlines"])
def test_numbers_beside_a_text_may_have_thousands_of_digits(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    path.write_text('{"text": "one", "id": ' + "9" * 5000 + "}\n")
    assert [document.text for document in read(path)] == ["one"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('{"text": 12}', "int instead of a string in the field text"),
        ('{"body": "x", "id": 1}', "the fields body, id"),
        ("{}", "an empty object"),
        ('{"text": true}', "bool instead of a string in the field text"),
        ('{"text": ["x"]}', "list instead of a string in the field text"),
        ("[1]", "list instead of an object"),
        ("12", "int instead of an object"),
    ],
)
def test_a_line_without_text_says_what_was_found(tmp_path: Path, line: str, found: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f'"good"\n{line}\n')
    assert f"{path}, line 2 has no text: found {found}; write" in refusal(path)


def test_a_parquet_file_without_the_column_names_those_it_has(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"body": ["x"], "id": [1]}), path)
    assert "has no column text, only body, id; name" in refusal(path)


def test_a_parquet_column_of_numbers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [1, 2]}), path)
    assert "the column text holds int64; it must hold strings" in refusal(path)


@pytest.mark.parametrize(
    "content", [b"", b"PAR1 not parquet at all", b"PAR1" + b"\x07" * 40 + b"PAR1"]
)
def test_a_corrupt_parquet_file_is_called_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    message = refusal(path)
    assert message.startswith(f"cannot read {path}: it is damaged (")


def test_damage_inside_a_parquet_file_is_found_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [f"{i} some text" for i in range(1000)]}), path)
    content = bytearray(path.read_bytes())
    content[4:300] = b"\xa5" * 296
    path.write_bytes(content)
    assert f"cannot read {path}: it is damaged (" in refusal(path)


def test_a_line_that_is_null_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('null\n"one"\n')
    check_corpus(str(path))
    assert sorted(document.text for document in read(path)) == ["", "one"]


def test_the_only_field_that_holds_a_string_is_told_in_the_singular(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": 1, "x": "y"}\n')
    assert "the field text (x holds a string); write" in refusal(path)
