from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import Cli
from factories import make_label, make_sets, make_unit
from rich.console import Console
from sense_labels import (
    SENSES,
    make_llm_explanation,
    make_receipts,
    make_rules,
    make_sense_label,
    make_sense_scores,
)

from autointerp.cli.rendering.result_tables import result_tables
from autointerp.cli.rendering.unit_page import print_view
from autointerp.cli.unit_view import UnitView, read_unit
from autointerp.core.explanations import LabelStatus, ScoredExplanation
from autointerp.core.ids import Side
from autointerp.core.scores import Score, ScorerResult
from autointerp.store.labels import FolderLabelStore

FULL_NAME = "tiny/blocks.5.mlp.hook_post/131"


@pytest.mark.parametrize("unit", ["5:131", "5/131", "blocks.5.mlp.hook_post/131", FULL_NAME])
def test_a_unit_is_found_by_its_short_and_its_full_name(cli: Cli, a_run: Path, unit: str) -> None:
    ended = cli("show", unit, "--dir", str(a_run))
    assert ended.code == 0
    assert ended.out.startswith(f"{FULL_NAME}  positive side\nnames of rivers\n")


def test_a_run_and_its_dictionary_show_the_same(cli: Cli, a_run: Path, a_dictionary: Path) -> None:
    one = cli("show", "5:131", "--dir", str(a_run))
    other = cli("show", "5:131", "--dir", str(a_dictionary))
    assert one.out == other.out
    assert "held-out windows" in one.out


def test_the_folder_stands_before_or_behind_the_units(cli: Cli, a_run: Path) -> None:
    asked = [("5:131", str(a_run)), (str(a_run), "5:131"), (str(a_run), "5:131", "12:7")]
    behind, before, two = (cli("show", *words) for words in asked)
    assert behind == before == cli("show", "5:131", "--dir", str(a_run))
    assert two.out.startswith(before.out)
    assert "tiny/blocks.12.mlp.hook_post/7" in two.out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("RUN", "is a folder; name a unit, such as 5:131, too"),
        ("RUN RUN2 5:131", "one folder is read at a time; found"),
        ("5:131 nowhere", "nowhere is not a folder"),
        ("RUN 5:131 --server http://127.0.0.1:9", "from a folder or from a --server"),
    ],
)
def test_words_that_are_no_unit_of_a_folder_are_told(
    cli: Cli, a_run: Path, words: str, sentence: str
) -> None:
    (a_run.parent / "other").mkdir()
    words = words.replace("RUN2", str(a_run.parent / "other")).replace("RUN", str(a_run))
    ended = cli("show", *words.split())
    assert ended.code == 2
    assert sentence in ended.err


def test_a_unit_is_found_as_tables_write_it(cli: Cli, a_run: Path) -> None:
    for layer in (3, 5):
        latent = make_unit(2, hook=f"blocks.{layer}.hook_resid_post.sae_mine")
        FolderLabelStore(a_run).put_label(make_label(latent))
    shown = cli("show", str(a_run), "sae_mine/2")
    assert shown.code == 0
    assert "blocks.3.hook_resid_post.sae_mine/2" in shown.out
    assert "blocks.5.hook_resid_post.sae_mine/2" in shown.out
    assert "has no label of mine/2" in cli("show", str(a_run), "mine/2").err
    asked = cli("show", "sae_mine/2", "--server", "http://127.0.0.1:9")
    assert "write the whole hook point of 'sae_mine/2'" in asked.err


def test_a_folder_named_like_a_unit_is_the_folder_only_where_labels_are_in_it(
    cli: Cli, a_run: Path
) -> None:
    a_run.rename("5-run")
    Path("5").mkdir()
    Path("5/131").mkdir()
    assert cli("show", "5/131", "--dir", "5-run").code == 0
    Path("5/131").rmdir()
    Path("5-run").rename("5/131")
    assert cli("show", "5/131", "5:131").code == 0


def test_scores_stand_with_their_intervals_nulls_and_reasons(
    cli: Cli, a_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    printed = cli("show", "5:131", "--scores", "--dir", str(a_run)).out
    found = [" ".join(line.split()) for line in printed.splitlines()]
    assert "simulation population 0.42 [0.32, 0.52] 2 1" in found
    assert "simulation_null population 0.01 [-0.10, 0.10] 2 0" in found
    assert "lookup population 0.30 [0.20, 0.40] 2 0" in found
    assert "detection balanced_accuracy 0.75 1 0" in found
    assert "simulation random - 1 1 the real activations are constant" in found


def test_a_column_of_failures_stands_only_where_something_failed(
    cli: Cli, a_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    label = make_sense_label()
    results = tuple(replace(result, trials=()) for result in label.results)
    FolderLabelStore(a_run).put_label(replace(label, results=results))
    monkeypatch.setenv("COLUMNS", "80")
    lines = cli("show", "5:131", "--scores", "--dir", str(a_run)).out.splitlines()
    assert "failed" not in next(line for line in lines if line.startswith("scorer"))
    assert any(line.startswith("simulation_null ") for line in lines)


def test_five_numbers_stand_below_the_windows_with_what_failed_and_no_text_twice(
    cli: Cli, a_run: Path
) -> None:
    printed = cli("show", "5:131", "--dir", str(a_run)).out
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    first = lines.index("scores --scores for all")
    assert first > lines.index("held-out windows")
    assert lines[first + 1 : first + 4] == [
        "all held-out text 0.42 [0.32, 0.52]",
        "another unit's label there 0.01 [-0.10, 0.10]",
        "mean of each token there 0.30 [0.20, 0.40]",
    ]
    assert lines[first + 4].startswith("strongest against random windows ")
    assert lines[first + 5].startswith("which tokens are active (AUPRC) ")
    assert lines[first + 6] == "simulation: 1 of 3 questions without an answer"
    assert printed.count("names of rivers") == 1


def test_candidates_stand_with_their_validation_scores(cli: Cli, a_run: Path) -> None:
    found = cli("show", "5:131", "--scores", "--dir", str(a_run)).out
    assert any(line.split()[:2] == [">", "0.40"] for line in found.splitlines())


@pytest.fixture
def with_senses(a_run: Path) -> Path:
    FolderLabelStore(a_run).put_label(make_sense_label())
    return a_run


def test_both_explanations_stand_with_their_scores_and_senses_with_their_shares(
    cli: Cli, with_senses: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    lines = cli("show", "5:131", "--dir", str(with_senses)).out.splitlines()
    found = [" ".join(line.split()) for line in lines]
    first = found.index(
        "LLM senses, reader-1: 0.42 [0.32, 0.52]; another unit's 0.01; "
        "adds +0.06 [+0.02, +0.10] to the tokens; accounts for 72% [60%, 84%] of the activation"
    )
    assert found[first + 1 : first + 5] == [
        '1. 50% hyphen or "and" that joins two paired names',
        "phrase, level 8, fitted 3.1; applies to 41 tokens; gain +0.20 [+0.17, +0.23]",
        "2. 20% the piece ' Austro' of a longer word",
        "piece, level 5, fitted 1.7; applies to 12 tokens; gain +0.05 [+0.02, +0.08]",
    ]
    assert any("doubtful: 2 of 4 receipts failed" in line for line in found)
    rules = found.index("rules token_lookup: 0.38 [0.30, 0.45]")
    assert found[rules + 1] == 'the token "-"; the token " and"'


def test_an_explanation_of_one_piece_may_be_doubtful(cli: Cli, a_run: Path) -> None:
    explanation = make_llm_explanation(())
    label = make_sense_label(
        explanation=explanation,
        llm=ScoredExplanation(explanation, "simulation"),
        sense_scores=make_sense_scores()[2:],
    )
    FolderLabelStore(a_run).put_label(label)
    shown = cli("show", "5:131", "--dir", str(a_run))
    assert "\ndoubtful: 2 of 4 receipts failed" in shown.out
    cli.runner.labels = (label,)
    assert "(doubtful)" in cli("label", "--units", "all", "--out", "made").out
    found = json.loads(cli("show", "5:131", "--dir", str(a_run), "--json").out)[0]
    assert [sense["mass"]["value"] for sense in found["senses"]] == [0.02]


def test_receipts_stand_in_sum_with_what_is_needed_and_those_that_failed(
    cli: Cli, with_senses: Path
) -> None:
    found = cli("show", "5:131", "--dir", str(with_senses)).out
    margins = "+0.09 [+0.01, +0.17] over a broader rewrite; -0.02 [-0.10, +0.06] over a narrower"
    assert f"receipts survived 17 of 20 [0.64, 0.95]; {margins}" in " ".join(found.split())
    assert "\nneeds ' Anglo' before '-'" in found
    lines = [" ".join(line.split()) for line in found.splitlines()]
    assert "near miss 3 silent 4.5 A treaty-bound state" in lines
    assert "stranger 2 silent 12.5 lamp-Hungarian ' Austro' -> ' lamp'" in lines
    assert "A well-known king" not in found
    whole = cli("show", "5:131", "--dir", str(with_senses), "--full").out
    assert "as expected (17)" in whole
    assert "A well-known king" in whole


def test_more_failed_receipts_than_are_shown_are_counted(cli: Cli, a_run: Path) -> None:
    failed = make_receipts()[17:20] * 3
    FolderLabelStore(a_run).put_label(make_sense_label(receipts=failed))
    found = cli("show", "5:131", "--dir", str(a_run)).out
    assert "failed (3 of 9, --full for all)" in found


def test_why_there_is_no_score_stands_below_where_there_is_no_room_beside_it(
    cli: Cli, a_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    found = cli("show", "5:131", "--scores", "--dir", str(a_run)).out
    assert "simulation random: the real activations are constant" in found


def test_json_has_what_is_printed_of_both_explanations_and_receipts(
    cli: Cli, with_senses: Path
) -> None:
    found = json.loads(cli("show", "5:131", "--dir", str(with_senses), "--json").out)[0]
    assert found["llm"]["scores"]["added"]["value"] == 0.06
    assert found["llm"]["null"]["population"]["value"] == 0.01
    assert found["rules"]["scores"]["population"]["low"] == 0.3
    assert [sense["kind"] for sense in found["senses"]] == ["phrase", "piece", "topic"]
    assert found["senses"][0]["mass"]["value"] == 0.5
    assert (found["receipts"]["n_survived"], found["receipts"]["n"]) == (17, 20)
    assert found["receipts"]["over_broader"]["value"] == 0.09
    assert found["receipts"]["over_narrower"]["low"] == -0.1
    assert found["receipts"]["failed"][1]["text"] == "A treaty-bound state"
    assert found["needs"] == ["needs ' Anglo' before '-'"]


def test_statistics_are_in_words_and_bars(cli: Cli, a_run: Path) -> None:
    found = cli("show", "5:131", "--dir", str(a_run)).out
    assert "active on 5.00% of 4,096 tokens and 20.00% of 1,024 windows" in found
    assert "peaks of activating windows: 25% 0.5, 90% 3" in found
    assert "▕▁█▁▏" in found


def test_real_and_predicted_activations_are_shown_on_one_scale(cli: Cli, a_run: Path) -> None:
    lines = cli("show", "5:131", "--dir", str(a_run)).out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("     real"))
    # Window 20: real 0, 3.5, 0.21875, 0 of a peak of 4; predicted 0, 9, 1, 0, model units as well.
    assert lines[at].split(maxsplit=1)[1].rstrip() == "the river(8) runs↵"
    assert lines[at + 1].split(maxsplit=1)[1].rstrip() == "the river(10) runs(2)↵"


def test_a_window_whose_trial_failed_has_no_predicted_row(cli: Cli, a_run: Path) -> None:
    view = read_unit(a_run, "5:131")[0]
    assert view.held_out[0].predicted == (0.0, 9.0, 1.0, 0.0)
    assert view.held_out[2].predicted is None


def test_both_sides_of_a_unit_are_shown(cli: Cli, a_run: Path) -> None:
    FolderLabelStore(a_run).put_label(make_label(side=Side.NEGATIVE))
    found = cli("show", "5:131", "--dir", str(a_run)).out
    assert found.index("positive side") < found.index("negative side")


def test_a_short_name_finds_every_hook_point_of_the_layer_and_no_other_layer(
    cli: Cli, a_run: Path
) -> None:
    for hook in ("blocks.5.mlp.hook_pre", "blocks.50.mlp.hook_post"):
        FolderLabelStore(a_run).put_label(make_label(make_unit(hook=hook)))
    views = read_unit(a_run, "5:131")
    hooks = {view.label.unit.hook for view in views}
    assert hooks == {"blocks.5.mlp.hook_post", "blocks.5.mlp.hook_pre"}


def test_a_dead_unit_shows_its_reason_and_statistics(cli: Cli, a_run: Path) -> None:
    ended = cli("show", "12:7", "--dir", str(a_run))
    assert ended.code == 0
    assert "dead: the unit is dead" in ended.out
    assert "active on" in ended.out
    assert "exemplars" not in ended.out


def test_json_holds_the_label_and_both_rows(cli: Cli, a_run: Path) -> None:
    found = json.loads(cli("show", "5:131", "--dir", str(a_run), "--json").out)
    assert found[0]["unit"] == FULL_NAME
    assert found[0]["label"]["explanation"]["text"] == "names of rivers"
    assert found[0]["held_out"][0]["record"]["activations"] == [0.0, 3.5, 0.21875, 0.0]
    assert found[0]["held_out"][0]["predicted"] == [0.0, 9.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("unit", "sentence"),
    [
        ("5-131", "'5-131' is not a unit; write 5:131 or"),
        (f"5:{10**20}", "is not a unit; write 5:131 or"),
        (f"{10**20}:1", "is not a unit; write 5:131 or"),
        (f"blocks.{10**20}.mlp.hook_post/1", "is not a unit; write 5:131 or"),
        ("5:132", "has no label of 5:132; it holds 2 labels, the first is tiny/blocks.5."),
        ("other/blocks.5.mlp.hook_post/131", "has no label of other/blocks.5.mlp.hook_post/131"),
    ],
)
def test_a_unit_that_is_not_there_is_named(cli: Cli, a_run: Path, unit: str, sentence: str) -> None:
    ended = cli("show", unit, "--dir", str(a_run))
    assert ended.code == 2
    assert sentence in ended.err


def test_a_folder_that_is_not_there_is_named(cli: Cli) -> None:
    ended = cli("show", "5:131", "--dir", "nowhere")
    assert ended.code == 2
    assert "nowhere is not a folder; name the folder of a run with --dir" in ended.err


def test_a_folder_that_is_neither_run_nor_dictionary_is_named(cli: Cli, tmp_path: Path) -> None:
    ended = cli("show", "5:131", "--dir", str(tmp_path))
    assert ended.code == 2
    assert "is not a feature dictionary" in ended.err


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_of_a_unit_is_wider_than_the_terminal(
    cli: Cli, a_run: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    FolderLabelStore(a_run).put_label(make_sense_label(side=Side.NEGATIVE))
    found = cli("show", "5:131", "--dir", str(a_run), "--full").out
    assert max(len(line.rstrip()) for line in found.splitlines()) <= width


def test_hostile_tokens_and_texts_reach_no_terminal(a_run: Path) -> None:
    sets = make_sets()
    record = replace(sets.explain.records[0], tokens=("\x1b]0;owned\x07", "[red]", "\r", "\u202e"))
    store = FolderLabelStore(a_run)
    store.put_sets(replace(sets, explain=replace(sets.explain, records=(record,))))
    store.put_label(make_label(text="\x1b[2Jgone", top_tokens=("\x1b[31m", "[/]")))
    output = io.StringIO()
    print_view(read_unit(a_run, "5:131")[0], Console(file=output, width=100))
    found = output.getvalue()
    assert "\x1b" not in found
    assert "\\x1b]0;owned\\x07[red](10)\\r\\u202e(1)" in found
    assert "\\x1b[2Jgone" in found


def test_senses_and_receipts_are_hostile_texts_too() -> None:
    bad, output = "\x1b]0;owned\x07[red]", io.StringIO()
    senses = tuple(replace(sense, description=bad) for sense in SENSES)
    explanation = replace(make_llm_explanation(senses), explainer=bad, model=bad)
    doubtful = replace(make_sense_scores()[0], doubt=bad)
    label = make_sense_label(
        llm=ScoredExplanation(explanation, "simulation"),
        rules=ScoredExplanation(replace(make_rules(), text=bad), "rules"),
        sense_scores=(doubtful,) * 3,
        receipts=tuple(replace(r, text=bad, changed=bad) for r in make_receipts()),
        needs=(bad,),
    )
    console = Console(file=output, width=100)
    print_view(UnitView(label, 0.0, (), ()), console, full=True)
    for part in result_tables([label], width=100):
        console.print(part)
    assert "\x1b" not in output.getvalue()
    assert output.getvalue().count("owned") > 40


@pytest.mark.parametrize(("colours", "painted"), [("truecolor", True), (None, False)])
def test_activations_are_colours_only_where_there_are_colours(
    a_run: Path, colours: str | None, painted: bool
) -> None:
    output = io.StringIO()
    system = {"color_system": "truecolor", "force_terminal": True} if colours else {}
    print_view(read_unit(a_run, "5:131")[0], Console(file=output, width=100, **system))
    assert ("48;2;0;68;136" in output.getvalue()) is painted
    assert ("river(10)" in output.getvalue()) is not painted


def test_no_color_is_respected(cli: Cli, a_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "river(10)" in cli("show", "5:131", "--dir", str(a_run)).out


def test_where_no_scorer_tells_of_all_text_the_scorers_that_ran_are_shown() -> None:
    label = make_label(status=LabelStatus.NO_SIGNAL)
    score = Score("balanced_accuracy", 0.7, 0.6, 0.8, 20, None)
    detection = ScorerResult("detection", "names of rivers", (score,), ())
    label = replace(label, results=(detection,), preferred=None)
    console = Console(width=80, file=io.StringIO(), highlight=False)
    print_view(UnitView(label, 0.0, (), ()), console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "detection balanced_accuracy" in printed
    assert "0.70 [0.60, 0.80]" in printed
    assert "_null" not in printed


def test_windows_that_only_people_see_stand_behind_the_bands(
    a_dictionary: Path,
) -> None:
    view = read_unit(a_dictionary, "5:131")[0]
    random, other = (
        replace(view.explain[0], window=900 + n, stratum=name, activations=(0.0, -3.0, 0.0, 0.0))
        for n, name in enumerate(("random", "other"))
    )
    out = io.StringIO()
    shown = replace(view, explain=(*view.explain, random, other))
    print_view(shown, Console(file=out, width=100))
    assert "random, the same for every unit (1)" in out.getvalue()
    assert "river(7)" in out.getvalue().partition("strongest of the other side (1)")[2]
