from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Cli

from autointerp.dictionary import FORMATS


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format_is_written(cli: Cli, a_dictionary: Path, tmp_path: Path, fmt: str) -> None:
    out = tmp_path / "out" / "it"
    ended = cli("export", str(a_dictionary), "--format", fmt, "--out", str(out))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"written: {out}\n"
    assert out.exists()


def test_every_format_is_in_the_help(cli: Cli) -> None:
    found = cli("export", "--help").out
    assert [fmt for fmt in FORMATS if fmt not in found] == []


def test_json_names_what_was_written(cli: Cli, a_dictionary: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "x.jsonl")
    ended = cli("export", str(a_dictionary), "--format", "jsonl", "--out", out, "--json")
    assert json.loads(ended.out) == {"format": "jsonl", "path": out, "left_out": []}


def test_an_unknown_format_and_a_folder_without_a_dictionary_exit_with_2(
    cli: Cli, a_dictionary: Path, tmp_path: Path
) -> None:
    unknown = cli("export", str(a_dictionary), "--format", "xml", "--out", "x")
    assert unknown.code == 2
    assert "unknown export format 'xml'; the formats are parquet, jsonl" in unknown.err
    nowhere = cli("export", str(tmp_path), "--format", "jsonl", "--out", "x")
    assert nowhere.code == 2
    assert "is not a feature dictionary" in nowhere.err
