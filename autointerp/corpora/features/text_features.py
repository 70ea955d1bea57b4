"""Features that regular expressions find in any text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from autointerp.core.errors import InputError
from autointerp.corpora.features.feature import Feature, Labeller
from autointerp.corpora.features.token_labels import (
    HARD,
    NEGATIVE,
    POSITIVE,
    Span,
    TokenLabels,
    labels_of_spans,
)
from autointerp.corpora.features.tokenized_text import TokenizedText

_NUMBER_WORDS = (
    r"(?i)\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|"
    r"forty|fifty|hundred|thousand|million|billion)\b"
)
_MONTHS = (
    r"\b(?:January|February|March|April|June|July|August|September|October|November|December)\b"
)
_NUMBER = r"\d+(?:[.,]\d+)*"
_YEAR = r"(?<![\w.,:/$£-])(?:1[5-9]|20)\d\d(?![.,:/%]?\d)(?!\w)"
_MAYBE_YEAR = r"(?<!\d)(?:1\d|20)\d\d(?!\d)"
_NAME = r"(?<=[a-z,] )[A-Z][a-z]+\b"
_FIRST_WORD = r"(?<=[.!?] )[A-Z][a-z]+\b"
_IN_PARENTHESES = r"(?<=\()[^()\n]{1,200}(?=\))"


def text_features() -> tuple[Feature, ...]:
    """All of them."""
    return (
        _of("digits", "tokens with a digit", r"\d+", "numbers in words", _NUMBER_WORDS),
        _of(
            "years",
            "the last token of a year from 1500 to 2099",
            _YEAR,
            "the last token of another number",
            _NUMBER,
            doubtful=_MAYBE_YEAR,
            at_end=True,
        ),
        _of(
            "months",
            "names of months but May",
            _MONTHS,
            "other names within sentences",
            _NAME,
            doubtful=r"\bMay\b",
        ),
        _of(
            "capitals",
            "words of two capitals or more",
            r"\b[A-Z]{2,}\b",
            "words that only begin with a capital",
            r"\b[A-Z][a-z]+\b",
        ),
        _of(
            "capitalized",
            "words within a sentence that begin with a capital",
            _NAME,
            "first words of sentences",
            _FIRST_WORD,
            doubtful=rf"(?!{_FIRST_WORD})\b[A-Z]\w*",
            n_before=2,
        ),
        Feature.of(
            "sentence-starts",
            "the first token of a sentence behind another one",
            "capitalized words within sentences",
            _sentence_starts,
            corpus="wiki",
        ),
        _of(
            "parentheses",
            "what stands in parentheses",
            _IN_PARENTHESES,
            "what stands between commas",
            r"(?<=, )[^,.()\n]{1,60}(?=,)",
            n_before=1,
        ),
        _of(
            "quotations",
            "what stands in double quotation marks, on one line",
            r"(?<=[\s(]\")[^\"\n]{1,200}(?=\"[\s,.;:)])",
            "what stands in parentheses",
            _IN_PARENTHESES,
            n_before=1,
        ),
        _of(
            "url",
            "addresses on the web",
            r"\b(?:https?://|www\.)[^\s<>\"')\]]+",
            "other words joined by points or slashes",
            r"\b\w+[./]\w+\b",
            corpus="python",
        ),
        _of(
            "hexadecimal",
            "the digits of hexadecimal numbers",
            r"(?:(?<=\b0x)|(?<=\b0X))[0-9a-fA-F]+|(?<=\\x)[0-9a-fA-F]{2}",
            "other numbers",
            _NUMBER,
            n_before=2,
            corpus="python",
        ),
    )


def regex_feature(pattern: str, *, corpus: str = "wiki") -> Feature:
    """What a regular expression matches; its hard negatives are the same tokens elsewhere.

    Raises:
        InputError: it does not compile.
    """
    try:
        regex = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise InputError(
            f"/{pattern}/ is not a regular expression: {error}; a sign that stands for itself is "
            r"written with a backslash, such as \( or \."
        ) from error

    def prepare(texts: Sequence[TokenizedText]) -> Labeller:
        found = [text.ids[_matches(text, regex).classes == POSITIVE] for text in texts]
        same = np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.int32)

        def label(text: TokenizedText) -> TokenLabels:
            labels = _matches(text, regex)
            again = (labels.classes == NEGATIVE) & np.isin(text.ids, same)
            return TokenLabels(np.where(again, np.int8(HARD), labels.classes), labels.begins)

        return label

    return Feature(
        f"/{pattern}/", "tokens that overlap a match", "the same tokens elsewhere", prepare, corpus
    )


def _matches(text: TokenizedText, regex: re.Pattern[str]) -> TokenLabels:
    return labels_of_spans(text, positive=_spans(text, regex))


def _of(  # noqa: PLR0913 - what a row of the table of features says
    name: str,
    marks: str,
    pattern: str,
    hard: str,
    hard_pattern: str,
    *,
    doubtful: str | None = None,
    n_before: int = 0,
    at_end: bool = False,
    corpus: str = "wiki",
) -> Feature:
    """A feature of two patterns, without a class where a third matches and the first does not.

    So many characters before a match make it one: without them it cannot be told.
    """
    regex, near = re.compile(pattern), re.compile(hard_pattern)
    unsure = None if doubtful is None else re.compile(doubtful)

    def label(text: TokenizedText) -> TokenLabels:
        return labels_of_spans(
            text,
            positive=((start, end, start - n_before) for start, end in _spans(text, regex)),
            hard=_spans(text, near),
            ignored=() if unsure is None else _spans(text, unsure),
            at_end=at_end,
        )

    return Feature.of(name, marks, hard, label, corpus=corpus)


_START = re.compile(r"(?:^|[.!?:\u2026][\"'\u201d\u2019)\]]*\s|\n)\s*(?=[A-Z\"'\u201c(])")
_SURE_START = re.compile(r"[a-z0-9)\]\"'][.!?]\s+")
_BEFORE = re.compile(r"[\w.]*\Z")
# With a full stop of their own, which often ends no sentence.
_ABBREVIATION = re.compile(
    r"(?i)(?:adm|al|approx|apt|ave|bros|ca|capt|cf|ch|cmdr|co|col|corp|dept|dr|ed|eds|est|etc|ex|"
    r"figs?|fr|ft|gen|gov|hon|inc|jr|lt|ltd|maj|messrs|mrs?|ms|mts?|nos?|op|pp|pres|prof|pt|rep|"
    r"rev|sen|sgt|sr|ste?|vols?|vs|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)"
)


def _sentence_starts(text: TokenizedText) -> TokenLabels:
    sure, doubtful = list[Span](), list[Span]()
    for match in _START.finditer(text.text):
        place = match.end()
        is_sure = _is_sure(text.text, match.start(), place)
        (sure if is_sure else doubtful).append((place, place + 1, match.start()))
    return labels_of_spans(
        text, positive=sure, ignored=doubtful, hard=_spans(text, re.compile(_NAME))
    )


def _is_sure(text: str, sign: int, place: int) -> bool:
    """Whether the sign before a word that begins with a capital ends a sentence."""
    if not _SURE_START.fullmatch(text, max(0, sign - 1), place):
        return False
    before = _BEFORE.search(text, max(0, sign - 20), sign)
    word = before[0] if before and text[sign] == "." else ""
    # A point within is that of an abbreviation like e.g. or U.S., a single letter's an initial.
    is_initial = len(word) == 1 and word.isalpha()
    return not ("." in word or is_initial or _ABBREVIATION.fullmatch(word))


def _spans(text: TokenizedText, regex: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    return (match.span() for match in regex.finditer(text.text) if match.end() > match.start())
