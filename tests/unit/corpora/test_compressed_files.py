"""Texts that are compressed are read as plain ones are, within the same limits."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from autointerp.core.errors import InputError, StorageError
from autointerp.core.text import Document
from autointerp.corpora.file_source import FileSource

Compress = Callable[[bytes], bytes]


def zstd(data: bytes) -> bytes:
    compressed: bytes = pa.Codec("zstd").compress(data, asbytes=True)
    return compressed


KINDS: dict[str, Compress] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd,
}
every_kind = pytest.mark.parametrize(("ending", "compress"), KINDS.items(), ids=KINDS)


def read(path: Path, seed: int = 0) -> list[Document]:
    return list(FileSource(str(path)).documents(np.random.default_rng(seed)))


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    return str(caught.value)


def lines(n: int, start: int = 0) -> bytes:
    return b"".join(b'{"text": "text %d"}\n' % i for i in range(start, start + n))


@every_kind
def test_every_line_is_read_once_and_knows_its_number(
    tmp_path: Path, ending: str, compress: Compress
) -> None:
    path = tmp_path / f"a.jsonl{ending}"
    path.write_bytes(compress(lines(500)))
    found = {d.source: d.text for d in read(path)}
    assert found == {f"{path.name}:{i + 1}": f"text {i}" for i in range(500)}


@every_kind
def test_a_compressed_text_is_one_document(tmp_path: Path, ending: str, compress: Compress) -> None:
    path = tmp_path / f"a.TXT{ending.upper()}"
    path.write_bytes(compress("\ufeffone\r\n\r\ntwo é".encode()))
    assert read(path) == [Document("one\n\ntwo é", path.name)]


@every_kind
def test_parts_that_were_compressed_one_by_one_are_all_read(
    tmp_path: Path, ending: str, compress: Compress
) -> None:
    path = tmp_path / f"a.jsonl{ending}"
    path.write_bytes(compress(lines(100)) + compress(lines(100, start=100)))
    assert {d.text for d in read(path)} == {f"text {i}" for i in range(200)}


def test_a_folder_mixes_plain_and_compressed_files(tmp_path: Path) -> None:
    for ending, compress in KINDS.items():
        (tmp_path / f"a.jsonl{ending}").write_bytes(compress(json.dumps(ending).encode()))
        (tmp_path / f"b.txt{ending}").write_bytes(compress(f"text {ending}".encode()))
        (tmp_path / f"c.csv{ending}").write_bytes(b"never opened")
        (tmp_path / f"d{ending}").write_bytes(b"never opened")
    (tmp_path / "plain.txt").write_text("plain")
    found = [d.text for d in read(tmp_path)]
    assert sorted(found) == sorted([*KINDS, *(f"text {e}" for e in KINDS), "plain"])
    assert found != [d.text for d in read(tmp_path, seed=1)]


@pytest.mark.parametrize("name", ["a.gz", "a.csv.gz", "a.parquet.zst", "a.tar.gz", "a.txt.zip"])
def test_other_compressed_files_are_refused_with_what_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    message = refusal(tmp_path / name)
    assert f"{name} is not a file of a known kind; give a file ending in .jsonl or " in message
    assert "or text compressed as .bz2, .gz, .xz, .zst (.jsonl.gz)" in message


@every_kind
@pytest.mark.parametrize("damage", [lambda whole: whole[:-9], lambda _whole: b"plain text"])
def test_a_damaged_file_says_so(
    tmp_path: Path, ending: str, compress: Compress, damage: Compress
) -> None:
    path = tmp_path / f"a.jsonl{ending}"
    path.write_bytes(damage(compress(lines(3000))))
    message = refusal(path)
    assert message.startswith(f"cannot read {path}: it is damaged after ")
    assert " bytes of text (" in message
    assert message.endswith("; copy or download it again")


def test_a_line_that_is_not_json_is_named_in_the_compressed_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(lines(200) + b"hello\n"))
    assert refusal(path).startswith(f"{path}, line 201 is not JSON (")


@every_kind
def test_a_file_that_is_empty_when_unpacked_is_called_empty(
    tmp_path: Path, ending: str, compress: Compress
) -> None:
    path = tmp_path / f"a.jsonl{ending}"
    path.write_bytes(compress(b"\n \n"))
    assert f"{path} is empty" in refusal(path)


def test_a_few_bytes_that_grow_to_gigabytes_are_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b" " * (64 << 20), compresslevel=9) * 32)
    assert refusal(path) == (
        f"{path} unpacks to more than 268,435,456 bytes, far more than text of its size; if that "
        "is right, unpack it first"
    )


def test_a_file_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    path.symlink_to(path)
    message = refusal(path)
    assert message.startswith(f"cannot read {path}: Too many levels of symbolic links")
    assert message.endswith("; check the file and its permissions")


def test_a_source_can_be_read_again_and_leaves_no_file_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines(200)))
    source = FileSource(str(tmp_path))
    first, second = (list(source.documents(np.random.default_rng(s))) for s in (0, 1))
    assert sorted(d.text for d in first) == sorted(d.text for d in second)
    assert not list(scratch.iterdir())


def test_plain_text_needs_no_temporary_folder_and_compressed_text_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    (tmp_path / "a.txt").write_text("one")
    assert [d.text for d in read(tmp_path / "a.txt")] == ["one"]
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"two"))
    with pytest.raises(StorageError, match="could not write a temporary file: No such file"):
        read(tmp_path / "b.txt.gz")


@every_kind
@pytest.mark.parametrize("plain", [".txt", ".jsonl"])
def test_a_compressed_file_under_a_plain_name_is_told_with_its_ending(
    tmp_path: Path, ending: str, compress: Compress, plain: str
) -> None:
    path = tmp_path / f"a{plain}"
    path.write_bytes(compress(lines(300)))
    assert refusal(path) == f"{path} is compressed; give it the ending {plain}{ending}"


def test_a_plain_file_under_a_compressed_name_is_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(b"just text")
    assert "it is damaged after 0 bytes of text (Not a gzipped file" in refusal(path)
