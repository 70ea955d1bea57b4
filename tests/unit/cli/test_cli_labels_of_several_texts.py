"""Labels of one unit from several texts, in the terminal and in Python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from api_service import listening
from command_line import Cli
from factories import make_unit
from two_texts import service_of_two_texts

from autointerp.client import Client


def test_show_says_which_other_labels_there_are_and_shows_them(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with listening(service_of_two_texts(tmp_path).app) as url:
        monkeypatch.setenv("AUTOINTERP_SERVER", url)
        shown = cli("show", "tiny/blocks.5.mlp.hook_post/131", "--server", url)
        assert "names of functions" in shown.out
        assert "--corpus wiki --explainer token_activation: 0.42, " in shown.err
        asked = ("show", "tiny/blocks.5.mlp.hook_post/131", "--server", url, "--corpus", "wiki")
        assert "names of rivers" in cli(*asked).out
        file = tmp_path / "labels.jsonl"
        ended = cli(
            *("download", "tiny", "--format", "jsonl", "--corpus", "python", "--out", str(file))
        )
        assert ended.code == 0, ended.err
        assert [json.loads(row)["index"] for row in file.read_text().splitlines()] == [131]
        with Client(url) as client:
            label = client.label("tiny", 5, 131, corpus="wiki")
        assert (label.origin.corpus, label.unit) == ("wiki", make_unit())


def test_a_folder_has_one_label_of_a_side(cli: Cli, tmp_path: Path) -> None:
    ended = cli("show", "5:131", "--dir", str(tmp_path), "--corpus", "wiki")
    assert ended.code == 2
    assert "--corpus and --explainer choose among labels of a --server" in ended.err
