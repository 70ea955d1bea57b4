"""Features are found where they are: on known texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from autointerp.core.errors import InputError
from autointerp.core.text import TextTokenizer
from autointerp.corpora.features import (
    HARD,
    IGNORED,
    POSITIVE,
    Feature,
    feature_named,
    ready_features,
    regex_feature,
)
from autointerp.corpora.features.token_labels import TokenLabels
from autointerp.corpora.features.tokenized_text import tokenized


class WordTokenizer:
    """Words with the blank before them, cut after so many letters; signs alone."""

    name = "words"
    bos_id = None

    def __init__(self, longest: int = 100) -> None:
        self._longest = longest
        self._pieces: list[str] = []

    def encode(self, text: str) -> list[int]:
        pieces, place = list[str](), 0
        while place < len(text):
            end = place + 1
            start = end if text[place] == " " and text[end : end + 1].isalnum() else place
            end = start
            while end < len(text) and text[end].isalnum() and end - start < self._longest:
                end += 1
            pieces.append(text[place : max(end, place + 1)])
            place = max(end, place + 1)
        return [self._id(piece) for piece in pieces]

    def pieces(self, token_ids: Sequence[int]) -> tuple[str, ...]:
        return tuple(self._pieces[i] for i in token_ids)

    def _id(self, piece: str) -> int:
        if piece not in self._pieces:
            self._pieces.append(piece)
        return self._pieces.index(piece)


class Sentencepiece(WordTokenizer):
    """Puts a blank in front of every text."""

    def encode(self, text: str) -> list[int]:
        return super().encode(f" {text}")


def _marked(
    feature: Feature,
    text: str,
    tokenizer: TextTokenizer | None = None,
    *,
    value: int = POSITIVE,
    n_ctx: int = 1000,
) -> list[str]:
    """The tokens of a class."""
    tokenizer = tokenizer or WordTokenizer()
    read = tokenized(text, tokenizer, n_ctx=n_ctx)
    assert read is not None
    labels = feature.prepare([read])(read)
    assert isinstance(labels, TokenLabels)
    classes = labels.seen_in_windows(n_ctx)
    pieces = tokenizer.pieces(read.ids.tolist())
    return [piece.strip(" ") for piece, one in zip(pieces, classes, strict=True) if one == value]


_CODE = """def area(width, height=1):
    # the sides 17
    if width:
        for i in range(height):
            print("two words", [(0x1f, i)])
    return width * height
"""


@pytest.mark.parametrize(
    ("name", "text", "positive", "hard"),
    [
        ("digits", "In 1999 two of 3 left", ["1999", "3"], ["two"]),
        ("years", "From 1999 on, 1,850 of 25 in 1850.", ["1999", "1850"], ["850", "25"]),
        ("months", "in March the Rhine and in August", ["March", "August"], ["Rhine"]),
        ("capitals", "The USA and France", ["USA"], ["The", "France"]),
        ("capitalized", "It is in France. The end", ["France"], ["The"]),
        ("sentence-starts", "It is in France. The end! No", ["The", "No"], ["France"]),
        ("parentheses", "one (two three), four, five", ["two", "three"], ["four"]),
        ("quotations", 'he (who) said "not now" then', ["not", "now"], ["who"]),
        (
            "url",
            "see https://a.org/b or e/f",
            ["https", ":", "/", "/", "a", ".", "org", "/", "b"],
            ["e", "/", "f"],
        ),
        ("hexadecimal", "0x1f and 31", ["0x1f"], ["31"]),
        (
            "duplicated-token",
            "x a b c b a b",
            ["b", "a", "b"],
            ["a", "b"],
        ),
        ("code-comment", _CODE, ["#", "the", "sides", "17"], ['"', "two", "words", '"']),
        ("code-string", _CODE, ['"', "two", "words", '"'], ["#", "the", "sides", "17"]),
        ("code-argument", _CODE, ["width", "height"], None),
        ("code-definition", _CODE, ["area"], None),
        ("code-keyword", _CODE, ["def", "if", "for", "in", "return"], None),
        ("bracket-depth", _CODE, ["0x1f", ",", "i"], None),
    ],
)
def test_a_feature_marks_its_tokens(
    name: str, text: str, positive: list[str], hard: list[str] | None
) -> None:
    feature = ready_features()[name]
    assert _marked(feature, text) == positive
    if hard is not None:
        assert _marked(feature, text, value=HARD) == hard


@pytest.mark.parametrize(
    ("name", "text", "positive", "ignored"),
    [
        ("months", "in May and in April he may", ["April"], ["May"]),
        (
            "years",
            "in 1850, for $1500, 1990s, 1066 or 3000 men",
            ["1850"],
            ["1500", "1990s", "1066"],
        ),
        (
            "capitalized",
            "He saw Rome (and I saw NASA). The end",
            ["Rome"],
            ["He", "I", "NASA"],
        ),
        (
            "sentence-starts",
            "He met Dr. Who at St. Ives in the U.S. There J. Smith left. So it is.",
            ["So"],
            ["He", "Who", "Ives", "There", "Smith"],
        ),
        (
            "sentence-starts",
            'It was "so." Then (she left.) Now: Go! Yes.\nNo title\nBut a line',
            ["Yes", "No"],
            ["It", "Then", "Now", "Go", "But"],
        ),
        ("hexadecimal", r"'\x 4a' 0xbeef", ["0xbeef"], []),
    ],
)
def test_what_is_in_doubt_has_no_class(
    name: str, text: str, positive: list[str], ignored: list[str]
) -> None:
    feature = ready_features()[name]
    assert _marked(feature, text) == positive
    assert _marked(feature, text, value=IGNORED) == ignored


def test_an_escape_of_a_character_has_two_hexadecimal_digits() -> None:
    feature, letters = ready_features()["hexadecimal"], WordTokenizer(longest=1)
    assert _marked(feature, r"'\x4abc' 0xbeef", letters) == ["4", "a", *"beef"]


@pytest.mark.parametrize(
    "text", ["the New York-based team", "the New\nYork team", "in New  York", "in New-York"]
)
def test_a_compound_in_another_spelling_has_no_class(text: str) -> None:
    feature = feature_named("compound:new york")
    assert _marked(feature, f"York, and {text}") == []
    assert _marked(feature, f"York, and {text}", value=IGNORED) == ["York"]
    assert _marked(feature, f"York, and {text}", value=HARD) == ["York"]


@pytest.mark.parametrize(
    ("name", "text", "n_ctx"),
    [
        ("compound:new york", "one two new york", 3),
        ("parentheses", "a b (c) d", 4),
        ("capitalized", "one two Rome", 2),
        ("sentence-starts", "one two. Three", 3),
        ("code-definition", "def area(): pass", 1),
        ("code-argument", "def f(width): pass", 3),
        ("bracket-depth", "f([(a)])", 4),
    ],
)
def test_what_an_earlier_window_makes_positive_has_no_class(
    name: str, text: str, n_ctx: int
) -> None:
    feature = feature_named(name)
    [one] = _marked(feature, text)
    assert _marked(feature, text, n_ctx=n_ctx) == []
    assert one in _marked(feature, text, n_ctx=n_ctx, value=IGNORED)


def test_pieces_of_a_word_are_told_by_the_tokens_it_is_split_into() -> None:
    text, tokenizer = "a remarkable word", WordTokenizer(longest=4)
    first, second = (ready_features()[name] for name in ("first-piece", "second-piece"))
    assert _marked(first, text, tokenizer) == ["rema"]
    assert _marked(first, text, tokenizer, value=HARD) == ["a", "word"]
    assert _marked(second, text, tokenizer) == ["rkab"]
    assert _marked(second, text, tokenizer, value=HARD) == ["rema", "le"]


def test_blanks_of_deep_lines_are_told_from_those_of_others() -> None:
    text = "if a:\n    if b:\n        if c:\n            d\n"
    feature = ready_features()["indent-depth"]
    read = tokenized(text, WordTokenizer(), n_ctx=100)
    assert read is not None
    labels = feature.prepare([read])(read)
    assert labels is not None
    ends = {
        value: [int(read.starts[i]) for i in np.flatnonzero(labels.classes == value)]
        for value in (POSITIVE, HARD)
    }
    deep = range(text.index("            d"), text.index("d\n"))
    assert set(ends[POSITIVE]) <= set(deep) | {deep.stop}
    assert ends[POSITIVE]
    assert all(place < deep.start for place in ends[HARD])


def _indents(source: str) -> dict[int, list[str]]:
    """First words of lines, by the class of the blanks before them."""
    read = tokenized(source, WordTokenizer(longest=1), n_ctx=1000)
    assert read is not None
    labels = ready_features()["indent-depth"].prepare([read])(read)
    assert labels is not None
    found: dict[int, list[str]] = {POSITIVE: [], HARD: [], IGNORED: [], 0: []}
    place = 0
    for line in source.splitlines(keepends=True):
        if line[0] in " \t":
            token = read.tokens_of(place, place + 1).start
            found[int(labels.classes[token])].append(line.split()[0])
        place += len(line)
    return found


@pytest.mark.parametrize("blanks", ["  ", "    ", "\t"])
def test_levels_of_indentation_are_blocks_and_not_columns(blanks: str) -> None:
    source = (
        "def a():\n"
        '    """Say\n'
        '            docstring"""\n'
        "    call(\n"
        "            more)\n"
        "    if b:\n"
        "                # comment\n"
        "        for c in d:\n"
        "            deep()\n"
        "        out()\n"
    ).replace("    ", blanks)
    found = _indents(source)
    assert found[POSITIVE] == ["deep()"]
    assert found[HARD] == ['"""Say', "call(", "if", "for", "out()"]
    assert found[IGNORED] == ['docstring"""', "more)", "#"]
    assert found[0] == []


def test_compounds_are_the_pairs_that_stand_together_more_often_than_by_chance() -> None:
    text = "social security now. " * 5 + "the security of the social now the now the " * 9
    feature = ready_features()["compound"]
    rare = "the. of. now. " * 300 + "".join(f"word{chr(97 + i)} " for i in range(26)) * 120
    marked = _marked(feature, f"{text}{rare}")
    assert marked.count("security") == 5
    assert _marked(feature, f"{text}{rare}", value=HARD).count("security") == 9
    named = feature_named("compound:Social security")
    assert _marked(named, "Social security, my security") == ["security"]


@pytest.mark.parametrize("kind", [WordTokenizer, Sentencepiece])
def test_tokens_that_overlap_a_match_are_positive_and_the_same_elsewhere_hard(
    kind: type[WordTokenizer],
) -> None:
    feature = regex_feature(r"river (?=bed)")
    assert _marked(feature, "a river bed, a river too", kind()) == ["river"]
    assert _marked(feature, "a river bed, a river too", kind(), value=HARD) == ["river"]


def test_what_begins_in_an_earlier_window_has_no_class_in_a_later_one() -> None:
    text = "a (b c d e f) g"
    feature = ready_features()["parentheses"]
    assert _marked(feature, text, n_ctx=5) == ["b", "c"]
    assert _marked(feature, text, value=IGNORED, n_ctx=5) == ["d", "e", "f"]


def test_a_text_that_its_tokens_do_not_spell_has_no_labels() -> None:
    class Lower(WordTokenizer):
        def encode(self, text: str) -> list[int]:
            return super().encode(text.lower())

    assert tokenized("Not so", Lower(), n_ctx=8) is None


def test_a_source_that_is_not_python_is_not_labelled() -> None:
    read = tokenized("if so:", WordTokenizer(), n_ctx=8)
    assert read is not None
    assert ready_features()["code-comment"].prepare([read])(read) is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("yeers", "did you mean years"),
        ("comment", "did you mean code-comment"),
        ("", "There are digits, years"),
        ("compound:one", "names 1 words"),
    ],
)
def test_an_unknown_feature_names_what_is_near(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        feature_named(name)


@pytest.mark.parametrize("pattern", ["(", "[a", "a{99999999999}", "*"])
def test_a_regular_expression_that_does_not_compile_is_a_sentence(pattern: str) -> None:
    with pytest.raises(InputError, match="is not a regular expression"):
        regex_feature(pattern)
