from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from command_line import Cli
from factories import make_label, make_unit

from autointerp.core.explanations import LabelStatus
from autointerp.dictionary import open_example


def test_the_demo_labels_four_neurons_of_the_example_on_32_768_tokens(cli: Cli) -> None:
    assert cli("demo").code == 0
    job = cli.runner.jobs[0]
    assert (job.subject, job.llm, job.seed) == ("smollm2-135m", "embedded", 0)
    assert (job.corpus.corpus, job.corpus.n_tokens) == ("wiki", 32_768)
    units = {(label.unit.layer, label.unit.index) for label in open_example().labels()}
    live = [tuple(map(int, unit.split(":"))) for unit in job.units.split(",")]
    assert len(live) == 4
    assert units.issuperset(live)


def test_the_demo_first_shows_the_example_and_says_who_wrote_which(cli: Cli) -> None:
    out = " ".join(cli("demo").out.split())
    example, live = out.split("Now the same four live")
    assert "40 neurons of smollm2-135m, explained and judged by claude" in example
    assert "CC BY-SA" in example
    shown = re.search(r"`autointerp show (\d+):(\d+) --dir", example)
    assert shown is not None
    units = {(label.unit.layer, label.unit.index) for label in open_example().labels()}
    assert tuple(map(int, shown.groups())) in units
    assert "not to be trusted" in live


def test_the_demo_as_json_is_its_own_labels_only(cli: Cli) -> None:
    out = cli("demo", "--json").out
    assert "example" not in out
    json.loads(out)


def test_the_example_names_its_model_its_text_and_its_prompts() -> None:
    example = open_example()
    labels = list(example.labels())
    assert len(labels) == 40
    assert {label.provenance.corpus for label in labels} == {"wiki"}
    explained = [label.llm.explanation for label in labels if label.llm is not None]
    assert len(explained) >= 39
    assert {explanation.model for explanation in explained} == {"claude"}
    assert {explanation.explainer for explanation in explained} == {"senses"}
    assert sum(bool(label.receipts) for label in labels) >= 39
    assert example.verify() == ()


def test_the_demo_always_resumes(cli: Cli) -> None:
    cli("demo")
    assert cli.runner.calls[0] | {"settings": None, "budget": None} == {
        "out": Path("runs/demo"),
        "resume": True,
        "collected": None,
        "settings": None,
        "budget": None,
    }


def test_a_configured_endpoint_does_not_change_the_demo(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOINTERP_LLM_BASE_URL", "http://127.0.0.1:9/v1")
    cli("demo")
    assert cli.runner.jobs[0].llm == "embedded"


def test_the_demo_says_where_the_dictionary_is_and_shows_the_best_unit_next(cli: Cli) -> None:
    cli.runner.labels = (
        make_label(make_unit(1), score=0.1),
        make_label(make_unit(2), score=0.7),
        make_label(make_unit(3), status=LabelStatus.DEAD),
    )
    out = cli("demo").out
    assert "dictionary: runs/demo\n" in out
    assert "next: autointerp show 5:2 --dir runs/demo\n" in out


def test_the_demo_runs_in_the_folder_where_it_is_called(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert cli("demo", "--out", ".").code == 0
    assert (tmp_path / "here-pages" / "index.html").is_file()


def test_pages_that_cannot_be_written_are_refused_before_anything_is_labelled(
    cli: Cli, tmp_path: Path
) -> None:
    (tmp_path / "run-pages").mkdir()
    (tmp_path / "run-pages" / "mine.txt").write_text("x")
    (tmp_path / "other-pages").write_text("x")
    for out, said in (("run", "is not empty"), ("other", "is a file"), ("/", "name another --out")):
        ended = cli("demo", "--out", str(tmp_path / out))
        assert (ended.code, cli.runner.jobs) == (2, [])
        assert said in ended.err
