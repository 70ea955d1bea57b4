"""Tokens in a row: which are shown, how active each is, and what stands for the invisible."""

from __future__ import annotations

import re

import pytest
from markupsafe import Markup

from autointerp.web.token_rows import WindowTokens, shown_text

_SPAN = re.compile(r'<span(?: class="?([a-z ]*)"?)?>(.*?)</span>', re.DOTALL)
_TOKEN = re.compile(r'<i(?: class="?([a-z0-9 ]*)"?)?(?: data-n=\d+)?>(.*?)</i>', re.DOTALL)


def window(values: list[float], tokens: list[str] | None = None) -> WindowTokens:
    words = tokens or [f" w{i}" for i in range(len(values))]
    return WindowTokens(words, range(100, 100 + len(values)), 7, values)


def texts(row: Markup) -> dict[str, list[str]]:
    return {name: [text for _, text in _TOKEN.findall(own)] for name, own in _SPAN.findall(row)}


def classes(row: Markup) -> list[str]:
    return [name for name, _ in _TOKEN.findall(row)]


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
    assert classes(rows.real) == ["", "", "a2", "a5", "a10 peak"]


def test_predictions_are_shown_for_the_same_tokens_on_the_same_scale() -> None:
    made = WindowTokens([" a", " b"], [1, 2], 0, [0.0, 2.0], [1.0, 0.5])
    rows = made.rows(peak=2.0)
    assert classes(rows.predicted) == ["a5", "a2 peak"]
    assert texts(rows.predicted) == texts(rows.real)
    assert rows.facts == {"first": "0", "ids": "1,2", "real": "0,2", "predicted": "1,0.5"}


def test_tokens_of_one_predicted_level_in_a_row_are_one_that_counts_them() -> None:
    tokens, real = [f" w{i}" for i in range(5)], [0.0, 0.0, 0.0, 0.0, 2.0]
    rows = WindowTokens(tokens, range(5), 0, real, [1.0, 1.0, 1.0, 0.0, 1.0]).rows(peak=2.0)
    assert "<i class=a5 data-n=3> w0 w1 w2</i><i> w3</i>" in rows.predicted
    assert rows.facts["predicted"] == "1,1,1,0,1"


def test_a_character_of_several_tokens_is_one_cell_with_all_their_ids() -> None:
    rows = window([0.0, 3.0, 0.0], ["\\xf0\\x9f", "\\x98\\x80", "!"]).rows(peak=3.0)
    assert texts(rows.real)[""] == ["😀"]
    assert texts(rows.real)["behind"] == ["!"]
    assert classes(rows.real)[0] == "a10 peak"
    assert rows.facts["ids"] == "100+101,102"


def test_a_unit_that_is_never_active_has_a_row_too() -> None:
    rows = window([0.0, 0.0]).rows(peak=0.0)
    assert classes(rows.real) == ["peak", ""]


def test_a_silent_window_is_shown_around_what_was_predicted_most() -> None:
    predicted = [0.0] * 40
    predicted[30] = 1.0
    silent = WindowTokens([f" w{i}" for i in range(40)], range(40), 0, [0.0] * 40, predicted)
    assert " w30" in texts(silent.rows(peak=1.0).real)[""]


def test_a_token_that_looks_like_markup_is_text() -> None:
    row = window([1.0], ["<img src=x onerror=alert(1)>"]).rows(peak=1.0).real
    assert "<img" not in row
    assert "&lt;img src=x onerror=alert(1)&gt;" in row


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
