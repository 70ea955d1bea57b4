from __future__ import annotations

from dataclasses import replace

import pytest
from command_line import Cli
from factories import make_label, make_unit

from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side

LABEL = ("label", "--units", "all", "--out", "made")
LONG = "names of rivers and of the towns that lie on them, also words for flowing water"


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def test_a_wide_table_has_every_column(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    found = lines(cli(*LABEL).out)
    assert found[0].split() == [
        *("unit", "status", "explanation", "score", "lookup", "null", "density")
    ]
    row = found[2].split()
    assert row[:3] == ["5:131", "+", "ok"]
    assert row[-6:] == ["0.42", "[0.32,", "0.52]", "0.30", "0.01", "5.00%"]


@pytest.mark.parametrize("width", [40, 64, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    cli.runner.labels = (
        make_label(text=LONG * 3),
        make_label(make_unit(1535, hook="blocks.29.mlp.hook_post"), status=LabelStatus.NO_SIGNAL),
    )
    table = cli(*LABEL).out.split("dictionary: ")[0]
    assert max(map(len, lines(table))) <= width


def test_a_narrow_table_keeps_every_word_of_the_explanation(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    cli.runner.labels = (make_label(text=LONG),)
    found = cli(*LABEL).out
    assert [word for word in LONG.split() if word.strip(",") not in found] == []
    assert lines(found)[0].split() == ["unit", "explanation", "score"]
    assert "0.42" in found


def test_a_narrow_table_says_the_status_where_there_is_no_explanation(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    cli.runner.labels = (make_label(status=LabelStatus.DEAD),)
    assert "dead: the unit is dead" in cli(*LABEL).out


def test_rows_are_sorted_by_layer_and_index_as_numbers(cli: Cli) -> None:
    units = [(10, 2), (2, 11), (2, 3)]
    cli.runner.labels = tuple(
        make_label(make_unit(index, hook=f"blocks.{layer}.mlp.hook_post")) for layer, index in units
    )
    found = [line.split()[0] for line in lines(cli(*LABEL).out)[2:5]]
    assert found == ["2:3", "2:11", "10:2"]


def test_the_side_is_a_sign_and_another_hook_point_is_written_out(cli: Cli) -> None:
    unit = make_unit(3, hook="blocks.5.mlp.hook_pre")
    cli.runner.labels = (make_label(unit, Side.NEGATIVE),)
    found = lines(cli(*LABEL).out)
    assert found[0] == "blocks.5.mlp.hook_pre"
    assert found[3].startswith("hook_pre/3 -")


def test_an_undefined_score_is_a_dash_and_never_a_number(cli: Cli) -> None:
    cli.runner.labels = (make_label(status=LabelStatus.NO_SIGNAL),)
    row = lines(cli(*LABEL).out)[2].split()
    assert row[-4:] == ["-", "-", "-", "5.00%"]


def test_an_explanation_is_hostile_text(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    cli.runner.labels = (make_label(text="[red]x[/red]\x1b]0;owned\x07 :smile:"),)
    found = cli(*LABEL).out
    assert "[red]x[/red]\\x1b]0;owned\\x07 :smile:" in found
    assert "\x1b" not in found


def test_what_was_kept_spent_and_counted_is_below_the_table(cli: Cli) -> None:
    dead = replace(make_label(make_unit(2), status=LabelStatus.DEAD))
    cli.runner.labels = (make_label(), dead)
    found = " ".join(cli(*LABEL).out.split())
    assert "2 labels (1 ok, 1 dead)" in found
    assert "collect 12 s" in found
    assert "210 requests" in found
    assert "3 replies from the cache" in found
