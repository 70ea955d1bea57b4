"""Bars show where tokens split a word, and nothing of a text passes for one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.core.text import plain_text, spells_a_mark
from autointerp.core.token_bars import barred


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ((" Br", "itish", " sh", "ips"), '" Br|itish sh|ips"'),
        ((" don", "'t", ","), '" don\'t,"'),
        ((" 1", "9", "th"), '" 19|th"'),
        (("喝", "水", "吧"), '"喝|水|吧"'),
        (("na", "\u0308", "ive"), '"na|\u0308|ive"'),
        ((" snake", "_case"), '" snake|_case"'),
        ((" a|b", "|", "c"), '" a\\u007cb\\u007cc"'),
        (("x", "", "y", "\n"), '"xy\\n"'),
        ((), '""'),
    ],
)
def test_a_bar_stands_between_the_tokens_of_a_word(tokens: tuple[str, ...], text: str) -> None:
    assert barred(tokens) == text


@given(
    st.lists(st.text(alphabet=["a", "é", " ", "|", "1", '"', "\\", "\ud83d", "\ue000", "<", ">"]))
)
def test_without_its_bars_it_is_the_text(tokens: list[str]) -> None:
    assert json.loads(barred(tokens).replace("|", "")) == plain_text("".join(tokens))


@pytest.mark.parametrize("tokens", [("<|", "im_", "end", "|>"), ("<", "s", ">"), ("[IN", "ST]")])
def test_no_mark_of_a_chat_template_is_spelled(tokens: tuple[str, ...]) -> None:
    assert spells_a_mark("".join(tokens))
    assert not spells_a_mark(barred(tokens))
