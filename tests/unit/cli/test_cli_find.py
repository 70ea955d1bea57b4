"""``autointerp find``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli
from planted import planted_subject, planted_texts
from rich.console import Console
from tiny import tiny_gpt2, tiny_subject, tiny_texts, tiny_tokenizer, write_texts

import autointerp as ai
from autointerp.cli.rendering.find_table import print_found
from autointerp.core.errors import InputError
from autointerp.core.feature_probes import (
    BaselineLine,
    FeatureProbes,
    FeatureVerdict,
    ProbeLine,
)
from autointerp.core.feature_search import ClassCounts, FeatureUnit, FindReport, FoundLayer
from autointerp.core.ids import Side, UnitId
from autointerp.core.scores import Score


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "small"
    tiny_gpt2().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_texts(tmp_path_factory.mktemp("texts"), tiny_texts(60, n_words=40))


def test_units_that_tell_a_word_are_found(cli: Cli, model: Path, texts: Path) -> None:
    ended = cli(
        *("find", str(model), "--regex", "river|stones", "--corpus", str(texts)),
        *("--tokens", "2000", "--n-ctx", "16", "--limit", "5", "--json", "--k", "0"),
    )
    assert ended.code == 0, ended.err
    report = json.loads(ended.out)
    assert len(report["units"]) == 5
    assert report["n_units"] == 128
    assert {layer["hook"] for layer in report["layers"]} == {
        f"blocks.{layer}.mlp.hook_post" for layer in range(2)
    }
    best = report["units"][0]
    counts = report["tested"]
    chance = counts["n_positive"] / (counts["n_positive"] + counts["n_negative"])
    assert best["tested"] > 1.5 * chance > 0
    values = [one["average_precision"] for one in report["units"]]
    assert values == sorted(values, reverse=True)


def test_a_planted_neuron_is_the_best_one_for_its_rule(tmp_path: Path) -> None:
    folder = write_texts(tmp_path, planted_texts(60, n_words=60))
    given: dict[str, Any] = {"corpus": str(folder), "tokens": 3000, "n_ctx": 32}
    rule = "(?<=Rhine )bank|(?<=Nile )bank"
    report = ai.find(planted_subject(), regex=rule, ks=(2, 1), **given)
    best = report.units[0]
    assert (best.unit.index, best.side) == (1, Side.POSITIVE)
    # Where the river is in the window before, the neuron does not see it.
    assert min(best.tested or 0, best.average_precision) > 0.95
    assert report.tested.n_hard > 8
    assert report.probes is not None
    assert report.probes.verdict.carrier == "one unit"
    assert [unit.index for unit in report.probes.verdict.units] == [1]
    assert [(line.k, line.certified) for line in report.probes.lines] == [(2, True), (1, True)]
    # Months are where neuron 0 is higher than at rivers.
    both = ai.find(planted_subject(), regex="May|June|July", ks=(), **given)
    assert both.probes is None
    assert (both.units[0].unit.index, both.units[0].tested) == (0, pytest.approx(1.0))


def test_a_dataset_and_two_files_are_looked_in(model: Path, tmp_path: Path) -> None:
    rows = [
        {"text": text, "spans": [[text.index("river"), text.index("river") + 5]]}
        for text in tiny_texts(60, n_words=40)
        if "river" in text
    ]
    dataset = tmp_path / "spans.jsonl"
    dataset.write_text("".join(json.dumps(row) + "\n" for row in rows))
    subject = ai.load_subject(str(model))
    by_span = ai.find(subject, dataset=dataset, n_ctx=16, n=3, ks=())
    assert by_span.corpus == "spans.jsonl"
    assert by_span.ranked.n_positive + by_span.tested.n_positive == len(rows)
    positive, negative = tmp_path / "p.txt", tmp_path / "n.txt"
    positive.write_text("".join(f"the river runs {n}\n" for n in range(60)))
    negative.write_text("".join(f"old stones sleep {n}\n" for n in range(60)))
    by_text = ai.find(
        subject, positive=positive, negative=negative, units="layer:1", n_ctx=16, ks=()
    )
    assert len(by_text.units) == 20
    assert by_text.n_units == 64


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((), "what is looked for? Give one of --feature, --regex"),
        (("--feature", "years", "--regex", "a"), "found --feature and --regex"),
        (("--feature", "yeers"), "did you mean years"),
        (("--regex", "("), "is not a regular expression"),
        (("--positive", "p.txt"), "add --negative FILE"),
        (("--dataset", "none.jsonl"), "does not exist"),
        (("--feature", "years", "--rank-by", "chance"), "units are not ranked by chance"),
        (("--feature", "years", "--corpus", "none.txt"), "does not exist"),
        (("--feature", "years", "--k", "2,1025"), "there are 1024: give a k from 1 to 1024"),
        (("--feature", "years", "--k", "few"), "--k 'few' is not numbers of units"),
        (("--feature", "years", "--units", "layer:7"), "has layers 0 to 1"),
    ],
)
def test_what_cannot_be_looked_for_is_refused_before_the_model_is_loaded(
    cli: Cli, model: Path, more: tuple[str, ...], message: str
) -> None:
    ended = cli("find", str(model), *more)
    assert ended.code == 2
    assert message in ended.err
    assert "loading " not in ended.err.replace("loading the libraries", "")
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("zzz", "is carried by not one of"), (r"(?s).", "is carried by every of")],
)
def test_a_match_of_nothing_or_of_everything_is_a_sentence(
    cli: Cli, model: Path, texts: Path, pattern: str, message: str
) -> None:
    words = ("find", str(model), "--regex", pattern, "--corpus", str(texts))
    ended = cli(*words, "--tokens", "2000", "--n-ctx", "16")
    assert ended.code == 2
    assert message in ended.err


def test_more_units_than_there_are_in_a_probe_are_a_sentence(cli: Cli, model: Path) -> None:
    ended = cli("find", str(model), "--feature", "years", "--units", "layer:0", "--k", "65")
    assert ended.code == 2
    assert "asked for a probe on k = 65 units, but there are 64" in ended.err


def test_sizes_that_were_not_asked_for_are_those_that_three_layers_allow(
    tmp_path: Path, texts: Path
) -> None:
    subject = tiny_subject(tiny_gpt2(n_layers=5))
    units = ",".join(f"{layer}:0-7" for layer in range(5))
    given: dict[str, Any] = {"corpus": str(texts), "tokens": 2000, "n_ctx": 16, "units": units}
    report = ai.find(subject, regex="river|stones", exact_s=1.0, **given)
    assert report.n_units == 40
    assert report.probes is not None
    assert (report.probes.n_candidates, report.probes.lines[0].k) == (24, 16)
    with pytest.raises(InputError, match="k = 32 units, but there are 24"):
        ai.find(subject, regex="river|stones", ks=(32,), **given)


def test_a_size_that_the_best_layers_lack_is_left_out_with_a_note(texts: Path) -> None:
    subject = tiny_subject(tiny_gpt2(n_layers=5))
    # Whichever four are left out, the three largest hook points may not be the best.
    units = "0:0-3,1:0-3,2:0-3,3:0-3,4:0-31"
    report = ai.find(
        subject,
        regex="river|stones",
        ks=(40, 2),
        corpus=str(texts),
        tokens=2000,
        n_ctx=16,
        units=units,
    )
    assert report.probes is not None
    ks = [line.k for line in report.probes.lines]
    fits = report.probes.n_candidates == 40
    assert ks == ([40, 2, 1] if fits else [2, 1])
    assert fits != any("no probe of 40 units" in note for note in report.notes)


def test_a_dataset_brings_its_own_text(cli: Cli, model: Path) -> None:
    ended = cli("find", str(model), "--dataset", "a.jsonl", "--corpus", "wiki")
    assert ended.code == 2
    assert "brings its own text" in ended.err


def _probes(carrier: str = "one unit") -> FeatureProbes:
    unit = UnitId("one", "blocks.3.mlp.hook_post", 7)
    score = Score("mcc", 0.9, 0.8, 0.95, 500, None)
    undefined = Score.undefined("precision", "no held-out example is taken", n_windows=500)
    scores = (score, undefined, score, score, score)
    searched = (False, 0.31, 0.3, 0.01, 50, 1225)
    line = ProbeLine(2, (unit, unit), (1.0, 0.5), *scores, *searched)
    one = ProbeLine(1, (unit,), (1.0,), *(score,) * 5, True, 0.4, 0.4, 0.0, 1024, 1024)
    many = ProbeLine(16, (unit,) * 16, (1.0,) * 16, *(score,) * 5, *(None,) * 6)
    verdict = FeatureVerdict(
        carrier, "coarser", (unit,), 0.9, 0.2, "one unit reaches a correlation of 0.90"
    )
    return FeatureProbes(
        hooks=tuple(f"blocks.{layer}.mlp.hook_post" for layer in range(3)),
        n_candidates=1024,
        n_train=4000,
        n_test=3000,
        lines=(many, line, one),
        dense_mcc=score,
        baselines=(BaselineLine("shuffled labels", 1, 0.05, 0.21),),
        verdict=verdict,
    )


def _report(n_layers: int = 2) -> FindReport:
    def unit(layer: int, index: int, side: Side, label: str | None) -> FeatureUnit:
        name = UnitId("one", f"blocks.{layer}.mlp.hook_post", index)
        return FeatureUnit(name, side, -0.5, None, 0.75, 0.02, 0.61, label)

    counts = ClassCounts(n_positive=100, n_negative=900, n_hard=80, n_documents=30)
    units = (unit(3, 7, Side.POSITIVE, "years" * 40), unit(1, 5, Side.NEGATIVE, None))
    layers = tuple(
        FoundLayer(f"blocks.{layer}.mlp.hook_post", 64, units[0].unit, 0.75)
        for layer in range(n_layers)
    )
    return FindReport(
        subject="one",
        feature="years",
        marks="the last token of a year",
        hard="the last token of another number",
        corpus="wiki",
        measure="average_precision",
        n_units=128,
        ranked=counts,
        tested=counts,
        units=units,
        layers=layers,
        probes=_probes(),
    )


@pytest.mark.parametrize("width", [60, 80, 160])
def test_lines_fit_and_say_what_was_found(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    print_found(_report(), Console(width=width, highlight=False, no_color=True))
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= width for line in lines)
    text = " ".join(" ".join(lines).split())
    assert "Of 128 units of one, 3:7 tells it best by average precision" in text
    assert "0.61 on documents held out, where chance is 0.10" in text
    rows = [line.split()[:4] for line in lines if line.startswith(("3:7 ", "1:5 "))]
    assert rows == [["3:7", "+", "0.61", "0.75"], ["1:5", "-", "0.61", "0.75"]]
    assert ("mean diff." in text) == (width == 160)
    assert "Verdict: one unit (3:7)" in text
    assert "it is coarser than the feature" in text
    assert "shuffled labels 0.05 (0.21)" in text
    assert ("50: within 0.0100 nats" in text) == (width == 160)
    assert "k = 2 is not certified: the loss found is 0.3100 nats, none is below 0.3000" in text
    assert "a gap of 0.0100" in text
    assert "k = 1 certified: no others of 1,024 candidates fit the training text better" in text
    assert "random units are of the 1,024 candidates" in text
