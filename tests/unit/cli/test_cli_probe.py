"""``autointerp probe``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Cli
from planted import planted_subject, planted_texts
from tiny import tiny_gpt2, tiny_texts, tiny_tokenizer, write_texts

import autointerp as ai
from autointerp.core.errors import InputError
from autointerp.wiring.probe_runs import units_of_layers


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "small"
    tiny_gpt2().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = [text for text in tiny_texts(60, n_words=40) if "river" in text]
    path = tmp_path_factory.mktemp("data") / "river.jsonl"
    starts = [text.index("river") for text in texts]
    rows = [{"text": text, "spans": [[at, at + 5]]} for text, at in zip(texts, starts, strict=True)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_probes_of_each_size_are_fitted_on_a_dataset(cli: Cli, model: Path, dataset: Path) -> None:
    words = ("probe", str(model), "--dataset", str(dataset), "--layers", "all", "--n-ctx", "16")
    ended = cli(*words, "--k", "1,2,8", "--json")
    assert ended.code == 0, ended.err
    report = json.loads(ended.out)
    lines = report["probes"]["lines"]
    assert [line["k"] for line in lines] == [8, 2, 1]
    assert [line["certified"] for line in lines] == [None, True, True]
    assert [len(line["units"]) for line in lines] == [8, 2, 1]
    assert report["n_units"] == 128
    assert {one["name"] for one in report["probes"]["baselines"]} == {
        "random units",
        "units, same search",
        "rotated basis",
        "shuffled labels",
    }
    printed = cli(*words, "--k", "2,1")
    assert printed.code == 0, printed.err
    assert "Probed for" in printed.out
    assert "Verdict:" in printed.out


@pytest.mark.parametrize("ks", [(2, 1), (4,)])
def test_a_planted_neuron_is_the_one_unit_that_carries_its_feature(
    tmp_path: Path, ks: tuple[int, ...]
) -> None:
    """Whether or not its own size was asked for."""
    folder = write_texts(tmp_path, planted_texts(60, n_words=60))
    report = ai.probe(
        planted_subject(),
        regex="(?<=Rhine )bank|(?<=Nile )bank",
        corpus=str(folder),
        tokens=3000,
        n_ctx=32,
        ks=ks,
    )
    verdict = report.probes.verdict
    assert (verdict.carrier, [unit.index for unit in verdict.units]) == ("one unit", [1])
    assert verdict.best_mcc > 0.9 > verdict.chance_mcc
    assert [line.k for line in report.probes.lines] == [max(ks), 1]
    one = report.probes.lines[-1]
    assert one.loss is not None
    assert one.bound == pytest.approx(one.loss, abs=2e-6)
    assert one.n_searched == report.probes.n_candidates


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((), "what is looked for?"),
        (("--dataset", "none.jsonl"), "does not exist"),
        (("--feature", "years", "--k", "0"), "no k was given"),
        (("--feature", "years", "--k", "2000"), "k = 2000 units, but there are 1024"),
        (("--feature", "years", "--layers", "last"), "layers 'last' are not all, or numbers"),
        (("--feature", "years", "--layers", "5-3"), "layers '5-3' are not all, or numbers"),
        (("--feature", "years", "--layers", "7"), "has layers 0 to 1"),
    ],
)
def test_what_cannot_be_probed_for_is_a_sentence(
    cli: Cli, model: Path, more: tuple[str, ...], message: str
) -> None:
    ended = cli("probe", str(model), *more)
    assert ended.code == 2
    assert message in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (['{"text": "a river", "label": 1}'] * 3, "3 texts, and at least 12"),
        ([json.dumps({"text": f"a river {n}", "label": 1}) for n in range(20)], "negative"),
    ],
)
def test_a_dataset_that_is_too_small_or_of_one_class_is_a_sentence(
    cli: Cli, model: Path, tmp_path: Path, rows: list[str], message: str
) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join(rows) + "\n")
    ended = cli("probe", str(model), "--dataset", str(path))
    assert ended.code == 2
    assert message in ended.err
    assert "Traceback" not in ended.err


def test_layers_are_written_as_numbers_and_ranges() -> None:
    assert units_of_layers(" all ") == "all"
    assert units_of_layers("3,5-7, 3") == "layer:3,layer:5,layer:6,layer:7"
    with pytest.raises(InputError):
        units_of_layers("")
