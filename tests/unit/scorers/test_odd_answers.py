"""Answers in forms that were not asked for are read where they are clear, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from odd_answers import (
    DIGITS,
    EIGHT,
    EXPLAINED,
    LISTS,
    NEITHER,
    NO,
    NO_DIGITS,
    NO_LISTS,
    NO_NUMBER,
    NO_ROWS,
    PLAINLY_EXPLAINED,
    ROWS,
    WINDOWS,
    YES,
)

from autointerp.explainers.parse import parse_explanation
from autointerp.llm import ChatReply, Usage
from autointerp.llm.answers import NoAnswerError, find_number
from autointerp.scorers.simulation.levels_reply import read_digits, read_rows, read_window_rows
from autointerp.scorers.verdict_replies import read_booleans, read_yes_no


def reply(text: str, thoughts: str = "") -> ChatReply:
    return ChatReply(text, "stop", None, Usage(), "m", thoughts=thoughts)


def booleans(one: ChatReply) -> list[bool | None]:
    return [verdict.verdict for verdict in read_booleans(one, 3)]


def rows(one: ChatReply) -> tuple[float, ...]:
    return read_rows(one, row_lengths=(2, 1), top=10).levels


def digits(one: ChatReply) -> tuple[float, ...]:
    return read_digits(one, n_tokens=3).levels


def window(one: ChatReply) -> tuple[float, ...]:
    return read_window_rows(one, 1, row_lengths=(2, 1), top=10).levels


def number(one: ChatReply) -> int:
    return find_number(one, range(11))


def verdict(one: ChatReply) -> bool | None:
    return read_yes_no(one).verdict


@pytest.mark.parametrize(
    ("read", "expected", "text"),
    [
        *((verdict, True, text) for text in YES),
        *((verdict, False, text) for text in NO),
        *((verdict, None, text) for text in NEITHER),
        *((number, 8, text) for text in EIGHT),
        *((booleans, [True, False, True], text) for text in LISTS),
        *((rows, (0.0, 10.0, 3.0), text) for text in ROWS),
        *((window, (0.0, 10.0, 3.0), text) for text in WINDOWS),
        *((digits, (0.0, 9.0, 3.0), text) for text in DIGITS),
    ],
)
def test_an_answer_in_another_form_is_read(
    read: Callable[[ChatReply], object], expected: object, text: str
) -> None:
    assert read(reply(text)) == expected


@pytest.mark.parametrize(
    ("read", "text"),
    [
        *((number, text) for text in NO_NUMBER),
        *((rows, text) for text in NO_ROWS),
        *((digits, text) for text in NO_DIGITS),
    ],
)
def test_what_resembles_an_answer_is_not_read(
    read: Callable[[ChatReply], object], text: str
) -> None:
    with pytest.raises(NoAnswerError, match="asked for|not a whole|not JSON"):
        read(reply(text))


@pytest.mark.parametrize("text", NO_LISTS)
def test_what_resembles_a_list_of_booleans_leaves_a_trial_without_verdict(text: str) -> None:
    assert None in booleans(reply(text))


@pytest.mark.parametrize(
    ("text", "as_json"),
    [*((text, True) for text in EXPLAINED), *((text, False) for text in PLAINLY_EXPLAINED)],
)
def test_an_explanation_in_another_form_is_read(text: str, as_json: bool) -> None:
    assert parse_explanation(text, as_json=as_json, max_words=6) == "words about cats"


@pytest.mark.parametrize(
    "text",
    [
        "It fires on cats.\n\n**Note: nothing**",
        "It fires on cats.\n\n**Confidence high**",
        "It fires on cats.\n\n**Shall I go on?**",
        "**Analysis**\nIt fires on cats",
        "| Token | Level |\n|---|---|\n| cats | high |",
        "The token “cats” is in it.",
        "<error>cats</error>",
        "<![CDATA[cats]]>",
        '{"explanation": cats',
        "- cats\n- dogs",
        "ユーザーは「cats」と言います",
        "<b>cats</b> and dogs",
        "<title>x</title> elements in HTML",
        'The label "Total:" in tables',
    ],
)
def test_what_resembles_an_explanation_is_not_read(text: str) -> None:
    with pytest.raises(NoAnswerError, match="not JSON"):
        parse_explanation(text, as_json=True, max_words=6)


@pytest.mark.parametrize(
    "text",
    [
        'labels like "cat"',
        'Answers such as "yes".',
        '"cats" and "dogs"',
        "text in <b>bold</b> in HTML",
        "the command \\textbf{x} of LaTeX",
        "`a` or `b`",
        "「犬」と「猫」",
        "(cats) and (dogs)",
        "**bold** in Markdown",
        "ＮＨＫ in wide letters",
        "the entity &middot; in HTML",
        "tables such as | a | b |",
        "prices - in euros",
        "snake_case_names_",
        "citations such as [1]",
        '"Answer:" before an answer',
        "`Label:` in lists of “Labels:”",
        "“Explanation:” in quizzes",
    ],
)
@pytest.mark.parametrize("form", ["{}", "Explanation: {}"])
def test_an_explanation_that_speaks_of_marks_keeps_them(form: str, text: str) -> None:
    read = parse_explanation(form.format(text), as_json=False, max_words=9)
    assert read == text.rstrip(".")


@pytest.mark.parametrize(
    "text",
    [
        '{"explanation": null}',
        '{"explanation": ["cats", "dogs"]}',
        '{"label": "cats", "reason": "dogs"}',
        "My apologies, but I cannot help with that.",
    ],
)
def test_what_holds_no_explanation_is_none_where_a_line_was_asked_for(text: str) -> None:
    with pytest.raises(NoAnswerError, match="not JSON|refusal"):
        parse_explanation(text, as_json=False, max_words=9)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        *((number, text) for text in EIGHT),
        *((rows, text) for text in ROWS),
        *((digits, text) for text in DIGITS),
        *((window, text) for text in WINDOWS),
    ],
)
@pytest.mark.parametrize("form", ["<think>{}</think>", "[THINK]{}[/THINK]", ""])
def test_an_answer_in_another_form_within_thoughts_is_none(
    read: Callable[[ChatReply], object], text: str, form: str
) -> None:
    with pytest.raises(NoAnswerError):
        read(reply(form.format(text), thoughts=text))


@pytest.mark.parametrize("sign", ["_", "=", "*", "-", "|", ".", "# a\n", "**a**\n"])
def test_an_answer_behind_many_of_one_sign_is_read_without_looking_from_each(sign: str) -> None:
    many = sign * (20_000 // len(sign))
    assert verdict(reply(f"{many}\nAnswer: yes")) is True
    assert number(reply(f"{many}\nAnswer: 8")) == 8
    assert booleans(reply(f"{many}\n[true, false, true]")) == [True, False, True]
    text = f"{many}\nExplanation: words about cats"
    assert parse_explanation(text, as_json=False, max_words=6) == "words about cats"


@pytest.mark.parametrize("text", [*YES, *NO])
@pytest.mark.parametrize("form", ["<think>{}</think>", "[THINK]{}[/THINK]", ""])
def test_a_word_in_another_form_within_thoughts_is_none(text: str, form: str) -> None:
    assert "only reasoning" in (read_yes_no(reply(form.format(text), text)).failure or "")


@pytest.mark.parametrize("text", [*EXPLAINED, *PLAINLY_EXPLAINED])
def test_an_explanation_in_another_form_within_thoughts_is_none(text: str) -> None:
    with pytest.raises(NoAnswerError):
        parse_explanation(f"<think>{text}</think>", as_json=False, max_words=6)
