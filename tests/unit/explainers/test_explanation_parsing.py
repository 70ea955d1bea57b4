"""What counts as an explanation, and what each other reply is told."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.explainers.parse import count_words, parse_explanation
from autointerp.llm.answers import NoAnswerError


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ('{"explanation": "words about cats"}', "words about cats"),
        ('```json\n{"explanation": "words about cats"}\n```', "words about cats"),
        ('<think>hm</think>{"explanation": "cats"}', "cats"),
        ('{"explanation": "The neuron fires on cats."}', "cats"),
        ('{"explanation": "\\"cats\\""}', "cats"),
        ('the phrase {"explanation": "cats"} </think> {"explanation": "dogs"}', "dogs"),
        ('Here it is:\n```\n{"explanation": " the  word\\n\\t\'cat\' "}\n```', "the word 'cat'"),
        ('{"explanation": "This unit is active when counting", "confidence": 3}', "counting"),
        ("{'explanation': 'the token \"river\"', 'sure': True}", 'the token "river"'),
        ("{'explanation': '<think> tokens'}", "<think> tokens"),
        ('```json\n{\n  "explanation": "cats", // as asked\n}\n```', "cats"),
        ('{"explanation": "the word "river""}', 'the word "river"'),
        ('{"explanation": "the word assistantfinal"}', "the word assistantfinal"),
        ('{"explanation": "`<think>` and `</think>`"}', "`<think>` and `</think>`"),
        ('{"explanation": "**cats**."}', "cats"),
        ('{"explanation": "`cats`"}', "cats"),
        ('{"explanation": "names such as `a`"}', "names such as `a`"),
        ('{"explanation": "half a smile \\ud83d"}', "half a smile"),
        ('{"explanation": "red \\u001b[31mwords\\u0000"}', "red [31mwords"),
        (
            '{"explanation": "words of sorrow such as \\"sorry\\""}',
            'words of sorrow such as "sorry"',
        ),
    ],
)
def test_a_json_reply_is_read(reply: str, expected: str) -> None:
    assert parse_explanation(reply, as_json=True, max_words=10) == expected


def test_a_plain_reply_is_its_first_line() -> None:
    assert parse_explanation("names of places\nand more", as_json=False, max_words=5) == (
        "names of places"
    )


@pytest.mark.parametrize(
    "text",
    [
        *('"<think>" tokens', "“<think>” tokens", "the word assistantfinal", "`<think>`, `</s>`"),
        *("assistantfinal in logs", "the token {'a': True}", "'<think> tags' of logs"),
    ],
)
def test_a_plain_reply_may_begin_with_what_looks_like_thoughts(text: str) -> None:
    assert parse_explanation(text, as_json=False, max_words=9) == text


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "the reply held nothing"),
        ("   \n", "the reply held nothing"),
        ("<think>I wonder", "only reasoning and no answer"),
        ("I'm sorry, I can't help with that.", "a refusal"),
        ("I’m sorry, but no", "a refusal"),
        ("I can’t do that", "a refusal"),
        ('{"explanation": "I am unable to help with that"}', "a refusal"),
        ('{"explanation": null}', 'not JSON with a text under "explanation"'),
        ('["cats"]', 'not JSON with a text under "explanation"'),
        ('{"a": ' + "[" * 100_000 + "}", "not JSON"),
        ('{"a": ' + "9" * 5_000 + "}", "not JSON"),
        ("As an AI I have no view", "a refusal"),
        ("cats", 'not JSON with a text under "explanation"'),
        ('{"explanation": 7}', 'not JSON with a text under "explanation"'),
        ('{"answer": "cats"}', 'not JSON with a text under "explanation"'),
        ('{"explanation": "cats"', "not JSON"),
        ('{"explanation": "..."}', "no words"),
        ('{"explanation": "a b c d"}', "4 words, at most 3"),
        (json.dumps({"explanation": "word," * 40}), "200 characters, at most 120 are allowed"),
        (json.dumps({"explanation": "水" * 121}), "121 characters, at most 120 are allowed"),
    ],
)
def test_a_reply_that_is_no_explanation_says_why(reply: str, reason: str) -> None:
    with pytest.raises(NoAnswerError, match=reason):
        parse_explanation(reply, as_json=True, max_words=3)


@pytest.mark.parametrize(
    ("text", "n_words"),
    [
        ('the token " of" after a noun', 6),
        ('"of " or " the "', 3),
        ("“ of” or ' the' or ` and `", 5),
        ('" of the" within a title', 5),
        ('a blank " " before «\u00a0of»', 5),
        ("the dogs' tails and the cats' ears", 7),
        ('5" and 6" pipes', 4),
        ('an open " quote', 4),
    ],
)
def test_a_blank_at_the_edge_of_a_quoted_token_makes_no_word(text: str, n_words: int) -> None:
    assert count_words(text) == n_words


@given(st.text(max_size=60), st.booleans())
def test_whatever_is_read_is_one_short_line_that_can_be_written(reply: str, as_json: bool) -> None:
    body = json.dumps({"explanation": reply}) if as_json else reply
    try:
        line = parse_explanation(body, as_json=as_json, max_words=5)
    except NoAnswerError:
        return
    assert line == " ".join(line.split())
    assert 1 <= count_words(line) <= 5
    assert line.encode("utf-8")
