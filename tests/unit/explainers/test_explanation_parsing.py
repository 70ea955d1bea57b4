"""What counts as an explanation, and what each other reply is told."""

from __future__ import annotations

import json
import time
from contextlib import suppress

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


LABELLED = {
    "heading_of_four": "#### words about cats",
    "heading_behind_prose": "It fires on cats and kittens.\n#### words about cats",
    "title": "#### Explanation\nwords about cats",
    "titles": "### Analysis\nCats.\n\n### Explanation\n\nwords about cats\n",
    "title_and_others": "### Erklärung\nwords about cats\n### Sicherheit\nhoch",
    "title_with_a_label": "#### Explanation: words about cats",
    "bold_title": "**Final Answer**\n\nwords about cats",
    "box": r"\boxed{words about cats}",
    "box_of_text": r"The answer is $\boxed{\text{words about cats}}$.",
    "box_of_bold_text": "So:\n\\[\\boxed{\\textbf{words about cats}}\\]",
    "chinese": "解释：words about cats",
    "chinese_behind_thoughts": "分析：它在猫上激活。\n\n解释：words about cats",
    "german": "Erklärung: words about cats",
    "japanese": "説明：words about cats",
    "french": "Explication : words about cats",
    "spanish": "**Explicación:** words about cats",
    "russian": "Объяснение: words about cats",
    "korean": "설명: words about cats",
    "persian": "توضیح: words about cats",
    "line_below": "Uitleg:\nwords about cats",
    "reason_below": "Antwort: words about cats\nBegründung: all of them name one",
    "element": "<explanation>words about cats</explanation>",
    "element_within": "<response><explanation>words about cats</explanation></response>",
    "assignment": 'explanation = "words about cats"',
    "yaml": "explanation: words about cats\nconfidence: high",
    "arrow": "Explanation → words about cats",
}


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("name", LABELLED)
def test_what_marks_an_explanation_is_seen_in_any_form(name: str, as_json: bool) -> None:
    assert parse_explanation(LABELLED[name], as_json=as_json, max_words=5) == "words about cats"


@pytest.mark.parametrize(
    "reply", ["Selgitus: words about cats", "Ⲥⲁϩ: words about cats", "Pick:\n\nwords about cats"]
)
def test_where_json_is_asked_for_a_label_may_have_any_name(reply: str) -> None:
    assert parse_explanation(reply, as_json=True, max_words=5) == "words about cats"


@pytest.mark.parametrize(
    "reply",
    [
        "Error: rate limit",
        "Reasoning: it is so",
        "Sorry: no",
        "Note: nothing found",
        "Explanation:",
        "https://x.example/a",
        'Here it is:\n```json\n{"expl',
        "The neuron fires on cats.",
    ],
)
def test_other_labels_mark_no_explanation(reply: str) -> None:
    with pytest.raises(NoAnswerError, match="not JSON"):
        parse_explanation(reply, as_json=True, max_words=5)


@pytest.mark.parametrize(
    "reply",
    [
        *("numbers: years and dates", "answers to questions: who, what", "labels: of boxes"),
        *("the LaTeX command \\boxed{answer}", "text within <answer>yes</answer> tags"),
        *("key = value lines", "titles such as # heading", "C++: std::vector", "final: in Java"),
    ],
)
def test_a_plain_explanation_may_hold_what_marks_one(reply: str) -> None:
    assert parse_explanation(reply, as_json=False, max_words=9) == reply


def test_json_is_read_where_a_line_was_asked_for() -> None:
    reply = '<json>\n{"explanation": "words about cats",}\n</json>'
    assert parse_explanation(reply, as_json=False, max_words=5) == "words about cats"


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


@pytest.mark.parametrize("text", ["# a{}}}", "a. {}}}", "{{explanation: a{}", "**a** {}b"])
def test_an_explanation_with_a_long_run_of_blanks_is_read_in_no_time(text: str) -> None:
    started = time.process_time()
    for as_json in (False, True):
        with suppress(NoAnswerError):
            parse_explanation(text.format(" " * 20_000), as_json=as_json, max_words=60)
    assert time.process_time() - started < 20
