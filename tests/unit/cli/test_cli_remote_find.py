"""``autointerp find --server``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_service import Service, listening, make_service
from find_replies import find_feature, found_feature

from autointerp.cli import run
from autointerp.cli.remote_find import read_found
from autointerp.core.causal_json import causal_json
from autointerp.core.errors import UpstreamError


@pytest.fixture
def service(tmp_path: Path) -> Service:
    found = make_service(tmp_path)
    found.worker.reply = find_feature
    return found


@pytest.fixture
def url(service: Service) -> Iterator[str]:
    with listening(service.app) as address:
        yield address


def test_a_server_looks_in_place_of_this_machine(
    service: Service, url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "p.txt").write_text("".join(f"the river {n}\n" for n in range(8)))
    (tmp_path / "n.txt").write_text("".join(f"old stones {n}\n" for n in range(8)))
    files = ["--positive", str(tmp_path / "p.txt"), "--negative", str(tmp_path / "n.txt")]
    assert run(["find", "tiny", *files, "--limit", "5", "--server", url]) == 0
    said = capsys.readouterr()
    assert "Verdict: one unit (5:131)" in said.out
    assert "names of rivers" in said.out
    assert "all of it: autointerp find tiny --positive WITH.txt" in " ".join(said.err.split())
    [(kind, asked)] = service.worker.asked
    assert (kind, asked["positive"][0], asked["n"]) == ("find", "the river 0", 5)
    assert (asked["tokens"], asked["k"], asked["exact_s"]) == (8192, [16, 4, 2, 1], 5.0)


def test_labelled_lines_are_sent_as_they_were_understood(
    service: Service, url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rows = [{"tokens": ["a ", "cat ", str(n)], "labels": [0, 1, None]} for n in range(12)]
    rows += [{"text": "all of it", "label": 1}]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ["--dataset", str(file), "--k", "0", "--server", url, "--json"]
    assert run(["find", "tiny", *arguments]) == 0
    assert json.loads(capsys.readouterr().out)["probes"] is None
    [(_, asked)] = service.worker.asked
    assert asked["examples"][0] == {"text": "a cat 0", "spans": [[2, 6]], "ignore": [[6, 7]]}
    assert asked["examples"][-1] == {"text": "all of it", "label": 1}


def test_what_a_server_answers_is_the_report_again() -> None:
    report = found_feature()
    assert read_found(causal_json(report)) == report
    with pytest.raises(UpstreamError, match="another version"):
        read_found({"units": []})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--feature", "years", "--dir", "runs/x"], "--dir cannot be given with --server"),
        (["--positive", "p.txt"], "add --negative FILE"),
        (["--feature", "yeers"], "did you mean years"),
        (["--dataset", "none.jsonl"], "does not exist"),
        (["--feature", "years", "--k", "1024"], "k"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(
    url: str, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run(["find", "tiny", *arguments, "--server", url]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
