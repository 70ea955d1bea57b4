"""A person's own explanation, in words or a program, beside the label on the same windows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_endpoint import FakeEndpoint
from labelling import Ended, Labelling

import autointerp as ai
from autointerp.core.files import MINILM
from autointerp.core.one_line import shortened
from autointerp.dictionary.neuron_record_import.parsing import records_path

PROGRAM = r"8: token ~ /\s?[a-k].*/i" + "\n"


@pytest.fixture
def run(labelling: Labelling) -> Path:
    """A dictionary of rules; of the first unit at least one side is labelled."""
    assert labelling(labelling.arguments("a", "--seed", "3", llm="none")).code == 0
    return labelling.folder / "a"


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "rules.txt"
    path.write_text(PROGRAM, encoding="utf-8")
    return str(path)


def score(labelling: Labelling, run: Path, *options: str) -> Ended:
    return labelling(["score", "0:1", "--dir", str(run), *options])


def scores_of(ended: Ended) -> dict[str, Any]:
    """The scores of the first result by name."""
    assert ended.code == 0, ended.err
    [unit] = json.loads(ended.out)["units"]
    return {s["name"]: s for s in unit["results"][0]["scores"]}


def test_a_program_is_compared_with_the_label_on_all_windows_without_an_llm(
    labelling: Labelling, run: Path, program: str
) -> None:
    ended = score(labelling, run, "--program", program, "--json")
    found = scores_of(ended)
    [label] = ai.open_dictionary(run).find("0:1")
    n_windows = label.headline.n_windows
    assert found["population"]["n_windows"] == found["over_label"]["n_windows"] == n_windows
    difference = found["population"]["value"] - (label.headline.value or 0.0)
    assert found["over_label"]["value"] == pytest.approx(difference, abs=1e-9)
    assert found["over_label"]["low"] <= difference <= found["over_label"]["high"]
    assert json.loads(ended.out)["llm"] is None
    assert "over_label" in score(labelling, run, "--program", program).out


def test_python_gives_the_same_scores_as_the_command_line(
    labelling: Labelling, run: Path, program: str
) -> None:
    [label] = ai.score_explanation(run, "0:1", program=PROGRAM, llm="none")
    found = scores_of(score(labelling, run, "--program", program, "--json"))
    assert label.score("program", "over_label").value == found["over_label"]["value"]
    sets = records_path(run, label.unit, label.side)
    ended = labelling(["score", str(sets), "--program", program, "--json"])
    assert scores_of(ended)["over_label"] == found["over_label"]


def test_words_are_asked_about_on_every_window_unless_fewer_are_wanted(
    labelling: Labelling, run: Path, endpoint: FakeEndpoint
) -> None:
    asked = ("--llm", endpoint.base_url, "--llm-model", "fake", "--explanation", "rivers", "--json")
    [label] = ai.open_dictionary(run).find("0:1")
    n = {}
    for options in ((), ("--heldout", "5")):
        ended = score(labelling, run, *asked, *options)
        [unit] = json.loads(ended.out)["units"]
        n[options] = unit["results"][0]["n_asked"]
        assert "over_label" in {s["name"] for s in unit["results"][0]["scores"]}
    assert n == {(): label.headline.n_windows, ("--heldout", "5"): 5}


def test_scorers_that_ask_no_llm_open_none(labelling: Labelling, run: Path) -> None:
    ended = score(labelling, run, "--explanation", "rivers", "--scorer", "embedding", "--json")
    if MINILM.find() is None:
        assert ended.code == 2
        assert MINILM.install_command in ended.err
        return
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert found["llm"] is None
    [unit] = found["units"]
    assert (unit["scorer"], unit["score_name"]) == ("embedding", "auroc_population")
    assert unit["score"] is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--explanation", "a", "--program", "bad"), "in words or a program; found both"),
        (("--program", "bad"), "line 1: a rule begins with a number from 0 to 10"),
        (("--program", "none"), "there is no file none; name a text file of a program"),
        (("--program", "empty"), "the program has no rule; write one on each line, LEVEL"),
        (("--program", "binary"), "binary is not UTF-8 text"),
        (("--program", "long"), "the program has 5000 characters, at most 4000 are allowed"),
        (("--explanation", "  "), "the explanation is empty; write what the unit responds to"),
        (("--explanation", "a", "--llm", "none"), "--scorer embedding, or write it as a program"),
    ],
)
def test_an_explanation_that_cannot_be_scored_is_one_sentence(
    labelling: Labelling,
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    options: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    files = {"bad": b"river", "empty": b"# nothing\n", "binary": b"\xff\xfe", "long": b"x" * 5000}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    ended = score(labelling, run, *options)
    assert ended.code == 2
    assert message in ended.err
    assert ended.err.count("error:") == 1


def test_a_unit_that_the_folder_does_not_hold_is_named(
    labelling: Labelling, run: Path, program: str
) -> None:
    for unit, folder, message in (
        ("5:1", run, "has no label of 5:1; it holds 6 labels"),
        ("river", run, f"{shortened('river')} is not a unit"),
        ("0:1", run.parent, "is not a feature dictionary"),
    ):
        ended = labelling(["score", unit, "--dir", str(folder), "--program", program])
        assert ended.code == 2
        assert message in ended.err
