"""Bars show where tokens split a word, and nothing of a text passes for one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.core.text import plain_text, spells_a_mark
from autointerp.core.token_bars import barred, marked


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


@pytest.mark.parametrize(
    ("tokens", "levels", "text"),
    [
        ((" Br", "itish", " sh", "ips"), (0, 7, 0, 0), '" Br«itish:7» sh|ips"'),
        ((" H", "uda", "s"), (10, 2, 0), '" «H:10»«uda:2»s"'),
        ((" a", "\n", " «b»"), (0, 3, 0), '" a«\\n:3» \\u00abb\\u00bb"'),
        ((" 1", "9", "th"), (0, 4, 0), '" 1«9:4»th"'),
        ((), (), '""'),
    ],
)
def test_an_active_token_is_marked_with_its_level(
    tokens: tuple[str, ...], levels: tuple[int, ...], text: str
) -> None:
    assert marked(tokens, levels) == text


@given(
    st.lists(
        st.tuples(
            st.text(alphabet=["a", " ", "|", "«", "»", ":", "1", "\ue000"]), st.integers(0, 9)
        )
    )
)
def test_every_mark_that_is_seen_was_set(pairs: list[tuple[str, int]]) -> None:
    tokens, levels = [t for t, _ in pairs], [n for _, n in pairs]
    text = marked(tokens, levels)
    assert text.count("«") == text.count("»") == sum(n > 0 for n in levels)
