"""Labels over seeds: planted runs, a real study that is continued, and bad input."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli
from tiny import tiny_gpt2, tiny_texts, tiny_tokenizer, write_texts

from autointerp.core.errors import InputError
from autointerp.core.study_report import StudyReport
from autointerp.dictionary.rows import COLUMNS
from autointerp.subjects import load_subject
from autointerp.wiring.seed_report import Rows, SeedRequest, seed_report
from autointerp.wiring.seed_runs import RunKey, SeedGrid, fixed_units

GRID = SeedGrid.of(["wiki", "python"], [0, 1], None)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "small"
    tiny_gpt2().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_texts(tmp_path_factory.mktemp("texts"), tiny_texts(60, n_words=40))


def planted(*, noise: float, missing: frozenset[int] = frozenset()) -> dict[RunKey, Rows]:
    """Thirty units whose labels are of their own and whose scores vary by so much."""
    rng = random.Random(0)
    true = [rng.random() for _ in range(30)]

    def row(index: int) -> dict[str, Any]:
        score = None if index in missing else true[index] + rng.gauss(0, noise)
        return dict.fromkeys(COLUMNS) | {
            "layer": 0,
            "index": index,
            "hook": "blocks.0.mlp.hook_post",
            "polarity": "positive",
            "description": f"word{index} and {rng.choice('abc')}",
            "score": score,
            "kinds": ["context"] if index < 3 else None,
        }

    return {key: {f"tiny/{i}": row(i) for i in range(30)} for key in GRID.keys}


def report(runs: dict[RunKey, Rows]) -> StudyReport:
    return seed_report(runs, SeedRequest("tiny", GRID, {}, {"model": "tiny"}, 0))


def table(found: StudyReport, title: str) -> dict[str, tuple[Any, ...]]:
    return {str(row[0]): row[1:] for t in found.tables if t.title == title for row in t.rows}


def test_planted_noise_is_told_as_the_difference_that_means_nothing() -> None:
    found = report(planted(noise=0.05))
    (least,) = table(found, "How much of a score is the unit's")[
        "least telling difference, other seeds alone"
    ]
    assert least.low < 1.96 * 2**0.5 * 0.05 < least.high
    assert "A difference of scores under 0.1" in found.paragraphs[0]
    assert "between two units of one run means nothing" in found.paragraphs[0]
    shares = table(found, "Where the variance of scores comes from")
    assert shares["unit"][0] > 0.8


def test_seeds_that_change_no_score_are_told_so() -> None:
    found = report(planted(noise=0.0))
    assert found.paragraphs[0].startswith("Another seed changes no score here")
    assert table(found, "Where the variance of scores comes from")["unit x seed"][0] == 0.0


def test_labels_are_compared_with_those_of_other_units() -> None:
    agreed = table(report(planted(noise=0.05)), "How far two runs agree")
    assert set(agreed) == {"seed", "corpus", "corpus and seed"}
    n_pairs, _, words, chance, kinds, _, ranks, _ = agreed["seed"]
    assert n_pairs == 2
    assert words.low > chance
    assert kinds.value == 1.0
    assert ranks.value > 0.9


def test_units_without_a_score_in_a_run_are_left_out_and_counted() -> None:
    found = report(planted(noise=0.05, missing=frozenset(range(5))))
    assert "variances and ranks are of the 25 that have a score in every run" in found.notes[0]


def test_units_that_no_run_could_score_are_refused() -> None:
    with pytest.raises(InputError, match="0 of 30 units have a score in each of the 4 runs"):
        report(planted(noise=0.05, missing=frozenset(range(30))))


def test_a_random_choice_names_the_same_units_in_every_run(model: Path) -> None:
    subject = load_subject(str(model))
    spelled = fixed_units("random:6", subject, seed=3)
    assert spelled == fixed_units("random:6", subject, seed=3)
    assert spelled.count(",") == 5
    assert fixed_units("0:1-4", subject, seed=3) == "0:1-4"


def test_a_study_goes_on_where_it_stopped(
    cli: Cli, model: Path, texts: Path, tmp_path: Path
) -> None:
    out = tmp_path / "study"
    words = ["study", "seeds", str(model), "--units", "random:8", "--corpora", str(texts)]
    words += ["--tokens", "2000", "--seeds", "0,1", "--out", str(out), "--json"]
    whole = cli(*words)
    assert whole.code == 0, whole.err
    runs = sorted(path.name for path in (out / "runs").iterdir())
    assert [name[-6:] for name in runs] == ["seed-0", "seed-1"]
    made = [json.loads((out / "runs" / one / "manifest.json").read_text()) for one in runs]
    assert made[0]["job"]["units"].count(",") == 7
    assert made[0]["job"]["units"] == made[1]["job"]["units"]
    assert [one["seeds"] for one in made] == [{"run": n, "corpus": n, "collect": n} for n in (0, 1)]
    assert made[0]["split_hash"] != made[1]["split_hash"]
    for left in ("study.json", "report.html", f"runs/{runs[1]}/manifest.json"):
        (out / left).unlink()
    refused = cli(*words)
    assert refused.code == 2
    assert "add --resume" in refused.err
    again = cli(*words, "--resume")
    assert again.code == 0, again.err
    assert json.loads(again.out)["tables"] == json.loads(whole.out)["tables"]
    other = cli(*words, "--resume", "--seed", "5")
    assert "another study: seed is 0 there and 5 here" in other.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seeds", "a,b"], "--seeds 'a,b' is not whole numbers"),
        (["--seeds", "0"], "shows in two runs at least; found seeds: 0"),
        (["--seeds", "0,0"], "--seeds names '0' twice"),
        (["--seeds=-1,0"], "a seed is a whole number from 0 on, found -1"),
        (["--corpora", ","], "--corpora names no text"),
        (["--corpora", "wiki,nowhere"], "nowhere"),
        (["--explainers", "mystery"], "mystery"),
        (["--units", "99:0"], "99"),
    ],
)
def test_bad_input_is_one_sentence(cli: Cli, words: list[str], said: str) -> None:
    ended = cli("study", "seeds", *words)
    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.err
