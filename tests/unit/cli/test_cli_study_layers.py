"""Labels by layer: the report of a dictionary, of rows with a planted trend, and bad input."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli
from tiny import tiny_gpt2, tiny_texts, tiny_tokenizer, write_texts

import autointerp as ai
from autointerp.core.errors import InputError
from autointerp.core.study_report import StudyReport, StudyValue
from autointerp.dictionary.rows import COLUMNS
from autointerp.wiring.layer_report import LayerRequest, layer_report
from autointerp.wiring.study_folder import FIGURES, PAGE

EXAMPLE = Path(ai.__file__).parent / "examples" / "smollm2-135m"
REQUEST = LayerRequest("runs/tiny", "tiny", {"dir": "runs/tiny"}, {"model": "tiny"}, 0)


def row(layer: int, index: int, score: float | None, **further: Any) -> dict[str, Any]:
    given = {
        "layer": layer,
        "index": index,
        "hook": f"blocks.{layer}.mlp.hook_post",
        "status": "ok" if score is not None else "no_signal",
        "score": score,
        "score_lookup": score,
        "density": 0.5,
        "scorer": "rules",
        "description": "rivers",
    }
    return dict.fromkeys(COLUMNS) | given | further


def planted(slope: float) -> list[dict[str, Any]]:
    """Four layers of 40 labels; those of layer 3 are suppressors."""
    rng = random.Random(0)
    kinds = {3: ["suppressor"]}
    strength = {"promoted_values": [1.0], "suppressed_values": [-9.0], "kurtosis": 3.0}
    return [
        row(n, i, slope * n + rng.gauss(0, 0.1), kinds=kinds.get(n), **strength)
        for n in range(4)
        for i in range(40)
    ]


def table(report: StudyReport, title: str) -> dict[str, tuple[Any, ...]]:
    return {str(row[0]): row[1:] for t in report.tables if t.title == title for row in t.rows}


def test_a_planted_trend_and_planted_kinds_are_told() -> None:
    report = layer_report(planted(0.1), REQUEST)
    assert "scores rise with depth" in report.paragraphs[0]
    assert report.paragraphs[1].startswith("Labels score highest in layer 3")
    assert "suppressor 25 % (most in layer 3: 100 %)" in report.paragraphs[2]
    trend = table(report, "Trends with depth")["score"][0]
    assert trend.low > 0.5
    scores = table(report, "Scores and states")
    assert [scores[str(n)][1].value for n in range(4)] == sorted(
        scores[str(n)][1].value for n in range(4)
    )
    n, suppressors, unknown = table(report, "Kinds")["3"]
    assert (n, suppressors.value, suppressors.high, unknown.value) == (40, 1.0, 1.0, 0.0)
    assert suppressors.low == pytest.approx(0.912, abs=1e-3)
    assert table(report, "The most pronounced of each kind")["suppressor"][1] == 8.0


def test_no_trend_is_told_where_there_is_none() -> None:
    report = layer_report(planted(0.0), REQUEST)
    assert "no trend beyond chance" in report.paragraphs[0]


def test_labels_without_scores_or_evidence_are_counted_and_not_taken_for_zero() -> None:
    rows = [row(0, i, 0.5) for i in range(9)] + [row(1, 0, None)]
    report = layer_report(rows, REQUEST)
    scores = table(report, "Scores and states")
    assert scores["1"][:3] == (1, 1, None)
    assert scores["all"][2] == StudyValue(0.5, 0.5, 0.5)
    assert "1 label without a score: not in medians of scores." in report.notes
    assert any(note.startswith("10 labels have no evidence") for note in report.notes)
    assert not table(report, "Kinds")


@pytest.mark.parametrize(
    ("rows", "found"),
    [([], "there is no label"), ([row(0, 0, None)], "none of 1 labels has a score")],
)
def test_labels_without_any_score_are_refused(rows: list[dict[str, Any]], found: str) -> None:
    with pytest.raises(InputError, match=f"runs/tiny cannot be compared by layer: {found}"):
        layer_report(rows, REQUEST)


def test_the_example_dictionary_is_studied_into_a_folder(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "study"
    words = ["study", "layers", "--dir", str(EXAMPLE), "--out", str(out)]
    ended = cli(*words, "--json")
    assert ended.code == 0
    printed = json.loads(ended.out)
    assert printed == json.loads((out / FIGURES).read_text())
    assert printed["kind"] == "layers"
    assert printed["provenance"]["model"] == "smollm2-135m"
    assert "Median score by layer" in (out / PAGE).read_text()
    again = cli(*words)
    assert again.code == 2
    assert "holds results of this study; add --resume" in again.err
    assert cli(*words, "--resume").code == 0


def test_units_of_every_layer_are_labelled_where_there_is_no_dictionary(
    cli: Cli, tmp_path: Path
) -> None:
    folder = tmp_path / "small"
    tiny_gpt2().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    texts = write_texts(tmp_path, tiny_texts(60, n_words=40))
    out = tmp_path / "study"
    words = ["study", "layers", str(folder), "--corpus", str(texts), "--tokens", "2500"]
    ended = cli(*words, "--out", str(out), "--json")
    assert ended.code == 0, ended.err
    report = json.loads(ended.out)
    scores = next(t for t in report["tables"] if t["title"] == "Scores and states")
    counts = {line[0]: line[1] for line in scores["rows"]}
    layers = sorted(counts.keys() - {"all"})
    assert len(layers) > 1
    assert [counts[layer] for layer in layers] == [15] * len(layers)
    other = cli(*words[:-1], "2000", "--out", str(out), "--resume")
    assert other.code == 2
    assert "holds another study: tokens is 2500 there and 2000 here" in other.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["smollm2-135m", "--dir", str(EXAMPLE)], "give one of the two"),
        (["--dir", "nowhere"], "manifest.json"),
        (["--units", "99:0"], "99"),
        (["--dir", str(EXAMPLE), "--out", "/proc/nothing"], "/proc/nothing"),
    ],
)
def test_bad_input_is_one_sentence(cli: Cli, words: list[str], said: str) -> None:
    ended = cli("study", "layers", *words)
    assert ended.code in {2, 3}
    assert said in ended.err
    assert "Traceback" not in ended.err
