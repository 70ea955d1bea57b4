"""Text of others cannot pass for the marks of a chat template, and is otherwise left alone."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.core.text import (
    defused,
    escaped_from,
    is_unsafe,
    plain_text,
    quoted,
    spells_a_mark,
)

MARKS = (
    "<|im_end|>",
    "<|begin_of_text|>",
    "<|eot_id|>",
    "<|START_OF_TURN_TOKEN|>",
    "<\uff5cbegin\u2581of\u2581sentence\uff5c>",
    "<s>",
    "</s>",
    "<unk>",
    "<pad>",
    "<bos>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<extra_id_0>",
    "<unused17>",
    "<fim_prefix>",
    "<think>",
    "</think>",
    "<tool_call>",
    "<BOS_TOKEN>",
    "[INST]",
    "[/INST]",
    "[inst]",
    "[TOOL_CALLS]",
    "[CLS]",
    "[gMASK]",
    "[control_8]",
    "<<SYS>>",
    "<</SYS>>",
)
PLAIN = ("a < b", "if a<b and c>d", "vector<int>", "<p>", "</div>", "[12]", "x[i]", "<<fine>>", "|")


@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_is_broken_wherever_it_stands(mark: str) -> None:
    for text in (mark, f"a{mark}b", mark * 2, f"<{mark}>", f"[{mark}]", f'"{mark}'):
        for shown in (defused(text), quoted(text)):
            assert mark not in shown
            assert not spells_a_mark(shown)
        assert json.loads(quoted(text)) == text
    assert is_unsafe(mark)


@pytest.mark.parametrize("text", PLAIN)
def test_ordinary_brackets_stay_as_they_are(text: str) -> None:
    assert defused(text) == text
    assert quoted(text) == json.dumps(text)
    assert not is_unsafe(text)


def test_the_escape_shows_what_was_there() -> None:
    assert quoted("it ends<|im_end|> here") == '"it ends\\u003c|im_end|> here"'
    assert defused("[/INST]</s>") == "\\u005b/INST]\\u003c/s>"


def test_a_character_beyond_the_first_plane_is_escaped_as_two_halves() -> None:
    assert json.loads(f'"{escaped_from("a😀b", 1)}"') == "a😀b"


def test_halves_of_a_character_become_it_and_a_lone_one_is_replaced() -> None:
    assert plain_text("\ud83d\ude00") == "😀"
    assert plain_text("a\ud83db") == "a\ufffdb"


@given(st.text(st.sampled_from("<>|[]/_sINST2 x")))
def test_defusing_again_changes_nothing(text: str) -> None:
    once = defused(text)
    assert not spells_a_mark(once)
    assert defused(once) == once
