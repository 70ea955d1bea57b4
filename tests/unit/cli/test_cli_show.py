from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import Cli
from factories import make_label, make_sets, make_unit
from rich.console import Console

from autointerp.cli.rendering.unit_page import print_view
from autointerp.cli.unit_view import read_unit
from autointerp.core.ids import Side
from autointerp.store.labels import JsonLabelStore

FULL_NAME = "tiny/blocks.5.mlp.hook_post/131"


@pytest.mark.parametrize("unit", ["5:131", "5/131", "blocks.5.mlp.hook_post/131", FULL_NAME])
def test_a_unit_is_found_by_its_short_and_its_full_name(cli: Cli, a_run: Path, unit: str) -> None:
    ended = cli("show", unit, "--dir", str(a_run))
    assert ended.code == 0
    assert ended.out.startswith(f"{FULL_NAME}  positive side\nok\nnames of rivers\n")


def test_a_run_and_its_dictionary_show_the_same(cli: Cli, a_run: Path, a_dictionary: Path) -> None:
    one = cli("show", "5:131", "--dir", str(a_run))
    other = cli("show", "5:131", "--dir", str(a_dictionary))
    assert one.out == other.out
    assert "held-out windows" in one.out


def test_scores_stand_with_their_intervals_nulls_and_reasons(
    cli: Cli, a_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    printed = cli("show", "5:131", "--dir", str(a_run)).out
    found = [" ".join(line.split()) for line in printed.splitlines()]
    assert "simulation population 0.42 [0.32, 0.52] 2 1" in found
    assert "simulation_null population 0.01 [-0.10, 0.10] 2 0" in found
    assert "lookup population 0.30 [0.20, 0.40] 2 0" in found
    assert "detection balanced_accuracy 0.75 1 0" in found
    assert "simulation random - 1 1 the real activations are constant" in found


def test_candidates_stand_with_their_validation_scores(cli: Cli, a_run: Path) -> None:
    found = cli("show", "5:131", "--dir", str(a_run)).out
    assert any(line.split()[:2] == [">", "0.40"] for line in found.splitlines())


def test_statistics_are_in_words_and_bars(cli: Cli, a_run: Path) -> None:
    found = cli("show", "5:131", "--dir", str(a_run)).out
    assert "active on 5.00% of 4,096 tokens and 20.00% of 1,024 windows" in found
    assert "peaks of activating windows: 25% 0.5, 90% 3" in found
    assert "▕▁█▁▏" in found


def test_real_and_predicted_activations_are_shown_on_one_scale(cli: Cli, a_run: Path) -> None:
    lines = cli("show", "5:131", "--dir", str(a_run)).out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("     real"))
    # Window 20: real 0, 3.5, 0.25, 0 of a peak of 4; predicted 0, 9, 1, 0, model units as well.
    assert lines[at].split(maxsplit=1)[1].rstrip() == "the river(8) runs↵"
    assert lines[at + 1].split(maxsplit=1)[1].rstrip() == "the river(10) runs(2)↵"


def test_a_window_whose_trial_failed_has_no_predicted_row(cli: Cli, a_run: Path) -> None:
    view = read_unit(a_run, "5:131")[0]
    assert view.held_out[0].predicted == (0.0, 9.0, 1.0, 0.0)
    assert view.held_out[2].predicted is None


def test_both_sides_of_a_unit_are_shown(cli: Cli, a_run: Path) -> None:
    JsonLabelStore(a_run).put_label(make_label(side=Side.NEGATIVE))
    found = cli("show", "5:131", "--dir", str(a_run)).out
    assert found.index("positive side") < found.index("negative side")


def test_a_short_name_finds_every_hook_point_of_the_layer_and_no_other_layer(
    cli: Cli, a_run: Path
) -> None:
    for hook in ("blocks.5.mlp.hook_pre", "blocks.50.mlp.hook_post"):
        JsonLabelStore(a_run).put_label(make_label(make_unit(hook=hook)))
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
    assert found[0]["held_out"][0]["record"]["activations"] == [0.0, 3.5, 0.25, 0.0]
    assert found[0]["held_out"][0]["predicted"] == [0.0, 9.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("unit", "sentence"),
    [
        ("5-131", "'5-131' is not a unit; write 5:131 or"),
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
    assert "there is no folder nowhere; name the folder of a run with --dir" in ended.err


def test_a_folder_that_is_neither_run_nor_dictionary_is_named(cli: Cli, tmp_path: Path) -> None:
    ended = cli("show", "5:131", "--dir", str(tmp_path))
    assert ended.code == 2
    assert "is not a feature dictionary" in ended.err


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_of_a_unit_is_wider_than_the_terminal(
    cli: Cli, a_run: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    found = cli("show", "5:131", "--dir", str(a_run), "--full").out
    assert max(len(line.rstrip()) for line in found.splitlines()) <= width


def test_hostile_tokens_and_texts_reach_no_terminal(a_run: Path) -> None:
    sets = make_sets()
    record = replace(sets.explain.records[0], tokens=("\x1b]0;owned\x07", "[red]", "\r", "\u202e"))
    store = JsonLabelStore(a_run)
    store.put_sets(replace(sets, explain=replace(sets.explain, records=(record,))))
    store.put_label(make_label(text="\x1b[2Jgone", top_tokens=("\x1b[31m", "[/]")))
    output = io.StringIO()
    print_view(read_unit(a_run, "5:131")[0], Console(file=output, width=100))
    found = output.getvalue()
    assert "\x1b" not in found
    assert "\\x1b]0;owned\\x07[red](10)\\r\\u202e(1)" in found
    assert "\\x1b[2Jgone" in found


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
