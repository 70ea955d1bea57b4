"""The JSON object in a reply is found whatever stands around it, or the reason is told."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.llm import UnreadableJsonError, find_object


@pytest.mark.parametrize(
    "text",
    [
        '{"a": {"b": 1}}',
        'Here it is: {"a": {"b": 1}}. Anything else?',
        '```json\n{"a": {"b": 1}}\n```',
        '{"not": "this"}\n```\n{"a": {"b": 1}}\n```\n{"nor": "this"}',
    ],
)
def test_an_object_is_found_whatever_stands_around_it(text: str) -> None:
    assert find_object(text) == {"a": {"b": 1}}


@pytest.mark.parametrize("text", ["", "cats", "[1, 2]", '```\nno\n``` {"a": 1}'])
def test_a_reply_without_a_brace_holds_no_object(text: str) -> None:
    assert find_object(text) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1', "Expecting value"),
        ("}{", "Expecting value"),
        ('{"a": 1} or {"a": 2}', "Extra data"),
        ('{"a": ' + "[" * 100_000 + "}", "decoding a JSON array"),
        ('{"a": ' + "9" * 5_000 + "}", "4300 digits"),
    ],
)
def test_an_object_that_cannot_be_read_says_why(text: str, reason: str) -> None:
    with pytest.raises(UnreadableJsonError, match=f"^the reply is not JSON: .*{reason}"):
        find_object(text)


# Three backticks in a value would open a fence of their own.
words = st.text(st.characters(exclude_characters="`"))


@given(st.dictionaries(words, st.integers() | words | st.none()))
def test_every_object_comes_back_from_its_own_json(value: dict[str, object]) -> None:
    assert find_object(f"So it is:\n{json.dumps(value)}\nand no more.") == value
