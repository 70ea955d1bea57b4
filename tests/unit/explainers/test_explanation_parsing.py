"""What counts as an explanation, and what each other reply is told."""

from __future__ import annotations

import pytest

from autointerp.explainers.parse import UnreadableReplyError, parse_explanation


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ('{"explanation": "words about cats"}', "words about cats"),
        ('```json\n{"explanation": "words about cats"}\n```', "words about cats"),
        ('<think>hm</think>{"explanation": "cats"}', "cats"),
        ('{"explanation": "The neuron fires on cats."}', "cats"),
        ('{"explanation": "\\"cats\\""}', "cats"),
    ],
)
def test_a_json_reply_is_read(reply: str, expected: str) -> None:
    assert parse_explanation(reply, as_json=True, max_words=10) == expected


def test_a_plain_reply_is_its_first_line() -> None:
    assert parse_explanation("names of places\nand more", as_json=False, max_words=5) == (
        "names of places"
    )


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "the reply held nothing"),
        ("   \n", "the reply held nothing"),
        ("<think>I wonder", "only reasoning and no answer"),
        ("I'm sorry, I can't help with that.", "a refusal"),
        ("As an AI I have no view", "a refusal"),
        ("cats", 'not JSON with a text under "explanation"'),
        ('{"explanation": 7}', 'not JSON with a text under "explanation"'),
        ('{"answer": "cats"}', 'not JSON with a text under "explanation"'),
        ('{"explanation": "cats"', "not JSON"),
        ('{"explanation": "..."}', "no words"),
        ('{"explanation": "a b c d"}', "4 words, at most 3"),
    ],
)
def test_a_reply_that_is_no_explanation_says_why(reply: str, reason: str) -> None:
    with pytest.raises(UnreadableReplyError, match=reason):
        parse_explanation(reply, as_json=True, max_words=3)
