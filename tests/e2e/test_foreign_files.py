"""Files of others that are damaged, huge or of another kind end in a sentence."""

from __future__ import annotations

import gzip
import json
import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import make_info, make_store

from autointerp.cli import run
from autointerp.core.json_text import parse_json
from autointerp.dictionary import write_dictionary

DEEP = b"[" * 200_000 + b"]" * 200_000
SPARSE_BYTES = 2 << 30


def deep(path: Path) -> None:
    path.write_bytes(DEEP)


def deep_object(path: Path) -> None:
    path.write_bytes(b'{"schema_version": 1, "hook": ' + DEEP + b"}")


def digits(path: Path) -> None:
    path.write_bytes(b'{"schema_version": ' + b"9" * 5_000 + b"}")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(SPARSE_BYTES)


def bomb(path: Path) -> None:
    """A few megabytes that decompress to gigabytes."""
    part = gzip.compress(b" " * (64 << 20), compresslevel=9)
    path.write_bytes(part * 32)


def other_parquet(path: Path) -> None:
    pq.write_table(pa.table({"a": [1, 2], "hook": [[1], None]}), path)


def wrong_types(path: Path) -> None:
    names = ("hook", "index", "polarity", "status", "description", "explainer", "score", "unit")
    table = {name: pa.array([{"x": 1}, None]) for name in (*names, "model_id", "layer")}
    pq.write_table(pa.table(table), path)


def cut(path: Path) -> None:
    other_parquet(path)
    path.write_bytes(path.read_bytes()[:-9])


def latin(path: Path) -> None:
    path.write_bytes(b'{"hook": "\xe9"}\n')


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def itself(path: Path) -> None:
    path.symlink_to(path.name)


def zeros(path: Path) -> None:
    path.write_bytes(b"\0" * 1_000)


def wide(path: Path) -> None:
    path.write_bytes('{"schema_version": 1, "hook": "é"}'.encode("utf-16"))


def long_key(path: Path) -> None:
    """A key that clears the screen, and is as long as a book."""
    path.write_text(json.dumps({"schema_version": 1, "\x1b[2J" * 100_000: 1}))


def nothing(path: Path) -> None:
    path.write_bytes(b"")


ODD = (endless, itself, zeros, wide, long_key, nothing)
FILES = {
    "labels.jsonl": (deep, deep_object, digits, sparse, latin),
    "labels.jsonl.gz": (bomb, deep, sparse),
    "labels.parquet": (other_parquet, wrong_types, cut, deep, sparse),
    "manifest.json": (pipe, deep, deep_object, digits, sparse, latin),
    "record.json": (deep, deep_object, digits, sparse, latin),
    "record.json.gz": (bomb, deep, sparse),
    "texts.jsonl": (deep, digits, sparse, latin),
    "texts.txt": (sparse,),
    "texts.parquet": (other_parquet, cut, sparse),
    "prices.json": (pipe, deep, deep_object, digits, sparse, latin),
    "cfg.json": (pipe, deep, deep_object, digits, sparse, latin),
}


def commands(path: Path) -> list[list[str]]:
    if path.name.startswith("labels"):
        return [["diff", str(path), str(path)]]
    if path.name == "manifest.json":
        folder = str(path.parent)
        return [
            ["show", "0:0", "--dir", folder],
            ["export", folder, "--format", "jsonl", "--out", str(path.parent / "out")],
            ["label", "--from-manifest", str(path), "--out", str(path.parent / "again")],
            ["diff", folder, folder],
        ]
    if path.name.startswith("record"):
        return [["explain", str(path), "--llm", "none"], ["score", str(path), "--llm", "none"]]
    if path.name == "prices.json":
        asked = ["--units", "0:0", "--llm", "http://127.0.0.1:9/v1", "--llm-model", "m"]
        return [["plan", "MODEL", *asked, "--prices", str(path)]]
    if path.name.startswith("texts"):
        return [["collect", "MODEL", "--units", "0:0", "--corpus", str(path), "--out", "OUT"]]
    return [["collect", "MODEL", "--units", f"sae:{path.parent}:0-1", "--out", "OUT"]]


def peak_bytes() -> int:
    """The most memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


CASES = [(name, write) for name, writers in FILES.items() for write in (*writers, *ODD)]


@pytest.mark.parametrize(
    ("name", "write"), CASES, ids=[f"{name}, {write.__name__}" for name, write in CASES]
)
def test_a_foreign_file_that_cannot_be_used_is_told_in_a_sentence(
    tmp_path: Path,
    model_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    write: Callable[[Path], None],
) -> None:
    monkeypatch.setenv("AUTOINTERP_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "foreign"
    folder.mkdir()
    write(folder / name)
    before = peak_bytes()
    for command in commands(folder / name):
        given = [
            {"MODEL": str(model_folder), "OUT": str(tmp_path / "o")}.get(w, w) for w in command
        ]
        code = run(given)
        said = capsys.readouterr()
        assert code in {2, 3}, (command, said.err)
        assert "Traceback" not in said.err
        assert len(said.err) < 2_000
        assert "this is a bug" not in said.err
        assert "\x1b[2J" not in said.err
    assert peak_bytes() - before < 3 * SPARSE_BYTES // 4


TEXTS = ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


@pytest.mark.parametrize("name", [*TEXTS, "generation_config.json", "merges.txt"])
def test_a_huge_file_beside_the_weights_of_a_model_is_told_and_not_read(
    tmp_path: Path, model_folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    folder = shutil.copytree(model_folder, tmp_path / "model")
    sparse(folder / name)
    before = peak_bytes()
    given = ["--units", "0:0", "--out", str(tmp_path / "out")]
    assert run(["collect", str(folder), *given]) == 2
    assert f"{name} has more than 268,435,456 bytes" in " ".join(capsys.readouterr().err.split())
    assert peak_bytes() - before < SPARSE_BYTES // 4


def test_rows_of_a_dictionary_with_another_table_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], dictionary: Path
) -> None:
    for write in (other_parquet, wrong_types, cut):
        write(dictionary / "labels.parquet")
        code = run(["diff", str(dictionary), str(dictionary)])
        said = capsys.readouterr()
        assert code in {2, 3}, said.err
        assert "this is a bug" not in said.err
        # The label is not in the table, so one unit is shown all the same.
        assert run(["show", "5:131", "--dir", str(dictionary)]) == 0
        assert "hook_post/131" in capsys.readouterr().out


def test_a_table_that_grows_to_gigabytes_is_not_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], dictionary: Path
) -> None:
    bomb(dictionary / "labels.jsonl.gz")
    out = tmp_path / "out.jsonl"
    assert run(["export", str(dictionary), "--format", "jsonl", "--out", str(out)]) == 3
    assert "is it the right file?" in " ".join(capsys.readouterr().err.split())
    assert not out.exists() or out.stat().st_size < SPARSE_BYTES // 2


@pytest.fixture
def dictionary(tmp_path: Path) -> Path:
    """A dictionary whose table a test replaces."""
    write_dictionary(tmp_path / "dictionary", make_store(), make_info())
    return tmp_path / "dictionary"


def test_json_of_any_depth_is_plain_data_or_a_value_error() -> None:
    for text in (DEEP, DEEP.decode(), b"\xff", "9" * 5_000, "{", json.dumps({"a": 1})[:-1]):
        with pytest.raises(ValueError, match=r".+"):
            parse_json(text)
