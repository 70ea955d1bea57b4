"""``autointerp sanity`` on a tiny model: what it prints, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

import pytest
from command_line import Cli
from rich.console import Console
from tiny import tiny_llama, tiny_texts, tiny_tokenizer, write_texts

from autointerp.cli.rendering.recall_table import print_recall, recall_json
from autointerp.cli.rendering.sanity_table import print_report, report_json
from autointerp.core.files import MINILM
from autointerp.sanity.label_recall import LabelRecall
from autointerp.sanity.metric_checks import MetricCheck
from autointerp.sanity.nulls import NullRow, Separation
from autointerp.statistics.classification import share_score
from autointerp.wiring.sanity_runs import SanityReport


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("AUTOINTERP_CACHE_DIR", str(tmp_path / "cache"))
    tiny_llama().save_pretrained(tmp_path / "tiny")
    tiny_tokenizer().save_pretrained(tmp_path / "tiny")
    texts = write_texts(tmp_path, tiny_texts(60, n_words=60))
    size = ["--tokens", "2500", "--n-ctx", "16", "--random-weights-tokens", "2500"]
    return ["sanity", str(tmp_path / "tiny"), "--units", "0:0-3", "--corpus", str(texts), *size]


def found(**changes: object) -> SanityReport:
    checks: Mapping[str, tuple[MetricCheck, ...]] = {
        "best": (
            MetricCheck("population", "drawn", 300, 300, 0.41, 0.97, 0.99, 0.02),
            MetricCheck("recall", "drawn", 300, 300, 0.8, 0.98, 0.0, 0.02),
        )
    }
    values = {
        "units": "random:300",
        "n_tokens": 98_304,
        "n_heldout": 40,
        "n_units": 300,
        "n_dead": 1,
        "checks": checks,
        "nulls": (
            NullRow("rules", "own", "population", 300, 0, 0.4, 0.7, None),
            NullRow("rules", "shuffled label", "population", 290, 10, 0.01, 0.08, 0.98),
        ),
        "separations": (
            Separation("detection", "balanced_accuracy", 8, 8, 0.7, 0.5, 0.9, 0.7, 1.0),
        ),
        "seconds": {"read": 60.0},
    }
    return SanityReport(**values | changes)  # type: ignore[arg-type]


def printed(width: int) -> str:
    text = StringIO()
    print_report(found(), Console(file=text, width=width))
    return text.getvalue()


def test_a_tiny_model_is_checked_from_end_to_end(call: list[str], cli: Cli) -> None:
    ended = cli(*call, "--whole", "--json")
    result = json.loads(ended.out)
    assert ended.code == (0 if result["passed"] else 1)
    assert result["n_units"] + result["n_dead"] == 4
    assert {row["windows"] for row in result["metrics"]} == {"drawn", "all"}
    assert {row["explained_by"] for row in result["nulls"]} >= {"own", "random weights"}
    assert result["separations"] == []


def test_an_endpoint_is_asked_by_every_scorer_that_is_named(call: list[str], cli: Cli) -> None:
    ended = cli(*call, "--llm", "http://127.0.0.1:9/v1", "--llm-model", "m", "--scorer", "fuzzing")
    assert ended.code == 3
    assert "127.0.0.1:9" in ended.err


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--share", "0.7"), "--share must be best or a share of all tokens above 0"),
        (("--scorer", "tarot"), "unknown scorer 'tarot'; sanity checks"),
        (("--scorer", "detection"), "scorer detection asks an LLM, and llm is none"),
        (("--units", "9:0"), "9"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    call: list[str], cli: Cli, option: tuple[str, str], said: str
) -> None:
    ended = cli(*call, *option)
    assert ended.code == 2
    assert said in " ".join(ended.err.split())


def test_a_wide_terminal_sees_the_published_figures_beside_ours() -> None:
    text = printed(110)
    row = next(line for line in text.splitlines() if line.startswith("population"))
    assert row.split() == ["population", "300", "0.41", "97%", "99%", "99%", "100%", "yes"]
    assert "shuffled label" in text
    assert "0.90 [0.70, 1.00]" in text


@pytest.mark.parametrize("width", [40, 60, 110])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(len(line) for line in printed(width).splitlines()) <= width


def test_a_headline_that_does_not_fall_fails_the_gate() -> None:
    blind = MetricCheck("population", "drawn", 300, 300, 0.4, 0.99, 0.5, 0.02)
    assert found().passed
    assert not found(checks={"best": (blind,)}).passed
    assert report_json(found(checks={"best": (blind,)}))["passed"] is False


def test_labels_of_a_run_are_asked_whether_they_tell_units_apart(
    cli: Cli, a_run: Path, a_dictionary: Path
) -> None:
    for folder in (a_run, a_dictionary):
        ended = cli("sanity", "--labels", str(folder), "--json")
        if MINILM.find() is None:
            assert (ended.code, MINILM.install_command in ended.err) == (2, True)
            continue
        assert ended.code == 0
        [row] = json.loads(ended.out)
        assert (row["n"], row["n_left_out"]) == (1, 1)
        assert "needs more than 1 labelled units" in row["recall"][0]["reason"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--labels", "nowhere"), "nowhere is not a folder"),
        (("--labels", ".", "--llm", "embedded"), "takes no --llm; leave it out"),
        (("--labels", ".", "--seed", "0"), "takes no --seed; leave it out"),
    ],
)
def test_stored_labels_that_cannot_be_asked_are_refused(
    cli: Cli, options: tuple[str, ...], said: str
) -> None:
    ended = cli("sanity", *options)
    assert ended.code == 2
    assert said in " ".join(ended.err.split())


def test_recall_stands_beside_the_median_score_with_intervals_and_chance() -> None:
    first = share_score("recall_at_1", 11, 40, confidence=0.95)
    second = share_score("recall_at_5", 19, 40, confidence=0.95)
    rows = [LabelRecall("label", 0.22, (first, second), 2)]
    text = StringIO()
    print_recall(rows, Console(file=text, width=100))
    lines = [" ".join(line.split()) for line in text.getvalue().splitlines()]
    assert "label 40 0.22 0.28 [0.16, 0.43] 0.03 0.47 [0.33, 0.63] 0.12" in lines
    assert "left out, without a label or held-out activity: 2" in lines
    assert recall_json(rows)[0]["recall"][1]["chance"] == 0.125  # type: ignore[index]
