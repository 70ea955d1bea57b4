"""Tokens in a row: which are shown, how active each is, and what stands for the invisible."""

from __future__ import annotations

import pytest

from autointerp.web.token_rows import Segment, WindowTokens, shown_text


def window(values: list[float], tokens: list[str] | None = None) -> WindowTokens:
    words = tokens or [f" w{i}" for i in range(len(values))]
    return WindowTokens(words, range(100, 100 + len(values)), 7, values)


def texts(segments: tuple[Segment, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for segment in segments:
        found.setdefault(segment.classes, []).extend(cell.text for cell in segment.cells)
    return found


def test_sixteen_tokens_around_the_peak_are_shown_and_what_is_behind_it_is_marked() -> None:
    values = [0.0] * 40
    values[20] = 4.0
    found = texts(window(values).rows(peak=4.0).real)
    assert found[""] == [f" w{i}" for i in range(9, 21)]
    assert found["behind"] == [f" w{i}" for i in range(21, 25)]
    assert found["out"] == [f" w{i}" for i in range(9)]
    assert found["out behind"] == [f" w{i}" for i in range(25, 40)]


def test_levels_are_tenths_of_the_peak_of_all_text_and_the_window_has_one_peak() -> None:
    rows = window([0.0, 0.19, 1.0, 2.0, 9.0]).rows(peak=4.0)
    cells = [cell for segment in rows.real for cell in segment.cells]
    assert [cell.level for cell in cells] == [0, 0, 2, 5, 10]
    assert [cell.is_peak for cell in cells] == [False, False, False, False, True]


def test_predictions_are_shown_for_the_same_tokens_on_the_same_scale() -> None:
    made = WindowTokens([" a", " b"], [1, 2], 0, [0.0, 2.0], [1.0, 0.5])
    rows = made.rows(peak=2.0)
    levels = [cell.level for segment in rows.predicted for cell in segment.cells]
    assert levels == [5, 2]
    assert [s.classes for s in rows.predicted] == [s.classes for s in rows.real]
    assert rows.facts == {"first": "0", "ids": "1,2", "real": "0,2", "predicted": "1,0.5"}


def test_a_character_of_several_tokens_is_one_cell_with_all_their_ids() -> None:
    rows = window([0.0, 3.0, 0.0], ["\\xf0\\x9f", "\\x98\\x80", "!"]).rows(peak=3.0)
    cells = [cell for segment in rows.real for cell in segment.cells]
    assert [cell.text for cell in cells] == ["😀", "!"]
    assert cells[0].level == 10
    assert rows.facts["ids"] == "100+101,102"


def test_a_unit_that_is_never_active_has_a_row_too() -> None:
    rows = window([0.0, 0.0]).rows(peak=0.0)
    assert {cell.level for segment in rows.real for cell in segment.cells} == {0}


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        ("\n", "↵"),
        (" ", "·"),
        ("   ", "···"),
        (" river", " river"),
        ("\x1b[31m", "\\u001b[31m"),
        ("\u202eevil", "\\u202eevil"),
        ("\ud800", "\\ud800"),
        ("", ""),
    ],
)
def test_what_cannot_be_seen_or_turns_the_direction_is_written_out(token: str, shown: str) -> None:
    assert shown_text(token) == shown
