"""Texts in which bars show where one token ends and the next begins within a word.

Numbers have none: their digits mostly are tokens of their own. Active tokens may be marked, each
with its level. A bar or a mark of the text itself is written as its JSON escape, so that each one
that is seen was set.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterator, Sequence

from autointerp.core.text import quoted

BAR = "|"
_MARKS = "«»"
_PRIVATE_USE = range(0xE000, 0xF900)


def barred(tokens: Sequence[str]) -> str:
    """The text of the tokens as a JSON string with its bars.

    Tokens that share a character are to be put together before, see `core.characters`.
    """
    return _written(tokens, [0] * len(tokens), BAR)


def marked(tokens: Sequence[str], levels: Sequence[int]) -> str:
    """The text with its bars and with tokens whose level is above 0 as ``«token:level»``."""
    return _written(tokens, levels, BAR + _MARKS)


def _written(tokens: Sequence[str], levels: Sequence[int], signs: str) -> str:
    """The text as a JSON string; of its own signs the escapes are written."""
    stand_ins = dict(zip(signs, _absent("".join(tokens)), strict=False))
    table = {ord(sign): stand_in for sign, stand_in in stand_ins.items()}
    own = [token.translate(table) for token in tokens]
    parts = [_with_level(token, level) for token, level in zip(own, levels, strict=True)]
    bars = [
        BAR if _has_bar(a, b) and not (m or n) else ""
        for (a, m), (b, n) in itertools.pairwise(zip(tokens, levels, strict=True))
    ]
    text = quoted("".join(x for pair in itertools.zip_longest(parts, bars) for x in pair if x))
    for sign, stand_in in stand_ins.items():
        text = text.replace(stand_in, f"\\u{ord(sign):04x}")
    return text


def _with_level(token: str, level: int) -> str:
    """The token in its mark, the blanks before it outside."""
    if not level:
        return token
    word = token.lstrip() or token
    return f"{token[: len(token) - len(word)]}{_MARKS[0]}{word}:{level}{_MARKS[1]}"


def splits_a_word(left: str, right: str) -> bool:
    """Whether the place between two tokens is within a word or a number."""
    return bool(left and right) and in_word(left[-1]) and in_word(right[0])


def _has_bar(left: str, right: str) -> bool:
    is_number = left[-1:].isdigit() and right[:1].isdigit()
    return splits_a_word(left, right) and not is_number


def in_word(character: str) -> bool:
    """Whether a character is a letter, a mark on one, a digit or an underscore."""
    return character == "_" or unicodedata.category(character)[0] in "LMN"


def _absent(text: str) -> Iterator[str]:
    """Characters that are not in the text."""
    there = set(text)
    return (c for c in map(chr, _PRIVATE_USE) if c not in there)
