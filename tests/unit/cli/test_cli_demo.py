from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Cli
from factories import make_label, make_unit

from autointerp.core.explanations import LabelStatus


def test_the_demo_labels_twelve_neurons_of_four_layers_on_32_768_tokens(cli: Cli) -> None:
    assert cli("demo").code == 0
    job = cli.runner.jobs[0]
    assert (job.subject, job.llm, job.seed) == ("smollm2-135m", "embedded", 0)
    assert job.units == "random:12@0,10,20,29"
    assert (job.corpus.corpus, job.corpus.n_tokens) == ("wiki", 32_768)


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
