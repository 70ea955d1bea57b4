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
_NAME = r"(?<=[a-z,] )[A-Z][a-z]+\b"
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
            at_end=True,
        ),
        _of("months", "names of months but May", _MONTHS, "other names within sentences", _NAME),
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
            r"(?<=[.!?] )[A-Z][a-z]+\b",
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
        ),
        _of(
            "quotations",
            "what stands in double quotation marks, on one line",
            r"(?<=[\s(]\")[^\"\n]{1,200}(?=\"[\s,.;:)])",
            "what stands in parentheses",
            _IN_PARENTHESES,
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
            r"(?:(?<=\b0x)|(?<=\b0X)|(?<=\\x))[0-9a-fA-F]+",
            "other numbers",
            _NUMBER,
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
    at_end: bool = False,
    corpus: str = "wiki",
) -> Feature:
    regex, near = re.compile(pattern), re.compile(hard_pattern)

    def label(text: TokenizedText) -> TokenLabels:
        return labels_of_spans(
            text, positive=_spans(text, regex), hard=_spans(text, near), at_end=at_end
        )

    return Feature.of(name, marks, hard, label, corpus=corpus)


_START = re.compile(r"(?<=[a-z0-9)\]\"'][.!?])\s+(?=[A-Z\"'(])")


def _sentence_starts(text: TokenizedText) -> TokenLabels:
    firsts = [match.end() for match in _START.finditer(text.text)]
    return labels_of_spans(
        text,
        positive=[(place, place + 1) for place in firsts],
        hard=_spans(text, re.compile(_NAME)),
    )


def _spans(text: TokenizedText, regex: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    return (match.span() for match in regex.finditer(text.text) if match.end() > match.start())
