from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.cli.rendering.console import bars, counted, interval, number, visible, visible_token
from autointerp.core.scores import Score


@given(st.text(alphabet=st.characters()))
def test_no_text_keeps_a_character_that_a_terminal_obeys(text: str) -> None:
    shown = visible(text).replace("\u200c", "").replace("\u200d", "")
    assert {unicodedata.category(c)[0] for c in shown} <= set("LMNPSZ")
    assert not {"\u2028", "\u2029"} & set(shown)


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"])))
def test_letters_numbers_and_signs_stay_as_they_are(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "a \U0001f469\u200d\U0001f52c here",
        "\U0001f441\ufe0f\u200d\U0001f5e8\ufe0f",
        "می\u200cخواهم",
        "ක්\u200dෂ",
    ],
)
def test_characters_that_are_joined_stay_joined(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\u200d", "\\u200d"),
        ("ad\u200dmin", "ad\\u200dmin"),
        ("\U0001f469\u200d", "\U0001f469\\u200d"),
        ("\u200d\U0001f52c", "\\u200d\U0001f52c"),
        ("é \u200dé", "é \\u200dé"),
        ("é\u200d\u200dé", "é\\u200d\\u200dé"),
        ("é\u202e\u200dé", "é\\u202e\\u200dé"),
        ("\u00a0\u200dé", "\u00a0\\u200dé"),
        ("\U0001f3f4\U000e0067\U000e007f", "\U0001f3f4\\U000e0067\\U000e007f"),
    ],
)
def test_a_joiner_that_joins_nothing_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        ("\n", "↵"),
        (" ", "·"),
        ("   ", "···"),
        (" river", " river"),
        ("\t", "⇥"),
        ("", "∅"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\u202egnp", "\\u202egnp"),
        ("\ud800", "\\ud800"),
        ("\ufffd", "\ufffd"),
        ("[bold]", "[bold]"),
    ],
)
def test_a_token_is_shown_so_that_it_can_be_seen(token: str, shown: str) -> None:
    assert visible_token(token) == shown


def test_bars_never_hide_a_count_and_never_invent_one() -> None:
    assert bars([0, 1, 1_000_000, 0], width=10) == " ▁█ "


def test_bar_heights_are_square_roots() -> None:
    assert bars([16, 64], width=2) == "▄█"


@given(st.lists(st.integers(0, 10**9), max_size=300), st.integers(1, 80))
def test_bars_fit_the_width(counts: list[int], width: int) -> None:
    assert len(bars(counts, width=width)) <= width


def test_an_undefined_number_is_a_dash_and_a_tiny_negative_is_no_minus_zero() -> None:
    assert (number(None), number(-0.001), number(0.426)) == ("-", "0.00", "0.43")


def test_an_interval_stands_behind_its_value() -> None:
    assert interval(Score("population", 0.42, 0.3, 0.5, 9, None)) == "0.42 [0.30, 0.50]"
    assert interval(Score("population", 0.42, None, None, 9, None)) == "0.42"
    assert interval(Score.undefined("population", "constant")) == "-"


def test_counts_agree_with_their_nouns() -> None:
    assert (counted(1, "label"), counted(0, "label")) == ("1 label", "0 labels")
