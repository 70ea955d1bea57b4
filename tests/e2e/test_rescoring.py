"""Labels on text that they were not learned on: planted units whose pattern there is known."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from fake_endpoint import FakeEndpoint
from labelling import Labelling
from noted_progress import NotedProgress
from planted import MONTHS, OTHERS, RIVERS, planted_texts, write_planted
from sae_folders import write_sae
from tiny import tiny_texts, write_texts

import autointerp as ai
from autointerp.cli import run
from autointerp.core.errors import InputError
from autointerp.dictionary.rescored_files import LINES, RescoreFolder
from autointerp.dictionary.rescored_labels import OUT_OF_BUDGET, Outcome

MONTH_UNIT, DEAD_UNIT, NOISE_UNIT = 0, 3, 4
N_TEXTS, N_TOKENS = 80, 13_000


def texts(shares: Mapping[str, float], *, first: int = 0) -> list[str]:
    """Documents in which each of these words stands for so large a share of all words."""
    rng = random.Random(first)
    found = []
    for number in range(first, first + N_TEXTS):
        others = 1 - sum(shares.values())
        weights = [*shares.values(), *(others / len(OTHERS) for _ in OTHERS)]
        words = rng.choices([*shares, *OTHERS], weights, k=200)
        found.append(" ".join([f"{number}", *words]))
    return found


def months(share: float) -> dict[str, float]:
    return dict.fromkeys(MONTHS, share / len(MONTHS))


def rivers(share: float) -> dict[str, float]:
    return dict.fromkeys(RIVERS, share / len(RIVERS))


OTHER_TEXTS = {
    "same": months(0.1),
    "rivers": months(0.01) | rivers(0.12),
    "rivers_alone": rivers(0.12),
    "neither": {},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A planted model, a dictionary learned on text with months alone, and other texts."""
    folder = tmp_path_factory.mktemp("rescoring")
    model = write_planted(folder / "planted")
    own = write_texts(_made(folder / "own"), texts(months(0.1)))
    for number, (name, shares) in enumerate(OTHER_TEXTS.items(), 1):
        write_texts(_made(folder / name), texts(shares, first=1_000 * number))
    options = ["--units", "0:0-4", "--corpus", str(own), "--tokens", str(N_TOKENS)]
    options += ["--n-ctx", "32", "--llm", "none", "--out", str(folder / "run")]
    assert run(["label", str(model), *options]) == 0
    return folder


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def text_of(place: Path, name: str) -> str:
    return str(next((place / name).iterdir()))


def rescored(place: Path, name: str, **options: Any) -> dict[int, ai.RescoredLabel]:
    report = ai.rescore(place / "run", text_of(place, name), **options)
    return {label.unit.index: label for label in report.labels}


def cli(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["rescore", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, " ".join(captured.err.split())


def test_a_unit_with_another_pattern_there_is_flagged_and_one_with_the_same_is_not(
    place: Path,
) -> None:
    found = rescored(place, "rivers")
    months_there, noise = found[MONTH_UNIT], found[NOISE_UNIT]
    assert months_there.own.value > 0.95
    assert months_there.other.value < 0.6
    assert months_there.difference.high < -0.3
    assert months_there.outcome is Outcome.LOWER
    # Tokens of that text predict it, as it follows rivers there.
    assert months_there.table.value > 0.95
    assert months_there.has_other_pattern
    assert noise.outcome in {Outcome.SAME, Outcome.HIGHER}


def test_on_text_of_the_same_kind_nothing_is_flagged(place: Path) -> None:
    found = rescored(place, "same")
    outcomes = {label.outcome for label in found.values()}
    assert outcomes <= {Outcome.SAME, Outcome.UNTESTED}
    assert found[MONTH_UNIT].outcome is Outcome.SAME
    assert abs(found[MONTH_UNIT].difference.value) < 0.05


def test_a_unit_that_is_silent_there_has_no_score_of_0(place: Path) -> None:
    label = rescored(place, "neither")[MONTH_UNIT]
    assert label.outcome is Outcome.SILENT
    assert (label.other, label.difference, label.q) == (None, None, None)
    assert "it is active nowhere in 1" in label.reason


def test_a_label_whose_pattern_does_not_occur_there_has_no_score_of_0(place: Path) -> None:
    label = rescored(place, "rivers_alone")[MONTH_UNIT]
    assert label.outcome is Outcome.ABSENT
    assert label.other.value is None
    assert label.reason == "every predicted value is the same"
    assert label.other_peak == pytest.approx(0.55, abs=0.05)


def test_a_label_without_a_score_of_its_own_says_so(place: Path) -> None:
    label = rescored(place, "same")[DEAD_UNIT]
    assert label.outcome is Outcome.UNTESTED
    assert label.reason.startswith("it has no score on its own text: it never activates")


def test_the_score_there_is_what_a_label_from_there_would_estimate_with_the_same_windows(
    place: Path, tmp_path: Path
) -> None:
    """The same draw of windows, bands and weights: two labels of one text, of one estimand."""
    model, corpus = str(place / "planted"), text_of(place, "rivers")
    options = ["--units", "0:0", "--corpus", corpus, "--tokens", str(N_TOKENS)]
    options += ["--n-ctx", "32", "--llm", "none", "--out", str(tmp_path / "there")]
    assert run(["label", model, *options]) == 0
    [there] = ai.open_dictionary(tmp_path / "there").labels()
    found = rescored(place, "rivers", units="0:0")[MONTH_UNIT]
    table = there.score("lookup")
    assert found.table.value == pytest.approx(table.value)
    assert found.other.n_windows == table.n_windows


def test_labels_are_named_or_drawn_and_the_draw_repeats(place: Path) -> None:
    assert set(rescored(place, "same", units="0:0,0:4")) == {MONTH_UNIT, NOISE_UNIT}
    drawn = [set(rescored(place, "same", limit=2, seed=seed)) for seed in (1, 1)]
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 2


def test_the_command_prints_a_sentence_layers_and_what_to_distrust(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for width in ("80", "160"):
        monkeypatch.setenv("COLUMNS", width)
        code, out, _ = cli(capsys, str(place / "run"), "--corpus", text_of(place, "rivers"))
        assert code == 0
        folded = " ".join(out.split())
        assert "say clearly less about their unit on" in folded
        assert "to distrust there, greatest loss first" in folded
        assert MONTHS[0] in out
        assert max(map(len, out.splitlines())) <= int(width)


def test_json_has_every_label_with_both_scores_interval_and_q(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = cli(capsys, str(place / "run"), "--corpus", text_of(place, "rivers"), "--json")
    assert code == 0
    report = json.loads(out)
    assert report["distrusted"][0].endswith("/0 positive")
    [layer] = report["layers"]
    assert (layer["layer"], layer["n_lower"]) == (0, report["n_lower"])
    label = next(x for x in report["labels"] if x["unit"].endswith("/0"))
    assert label["outcome"] == "lower"
    assert label["difference"]["low"] < label["difference"]["high"] < 0
    assert label["q"] <= report["rate"] == 0.05
    assert sum(report[f"n_{outcome}"] for outcome in Outcome) == report["n_labels"] == 5


def test_results_are_kept_and_an_interrupted_run_goes_on(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    whole = rescored(place, "rivers", out=out)
    assert sorted(p.name for p in out.iterdir() if p.name[0] != ".") == [
        "labels.jsonl",
        "report.json",
        "rescore.json",
        "windows.sqlite",
    ]
    lines = (out / LINES).read_bytes().splitlines(keepends=True)
    # As a run leaves it that dies while it writes its third line.
    (out / LINES).write_bytes(b"".join(lines[:2]) + lines[2][:40])
    with pytest.raises(InputError, match="holds 2 rescored labels; add --resume"):
        rescored(place, "rivers", out=out)
    assert rescored(place, "rivers", out=out, resume=True) == whole
    assert len(RescoreFolder(out).read()) == len(whole)
    with pytest.raises(InputError, match="holds other results: corpus is "):
        rescored(place, "same", out=out, resume=True)


def test_what_is_finished_is_reported_again_without_the_model(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    whole = rescored(place, "rivers", out=out)
    moved = place / "planted"
    hidden = moved.rename(place / "hidden")
    try:
        assert rescored(place, "rivers", out=out, resume=True) == whole
    finally:
        hidden.rename(moved)


def same_text_elsewhere(place: Path) -> Sequence[str]:
    """Another folder with the same documents."""
    copy = shutil.copytree(text_of(place, "own"), place / "copied", dirs_exist_ok=True)
    return ("--corpus", str(copy))


def test_the_text_that_labels_were_learned_on_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = text_of(place, "own")
    code, _, err = cli(capsys, str(place / "run"), "--corpus", own)
    assert code == 2
    assert f"were learned on {own}: name another --corpus" in err
    code, _, err = cli(capsys, str(place / "run"), *same_text_elsewhere(place))
    assert code == 2
    assert "is the text on which the labels of" in err


def test_text_of_which_a_part_was_read_for_the_labels_is_told(place: Path, tmp_path: Path) -> None:
    mixed = texts(months(0.1))[:20] + texts(months(0.1), first=9_000)
    path = write_texts(tmp_path, mixed)
    report = ai.rescore(place / "run", str(path), units="0:0")
    [note] = report.notes
    assert "windows to score on are of documents that were read for the labels too" in note


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--units", "random:3"], "--limit draws from the labels"),
        (["--units", "7:0-3"], "has no label of 7:0-3; it has 5 labels"),
        (["--units", "sae:/x:0-3"], "name latents as their labels do"),
        (["--units", "0:3"], "none of 1 labels"),
        (["--corpus", "no_such"], "no_such"),
        (["--tokens", "100000000"], "asked for 100000000 tokens"),
        (["--tokens", "0"], "n_tokens"),
        (["--limit", "0"], "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(
    place: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    given = ["--corpus", text_of(place, "same"), *options]
    code, _, err = cli(capsys, str(place / "run"), *given)
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_a_model_with_another_tokenizer_or_other_weights_is_refused(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("tokenizer", "other:0123"), ("subject_revision", "0123")):
        copy = shutil.copytree(place / "run", tmp_path / name)
        manifest = json.loads((copy / "manifest.json").read_text())
        (copy / "manifest.json").write_text(json.dumps(manifest | {name: value}))
        code, _, err = cli(capsys, str(copy), "--corpus", text_of(place, "same"))
        assert code == 2
        assert f"{value}, but the model here has the " in err


def test_a_place_without_a_dictionary_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = cli(capsys, str(tmp_path))
    assert code == 2
    assert str(tmp_path) in err


def test_latents_are_found_in_the_folder_to_which_their_sae_moved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model_folder: Path
) -> None:
    folder = write_sae(tmp_path / "my_sae")
    own, other = (
        str(write_texts(_made(tmp_path / name), planted_texts(N_TEXTS, seed=seed)))
        for name, seed in (("own", 1), ("other", 2))
    )
    options = ["--units", f"sae:{folder}:0-5", "--corpus", own, "--tokens", "6000"]
    options += ["--n-ctx", "16", "--llm", "none", "--out", str(tmp_path / "run")]
    assert run(["label", str(model_folder), *options]) == 0
    moved = folder.rename(tmp_path / "elsewhere")
    given = [str(tmp_path / "run"), "--corpus", other]
    code, _, err = cli(capsys, *given)
    assert code == 2
    assert "was not found" in err
    assert "--encoder sae:FOLDER" in err
    code, out, err = cli(capsys, *given, "--encoder", f"sae:{moved}", "--json")
    assert code == 0, err
    assert json.loads(out)["n_labels"] == 6


def test_labels_in_words_say_that_they_need_an_llm_and_are_scored_where_one_is_named(
    labelling: Labelling, endpoint: FakeEndpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--describe", "llm", "--explainer", "token_activation"]
    assert labelling(labelling.arguments("a", *given, llm=endpoint.base_url)).code == 0
    other = str(write_texts(_made(labelling.folder / "other"), tiny_texts(60, seed=9)))
    folder = labelling.folder / "a"
    in_words = {
        label.unit
        for label in ai.open_dictionary(folder).labels()
        if label.explanation is not None and not label.explanation.needs_no_llm
    }
    assert in_words
    n_before = len(endpoint.bodies)
    with pytest.raises(InputError, match="was named: add --llm"):
        ai.rescore(folder, other)
    assert len(endpoint.bodies) == n_before
    # First: replies that are kept cost nothing.
    cost = _check_budget(labelling.folder, folder, other, endpoint, in_words)
    _check_budget_of_a_run_that_goes_on(labelling.folder, folder, endpoint, cost // 2, capsys)
    report = ai.rescore(folder, other, llm=endpoint.base_url, llm_model="fake")
    scored = [label for label in report.labels if label.unit in in_words and label.other]
    assert scored
    assert {label.scorer for label in scored} == {"simulation"}
    assert all(label.other.n_windows <= 12 for label in scored)
    assert report.notes == ()


def _check_budget(
    place: Path, folder: Path, other: str, endpoint: FakeEndpoint, in_words: set[ai.UnitId]
) -> int:
    """A budget that pays for nothing leaves the labels to a run that goes on with more.

    Gives what that one costs, in tokens.
    """
    options: dict[str, Any] = {"llm": endpoint.base_url, "llm_model": "fake", "out": place / "kept"}
    progress = NotedProgress()
    n_before = len(endpoint.bodies)
    poor = ai.rescore(folder, other, budget_tokens=10, progress=progress, **options)
    assert len(endpoint.bodies) == n_before
    assert any(f"{len(in_words):,} for the LLM to score: " in note for note in progress.notes)
    unpaid = {label.unit for label in poor.labels if label.reason == OUT_OF_BUDGET}
    assert poor.n_unpaid == len(unpaid) > 0
    before = _spent(endpoint)
    assert unpaid <= in_words
    rich = ai.rescore(folder, other, budget_tokens=10_000_000, resume=True, **options)
    assert not any(label.reason == OUT_OF_BUDGET for label in rich.labels)
    assert len(endpoint.bodies) > n_before
    cost = _spent(endpoint) - before
    with pytest.raises(InputError, match="usd"):
        ai.rescore(folder, other, budget_usd=-1, **options)
    return cost


def _spent(endpoint: FakeEndpoint) -> int:
    return sum(prompt + completion for prompt, completion in endpoint.charged)


def _check_budget_of_a_run_that_goes_on(
    place: Path,
    folder: Path,
    endpoint: FakeEndpoint,
    budget: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What was spent before counts, and labels that are left are told by the exit code."""
    other = str(write_texts(_made(place / "third"), tiny_texts(60, seed=10)))
    given = [str(folder), "--corpus", other, "--llm", endpoint.base_url, "--llm-model", "fake"]
    given += ["--out", str(place / "half"), "--resume"]
    before = _spent(endpoint)
    for _ in range(2):
        code, _, err = cli(capsys, *given, "--budget-tokens", str(budget))
        assert code == 1
        assert "not scored: the budget of the LLM was spent before it; raise it and run" in err
        assert 0 < _spent(endpoint) - before <= budget
    assert cli(capsys, *given, "--budget-tokens", "10000000")[0] == 0
